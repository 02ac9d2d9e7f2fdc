"""Reading files that a user names: regular ones only, so that a pipe or a device is an error at once and no wait."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; never waits.

    Raises:
        OSError: there is none, it may not be read, or it is a folder, a pipe, a device or a socket.
    """
    # a pipe that nobody writes to is opened at once; of what is regular the flag changes nothing
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something special")
    raise OSError(errno.EINVAL, f"{kind}, not a file; write its content to a file first", str(path))


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: as :func:`open_regular`.
    """
    with open_regular(path) as stream:
        return stream.read()


def read_text(path: Path) -> str:
    """The content of a regular file in UTF-8, its line ends as ``\\n``.

    Raises:
        OSError: as :func:`open_regular`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
