"""The command line. One thin function a command; whatever is heavy is imported inside it."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mgsd_bench.cli import data, gate, reproduce, results, run, schema, suites, train
from mgsd_bench.cli.settings import SPELLING
from mgsd_bench.errors import UserError, command_line


class _Commands(TyperGroup):
    """The commands; what they refuse is said in the words in which their settings were given."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise UserError(error.spelled(ctx.meta.get(SPELLING, command_line)), error.code) from error


app = typer.Typer(
    cls=_Commands,
    name="mgsd-bench",
    help="Benchmark and diagnostics for visual spatial planning with vision-language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (run, results, gate, data, suites, train, reproduce, schema):
    app.add_typer(part.app)


def _say_version(asked: bool) -> None:
    if asked:
        from mgsd_bench import __version__

        typer.echo(f"mgsd-bench {__version__}")
        raise typer.Exit


@app.callback()
def _before_all(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Options of no command."""


def main() -> None:
    """Entry point: a user's mistake becomes one line and an exit code."""
    try:
        app()
    except UserError as error:
        print(f"mgsd-bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.code)
