"""Writing files and folders whole or not at all.

What is being written has a name of its own beside its later one, locked while somebody writes it. A process that is
killed leaves that behind, and the next one that writes the same takes it over.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mgsd_bench.errors import UserError

try:
    import fcntl
except ImportError:  # no advisory locks on Windows
    fcntl = None  # type: ignore[assignment]

OF_DRIVES = {
    getattr(errno, name, None)
    for name in ("EIO", "ENODEV", "ENXIO", "ESTALE", "EREMOTEIO", "ETIMEDOUT", "EROFS", "ENOSPC", "EDQUOT", "EFBIG")
} - {None}
"""What goes wrong with a disk or a network drive at any time, in whatever is being done with its files."""


def write_whole(path: Path, content: str | bytes | Iterable[bytes]) -> None:
    """Write a file whole or not at all; also after a loss of power, it is the old one or the new one.

    A device or a pipe is written to, and not replaced by a file.

    Args:
        path: the file.
        content: what it is to hold, at once or part by part, so that it need not be in memory.

    Raises:
        OSError: it cannot be written.
    """
    if _is_special(path):
        append(path, content)
        return
    # without locks, no two processes may share a name
    temporary = path.with_name(f".{path.name}.tmp" if fcntl else f".{path.name}.{os.getpid()}.tmp")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with _locked(temporary, lambda: os.open(temporary, flags, 0o666)) as descriptor:
        try:
            os.ftruncate(descriptor, 0)
            for part in _parts(content):
                rest = memoryview(part)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)  # else the name could be on the disk before what it names
            if fcntl:
                temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    if not fcntl:  # where no open file gets another name
        temporary.replace(path)


def append(path: Path, text: str | bytes | Iterable[bytes]) -> None:
    """Add to a file, a device or a pipe; never waits for a pipe that nobody reads.

    Raises:
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    no_wait = getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | no_wait, 0o666), "ab") as stream:
        if no_wait:
            os.set_blocking(stream.fileno(), True)
        for part in _parts(text):
            stream.write(part)


def remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed while it wrote a file whole has left beside it.

    Nobody else may be writing the file.
    """
    for leftover in path.parent.glob(f".{path.name}.*tmp"):
        leftover.unlink(missing_ok=True)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to be filled, which gets the name ``out`` at the end of the block, or is removed if the block fails.

    Args:
        out: the new folder; it may be there if it is empty.

    Raises:
        OSError: it cannot be written, holds something, or is being written by another process.
    """
    target = out.resolve()
    part = target.with_name(f".{target.name}.part")

    def opened() -> int:
        part.mkdir(parents=True, exist_ok=True)
        return os.open(part, os.O_RDONLY) if fcntl else os.open(os.devnull, os.O_RDONLY)

    with _locked(part, opened, wait=False):
        try:
            for entry in part.iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            yield part
            part.replace(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextmanager
def sole_user(path: Path) -> Iterator[None]:
    """Have a file that is there, and only ever replaced whole, to oneself; free when the process ends, however it ends.

    Raises:
        OSError: another process has it, ``errno.EWOULDBLOCK``, or it cannot be opened.
    """
    with _locked(path, lambda: os.open(path, os.O_RDWR), wait=False):
        yield


@contextmanager
def new_folder(out: Path, told: str) -> Iterator[Path]:
    """:func:`whole_folder` for a folder that a user names.

    Args:
        out: the new folder; it may be there if it is empty.
        told: what a message calls it.

    Raises:
        UserError: it holds something, or cannot be written.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"{told}: already holds something; name a new folder")
        with whole_folder(out) as part:
            yield part
    except OSError as error:
        raise UserError(f"{told}: cannot be written ({error.strerror or error}); name another folder") from error


@contextmanager
def _locked(path: Path, opened: Callable[[], int], *, wait: bool = True) -> Iterator[int]:
    """A file or folder, open in a way in which nobody else has it open.

    Args:
        path: its name.
        opened: opens it.
        wait: until nobody else has it.

    Raises:
        OSError: it cannot be opened, or is another process's and ``wait`` is off.
    """
    descriptor = opened()
    try:
        while fcntl and not _lock(descriptor, path, wait):
            os.close(descriptor)  # whoever had it gave it its later name
            descriptor = opened()
        yield descriptor
    finally:
        with suppress(OSError):  # what had to be on the disk is there, by fsync
            os.close(descriptor)


def _lock(descriptor: int, path: Path, wait: bool) -> bool:
    """Lock what is open; whether it still has its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            raise OSError(error.errno, "another process is writing it", str(path)) from error
        if error.errno not in _NO_LOCKS:
            raise
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF)
"""What some network file systems say to a lock, of folders above all."""


def _is_special(path: Path) -> bool:
    """Whether something is there that is no file of its folder; ``/dev/stdout`` is none even if it leads to one."""
    if not path.exists() or path.is_dir():
        return False
    return not path.is_file() or (path.absolute().parts[1:2] in (("dev",), ("proc",)) and path.is_symlink())


def _parts(content: str | bytes | Iterable[bytes]) -> Iterator[bytes]:
    """A content at once, or its parts in blocks of a megabyte."""
    if isinstance(content, str | bytes):
        yield content.encode() if isinstance(content, str) else content
        return
    held, size = [], 0
    for part in content:
        held.append(part)
        size += len(part)
        if size >= _BLOCK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


_BLOCK = 2**20


def pretty_json(data: Any) -> str:
    """A value as JSON text for people, with a line break at its end."""
    return json.dumps(data, indent=2) + "\n"
