"""A command on a terminal, which it can tell from a pipe: every byte that the terminal gets."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from select import select

OWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A)|\r")
"""What our commands send to a terminal: colours, and for a live bar the cursor's moves and the line's end."""


def on_terminal(*words: str, cwd: Path, code: int = 0, limit: float = 60.0, **environment: str) -> str:
    """Run ``mgsd-bench`` in a process of its own on a terminal of 80 columns with colours.

    Fails on another exit code, and after ``limit`` seconds.
    """
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "mgsd_bench", *words],
        stdin=slave, stdout=slave, stderr=slave, cwd=cwd, start_new_session=True,
        env={**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONUTF8": "1", **environment},
    )  # fmt: skip
    os.close(slave)
    try:
        shown = _all(master, time.monotonic() + limit)
        ended = process.wait(5)
    finally:
        process.kill()
        os.close(master)
    assert ended == code, shown
    return shown


def _all(master: int, end: float) -> str:
    found = b""
    while select([master], [], [], max(0.0, end - time.monotonic()))[0]:
        try:
            part = os.read(master, 65536)
        except OSError:  # EIO: nobody holds the other side any more
            return found.decode("utf-8", "surrogateescape")
        if not part:
            return found.decode("utf-8", "surrogateescape")
        found += part
    raise AssertionError(f"it did not end; so far: {found[-500:]!r}")
