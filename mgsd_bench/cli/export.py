"""The command export: results in the forms of others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsd_bench.errors import UserError
from mgsd_bench.plain import say

if TYPE_CHECKING:
    from mgsd_bench.integrations.finished import FinishedRun

app = typer.Typer()

FORMATS = ("eee", "hf-results", "csv", "parquet")
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")


@app.command("export")
def export_command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    out: Annotated[Path, typer.Option("--out", help="A file for csv and parquet; a folder for eee and hf-results.")],
    output_format: Annotated[
        str | None, typer.Option("--format", help="eee, hf-results, csv or parquet; else what --out ends in.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Where the suite is on the hub; needed for hf-results.", metavar="OWNER/NAME"),
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Commit of that data set.")] = None,
    source_url: Annotated[
        str | None, typer.Option("--source-url", help="hf-results: where the answers can be seen.", metavar="URL")
    ] = None,
    model_id: Annotated[
        str | None, typer.Option("--model-id", help="eee: the model's name on the hub.", metavar="OWNER/NAME")
    ] = None,
    organization: Annotated[str, typer.Option("--organization", help="eee: who ran the evaluation.")] = "unknown",
    relationship: Annotated[
        str,
        typer.Option(
            "--relationship", help="eee: of them to the model's makers: first_party, third_party, collaborative, other."
        ),
    ] = "other",
) -> None:
    """Write a run's figures and answers in a form that other tools and leaderboards read."""
    chosen = output_format or out.suffix.removeprefix(".")
    if chosen not in FORMATS:
        given = f"--format {output_format}" if output_format else f"--out {out}: does not say which format; --format"
        raise UserError(f"{given}: choose from {', '.join(FORMATS)}")
    from mgsd_bench.integrations.publishing import check_repo

    for option, name in (("--dataset", dataset), ("--model-id", model_id)):
        if name is not None:
            check_repo(name, option)
    if relationship not in RELATIONSHIPS:
        raise UserError(f"--relationship {relationship}: choose from {', '.join(RELATIONSHIPS)}")
    if source_url is not None and not re.match(r"https?://[^\s/]+", source_url):
        raise UserError(f"--source-url {source_url}: write a URL that begins with https://")
    if chosen == "hf-results" and dataset is None:
        raise UserError("--format hf-results: name the suite's data set on the hub with --dataset OWNER/NAME")
    from mgsd_bench.analysis.run import load_run
    from mgsd_bench.integrations.finished import FinishedRun

    finished = FinishedRun.of(load_run(run))
    try:
        match chosen:
            case "eee":
                _eee(finished, out, organization, relationship, model_id, dataset, revision)
            case "hf-results":
                _hf_results(finished, out, str(dataset), revision, source_url)
            case _:
                _table(finished, out, chosen)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror or error})") from error


def _table(finished: FinishedRun, out: Path, chosen: str) -> None:
    from mgsd_bench.integrations.frame_files import write_csv, write_parquet

    out.parent.mkdir(parents=True, exist_ok=True)
    rows = (write_csv if chosen == "csv" else write_parquet)(finished, out)
    say(f"{rows:,} rows in {out}")


def _eee(
    finished: FinishedRun,
    out: Path,
    organization: str,
    relationship: str,
    model_id: str | None,
    dataset: str | None,
    revision: str | None,
) -> None:
    from mgsd_bench.integrations.eee import Evaluator, write_eee

    written = write_eee(finished, out, Evaluator(organization, relationship, model_id, dataset, revision))
    for note in finished.run.look_notes:
        say(note, err=True)
    if organization == "unknown" or relationship == "other":
        say("before you publish it, say who ran it with --organization and --relationship", err=True)
    if written.errors:
        say(f"{written.errors} requests failed and count as not solved", err=True)
    say(f"figures in {written.aggregate}; {written.rows:,} lines of answers in {written.samples}")


def _hf_results(finished: FinishedRun, out: Path, dataset: str, revision: str | None, source_url: str | None) -> None:
    from mgsd_bench.integrations.hf_results import Benchmark, write_hf_results

    path, values = write_hf_results(finished, out, Benchmark(dataset, revision, source_url))
    for note in finished.run.look_notes:
        say(note, err=True)
    say(f"{', '.join(f'{name} {value}' for name, value in values.items())} in {path}")
