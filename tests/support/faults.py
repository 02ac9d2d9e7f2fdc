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

LASTING = {
    "full": (errno.ENOSPC, "writes"),
    "over quota": (errno.EDQUOT, "writes"),
    "read-only": (errno.EROFS, "writes"),
    "stale": (errno.ESTALE, "all"),
    "gone": (errno.ENODEV, "all"),
    "broken": (errno.EIO, "all"),
}
"""What may happen to a drive from a call on: the error, and whether what reads fails as well."""


def environment(root: Path, count: Path, at: int, kind: str) -> dict[str, str]:
    """What tells the injector to make the call of number ``at`` below ``root`` fail, and to count them."""
    number, span = LASTING.get(kind) or (KINDS[kind], "one")
    return {
        "FAULT_ROOT": str(root), "FAULT_AT": str(at), "FAULT_KIND": str(number), "FAULT_SPAN": span,
        "FAULT_COUNT": str(count), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


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
    ended = subprocess.run(
        [sys.executable, "-m", "mgsd_bench", *words], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "LD_PRELOAD": str(library), **environment(root, count, at, kind)},
    )  # fmt: skip
    return ended.returncode, ended.stdout + ended.stderr, int(count.read_text())
