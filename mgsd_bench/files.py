"""Writing files whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str | bytes) -> None:
    """Write a file whole or not at all. A device or a pipe is written to, and not replaced by a file.

    Raises:
        OSError: it cannot be written.
    """
    if _is_special(path):
        append(path, text)
        return
    temporary = path.with_name(f"{_PREFIX.format(path.name)}{os.getpid()}.tmp")
    try:
        temporary.write_bytes(_as_bytes(text))
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def append(path: Path, text: str | bytes) -> None:
    """Add to a file, a device or a pipe; never waits for a pipe that nobody reads.

    Raises:
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    no_wait = getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | no_wait, 0o666), "ab") as stream:
        if no_wait:
            os.set_blocking(stream.fileno(), True)
        stream.write(_as_bytes(text))


def remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed while it wrote a file whole has left beside it."""
    for leftover in path.parent.glob(f"{_PREFIX.format(path.name)}*.tmp"):
        leftover.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    """Whether something is there that is no file of its folder; ``/dev/stdout`` is none even if it leads to one."""
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or (path.absolute().parts[1:2] in (("dev",), ("proc",)) and path.is_symlink())


def _as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


_PREFIX = ".{}."
"""How the name of a file that is being written begins, by the name that it will have."""


def pretty_json(data: Any) -> str:
    """A value as JSON text for people, with a line break at its end."""
    return json.dumps(data, indent=2) + "\n"
