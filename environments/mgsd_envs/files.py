"""Reading files that a user names, or that somebody else wrote: regular ones only, and never without end.

A pipe or a device is an error at once and no wait, a file without measure an error and no memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LARGEST = 2**23
"""The most bytes of a file that is read whole, where nothing else is said: records and figures have far fewer."""
LONGEST_LINE = 2**26
"""The most bytes of a line: an answer of 4 MiB, escaped, with a plan of as many actions, has fewer."""

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


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: as :func:`open_regular`, or it has more than ``most`` bytes.
    """
    with open_regular(path) as stream:
        # its size comes first: a file with a hole may have any
        if os.fstat(stream.fileno()).st_size <= most and len(data := stream.read(most + 1)) <= most:
            return data
    raise OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))


def read_text(path: Path, most: int = LARGEST) -> str:
    """The content of a regular file in UTF-8, its line ends as ``\\n``.

    Raises:
        OSError: as :func:`read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def well_formed(text: str) -> str:
    """Text in which a lone surrogate, which neither UTF-8 nor a table of texts can hold, stands as ``\\ud800``.

    JSON can hold them, and so can names of files that are not UTF-8.
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def read_lines(stream: BinaryIO, most: int = LONGEST_LINE) -> Iterator[bytes]:
    """The lines of a stream, as they are.

    Raises:
        OSError: one has more than ``most`` bytes.
    """
    number = 1
    while line := stream.readline(most + 1):
        if len(line) > most:
            raise OSError(errno.EFBIG, f"line {number} has more than {most:,} bytes", stream.name)
        yield line
        number += 1
