"""Commands about finished runs: report, compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mgsd_bench.cli import options
from mgsd_bench.errors import UserError

app = typer.Typer()


@app.command("report")
def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of the same suite and prompts.")],
    condition: options.OneCondition = "visual",
    out: Annotated[Path | None, typer.Option("--out", help="Also write the table to this file, as Markdown.")] = None,
) -> None:
    """Put the results of several runs side by side."""
    from rich.console import Console

    from mgsd_bench.comparison import read_comparable, side_by_side
    from mgsd_bench.report.tables import as_markdown, as_terminal, comparison

    rows = comparison(side_by_side(read_comparable(runs, condition)), condition)
    Console().print(as_terminal(rows))
    typer.echo("\nsolved, % of all questions asked, with 95 % intervals")
    if out:
        _write(out, as_markdown(rows))


@app.command("compare")
def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="A run, and one or more to compare with it.")],
    condition: options.OneCondition = "visual",
    out: Annotated[Path | None, typer.Option("--out", help="Also write everything to this file, as JSON.")] = None,
) -> None:
    """Compare runs question by question: paired differences, and who regressed."""
    from rich.console import Console

    from mgsd_bench.comparison import compare, read_comparable
    from mgsd_bench.report.changes import comparison_table

    if len(runs) < 2:
        raise UserError("compare: give two run folders or more")
    first, *others = read_comparable(runs, condition)
    found = [compare(first, other, condition) for other in others]
    console = Console()
    for result in found:
        console.print(comparison_table(result))
        for word in ("regressed", "improved"):
            episodes = result[word]
            if episodes:
                more = f" and {len(episodes) - 8} more" if len(episodes) > 8 else ""
                console.print(f"{len(episodes)} {word}: {', '.join(episodes[:8])}{more}", highlight=False)
        console.print()
    if out:
        _write(out, json.dumps(found, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    from mgsd_bench.runs import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror or error})") from error
