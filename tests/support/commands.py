"""The command line in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def mgsd(*arguments: str, cwd: Path | None = None, code: int = 0) -> str:
    """Run the command; its output. Fails on another exit code, and on any traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "mgsd_bench", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"COLUMNS": "80", "PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def error(*arguments: str, cwd: Path | None = None, code: int = 2) -> str:
    """The one line that a mistake gives."""
    shown = mgsd(*arguments, cwd=cwd, code=code).strip()
    assert len(shown.splitlines()) == 1, shown
    assert shown.startswith("mgsd-bench: ")
    return shown
