"""The command that makes whole tables: table1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.errors import Exit, UserError

app = typer.Typer()

Out = Annotated[Path | None, typer.Option("--out", help="Folder of the report; by default reports/NAME.")]
Rows = Annotated[
    list[str], typer.Option("--rows", help="Only these rows; comma-separated or repeated.", metavar="NAMES")
]
Overrides = Annotated[
    list[str],
    typer.Option("--set", help="Change one key: --set models.mgsd-4b.model=DIR", metavar="KEY=VALUE"),
]


@app.command("table1")
def table1_command(
    config: Annotated[
        str, typer.Option("--config", help="A YAML file, or table1, diagnostics, ablations, tiny.")
    ] = "table1",
    data_root: options.DataRoot = None,
    out: Out = None,
    rows: Rows = [],  # noqa: B006 (typer copies it)
    limit: options.Limit = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Measure every row of a table whose model is at hand, beside what was published."""
    from dataclasses import replace

    from rich.console import Console

    from mgsd_baselines.published import load_published
    from mgsd_bench.reproduce.plan import load_plan
    from mgsd_bench.reproduce.report import tables_of, write_report
    from mgsd_bench.reproduce.rows import measure

    plan, published = load_plan(config, overrides), load_published()
    only = options.split_list(rows)
    known = {row.name for table in plan.tables for row in table.rows}
    for name in only:
        if name not in known:
            raise UserError(f"--rows {name}: no row of {plan.name}; it has {', '.join(sorted(known))}")
    console = Console(markup=False)
    tables = plan.tables if limit is None else [replace(table, limit=limit) for table in plan.tables]
    outcomes = [measure(plan, table, console, data_root=data_root, only=only) for table in tables]
    folder = out or Path("reports") / plan.name
    files = write_report(plan, outcomes, published, folder)
    for outcome in outcomes:
        console.print(f"\n{outcome.table.title}", style="bold")
        for shown in tables_of(outcome, levels=False):
            console.print(shown.to_markdown(), highlight=False, soft_wrap=True)
    rows_of_all = [row for outcome in outcomes for row in outcome.rows]
    counts = {why: sum(getattr(row, why) is not None for row in rows_of_all) for why in ("skipped", "failed")}
    measured = sum(len(outcome.shown) for outcome in outcomes)
    console.print(
        f"{measured} rows measured, {counts['skipped']} skipped, {counts['failed']} failed; report in {files[0]}",
        highlight=False,
        soft_wrap=True,
    )
    if counts["failed"] or any(row.errors for row in rows_of_all):
        console.print("run the same command again to retry what failed", style="red", highlight=False)
        raise typer.Exit(Exit.ENGINE)
