"""The command line in this process: an interpreter of its own for every command would take most of the time."""

from __future__ import annotations

import io
import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from mgsd_bench.cli import main


def mgsd(*arguments: str, cwd: Path | None = None, code: int = 0) -> str:
    """Run the command as its entry point does; its output. Fails on another exit code, and on any traceback."""
    shown = io.StringIO()
    with (
        chdir(cwd or "."),
        patch.dict(os.environ, {"COLUMNS": "80"}),
        patch.object(sys, "argv", ["mgsd-bench", *arguments]),
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


def error(*arguments: str, cwd: Path | None = None, code: int = 2) -> str:
    """The one line that a mistake gives."""
    shown = mgsd(*arguments, cwd=cwd, code=code).strip()
    assert len(shown.splitlines()) == 1, shown
    assert shown.startswith("mgsd-bench: ")
    return shown
