"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all; what is there and no file, such as a device or a link to one, stays as it is.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "is there, and no file", str(path))
    temporary = path.with_name(f"{_PREFIX.format(path.name)}{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed while it wrote a file whole has left beside it."""
    for leftover in path.parent.glob(f"{_PREFIX.format(path.name)}*.tmp"):
        leftover.unlink(missing_ok=True)


_PREFIX = ".{}."
"""How the name of a file that is being written begins, by the name that it will have."""


def pretty_json(data: Any) -> str:
    """A value as JSON text for people, with a line break at its end."""
    return json.dumps(data, indent=2) + "\n"
