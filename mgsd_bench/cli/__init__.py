"""The command line. One thin function a command; whatever is heavy is imported inside it."""

from __future__ import annotations

import sys

import typer

from mgsd_bench.cli import data, gate, reproduce, results, run, schema, suites, train
from mgsd_bench.errors import UserError

app = typer.Typer(
    name="mgsd-bench",
    help="Benchmark and diagnostics for visual spatial planning with vision-language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (run, results, gate, data, suites, train, reproduce, schema):
    app.add_typer(part.app)


def main() -> None:
    """Entry point: a user's mistake becomes one line and an exit code."""
    try:
        app()
    except UserError as error:
        print(f"mgsd-bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.code)
