"""The command line. One thin function a command; whatever is heavy is imported inside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mgsd_bench.cli import data, export, gate, path, play, publish, reproduce, results, run, schema, suites, train
from mgsd_bench.cli.settings import SPELLING
from mgsd_bench.errors import Exit, UserError, command_line
from mgsd_bench.files import OF_DRIVES
from mgsd_bench.plain import error_line, say, say_error


class _Commands(TyperGroup):
    """The commands; what they refuse is said in the words in which their settings were given, and can be shown."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        with _usage_can_be_shown():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _usage_can_be_shown():
                return super().invoke(ctx)
        except UserError as error:
            raise UserError(error.spelled(ctx.meta.get(SPELLING, command_line)), error.code) from error
        except BrokenPipeError as error:  # which click would end with 1, the gate's code
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or what is left would be tried again at the end
            raise UserError("nobody reads the output any more; what was stored is kept", Exit.ENGINE) from error


@contextmanager
def _usage_can_be_shown() -> Iterator[None]:
    """What typer says of a wrong command line quotes it: control characters are left out, and most of long words."""
    try:
        yield
    except Exception as error:
        refusal: Any = error  # of click, or of typer's own copy of it
        if hasattr(refusal, "format_message") and isinstance(getattr(refusal, "message", None), str):
            refusal.message = error_line(refusal.message)
        raise


app = typer.Typer(
    cls=_Commands,
    name="mgsd-bench",
    help="Benchmark and diagnostics for visual spatial planning with vision-language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (run, play, results, export, gate, data, publish, suites, train, reproduce, schema, path):
    app.add_typer(part.app)


def _say_version(asked: bool) -> None:
    if asked:
        from mgsd_bench import __version__

        say(f"mgsd-bench {__version__}")
        raise typer.Exit


@app.callback()
def _before_all(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_say_version)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a mistake of the program (also MGSD_DEBUG=1).")
    ] = False,
) -> None:
    """Options of no command."""
    if debug:
        os.environ["MGSD_DEBUG"] = "1"


def main() -> None:
    """Entry point: a user's mistake becomes one line and an exit code, and so does a mistake of ours."""
    try:
        app()
    except UserError as error:
        say_error(str(error))
        sys.exit(error.code)
    except Exception as error:
        if (from_outside := _from_outside(error)) is not None:
            say_error(str(from_outside))
            sys.exit(from_outside.code)
        if _debugging():
            raise
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        say_error(
            f"a mistake of the program itself ({said}); what was stored is kept; please report it with what the same "
            "command says when MGSD_DEBUG=1 is set"
        )
        sys.exit(Exit.SOFTWARE)


def _from_outside(error: Exception) -> UserError | None:
    """What to say of an error that no command foresees and yet is none of ours."""
    from mgsd_envs.errors import TaskError  # imported here: a help page needs no numpy

    if isinstance(error, TaskError):
        return UserError(str(error))
    if not isinstance(error, OSError):
        return None
    name = os.fsdecode(error.filename or "a file")
    if error.errno in OF_DRIVES:
        again = "what was stored is kept: see to the drive and run the same command again"
        return UserError(f"{name}: {error.strerror}; {again}", Exit.ENGINE)
    if error.filename is None:
        return None
    return UserError(f"{name}: cannot be used ({error.strerror}); name another file or folder")


def _debugging() -> bool:
    return os.environ.get("MGSD_DEBUG", "") not in ("", "0")
