"""The command that makes whole tables: table1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.errors import Exit

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
    from mgsd_bench.report.tables import as_terminal
    from mgsd_bench.reproduce.config import narrow
    from mgsd_bench.reproduce.config_file import load_config
    from mgsd_bench.reproduce.published import load_published
    from mgsd_bench.reproduce.results import measure
    from mgsd_bench.reproduce.write import tables_of, write_report
    from mgsd_bench.suites.choose import split_list
    from mgsd_bench.terminal import Terminal

    report, published = narrow(load_config(config, overrides), split_list(rows), limit), load_published()
    console = Terminal()
    outcomes = [measure(report, table, console, data_root) for table in report.tables]
    rows_of_all = [row for outcome in outcomes for row in outcome.rows]
    counts = {why: sum(getattr(row, why) is not None for row in rows_of_all) for why in ("skipped", "failed")}
    measured = sum(len(outcome.shown) for outcome in outcomes)
    folder = out or Path("reports") / report.name
    said = f"no row was measured, so {folder} is left as it is"
    if measured:
        said = f"report in {write_report(report, outcomes, published, folder)[0]}"
    for outcome in outcomes:
        for shown in tables_of(outcome, levels=False):
            console.print(f"\n{outcome.table.title}: {shown.notes[0]}", style="bold", highlight=False, soft_wrap=True)
            console.print(as_terminal(shown.rows))
    console.print(
        f"\n{measured} rows measured, {counts['skipped']} skipped, {counts['failed']} failed; {said}",
        highlight=False,
        soft_wrap=True,
    )
    if counts["failed"] or any(row.errors for row in rows_of_all):
        console.print("run the same command again to retry what failed", style="red", highlight=False)
        raise typer.Exit(Exit.ENGINE)
