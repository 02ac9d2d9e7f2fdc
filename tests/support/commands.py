"""Command lines in this process: an interpreter of its own for every command would take most of the time."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from mgsd_bench.cli import main


def run(main: Callable[[], object], *words: str, cwd: Path | None = None, code: int = 0, **environment: str) -> str:
    """Run an entry point with these words as its command line; its output.

    Fails on another exit code, and on any traceback.
    """
    shown = io.StringIO()
    with (
        chdir(cwd or "."),
        patch.dict(os.environ, {"COLUMNS": "80", **environment}),
        patch.object(sys, "argv", list(words)),
        redirect_stdout(shown),
        redirect_stderr(shown),
    ):
        try:
            main()
            ended: object = 0
        except SystemExit as end:
            ended = end.code or 0
    assert "Traceback" not in shown.getvalue()
    assert ended == code, shown.getvalue()
    return shown.getvalue()


def mgsd(*arguments: str, cwd: Path | None = None, code: int = 0) -> str:
    """Run ``mgsd-bench``."""
    return run(main, "mgsd-bench", *arguments, cwd=cwd, code=code)


def error(*arguments: str, cwd: Path | None = None, code: int = 2) -> str:
    """The one line that a mistake gives."""
    shown = mgsd(*arguments, cwd=cwd, code=code).strip()
    assert len(shown.splitlines()) == 1, shown
    assert shown.startswith("mgsd-bench: ")
    return shown
