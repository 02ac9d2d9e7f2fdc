"""Runs a command with one of its writing system calls failing, being cut short, or being its last."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

KINDS = {
    "kill": "kill",
    "killed": "killed",
    "short write": "short",
    "ENOSPC": str(errno.ENOSPC),
    "EIO": str(errno.EIO),
    "EINTR": str(errno.EINTR),
}
"""What may happen to a call, and how the injector is told."""


def build(folder: Path) -> Path | None:
    """Compile the injector; None where there is no C compiler, or no way to preload."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def run(library: Path, root: Path, words: list[str], at: int = 0, kind: str = "kill") -> tuple[int, str, int]:
    """Run a command of mgsd-bench with its writes below ``root`` counted, and the one of number ``at`` at fault.

    Returns:
        Its exit code, what it showed, and how many calls there were.
    """
    count = root.parent / f"{root.name}.count"
    count.write_text("0")
    environment = {
        **os.environ, "LD_PRELOAD": str(library), "FAULT_ROOT": str(root), "FAULT_AT": str(at),
        "FAULT_KIND": KINDS[kind], "FAULT_COUNT": str(count), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "mgsd_bench", *words], capture_output=True, text=True, env=environment, timeout=120,
        check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout + ended.stderr, int(count.read_text())
