"""What vLLM says when it fails: its own output, kept back, and the one line in it that tells why."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from mgsd_bench.backends.shared import one_line

_POINTER = re.compile("stack trace|root cause")


_ENVIRONMENT = {  # each only where the user has not decided otherwise
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def keep_quiet() -> None:
    """Have vLLM log errors alone, on standard error, and report no use; to be called before it is imported."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if os.environ["VLLM_LOGGING_LEVEL"] == "ERROR":
        logging.getLogger("vllm").setLevel(logging.ERROR)  # parts of it log before it reads the environment


@contextmanager
def stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Send file descriptor 2 of this process, and of those it starts meanwhile, to a file."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)


def reason_of(error: Exception, log: IO[bytes] | None = None) -> str:
    """One line on what went wrong; where the exception only points at the output, the cause that stands there."""
    text = str(error.errors()[0]["msg"]) if hasattr(error, "errors") else str(error)
    if log and _POINTER.search(text):
        text = (
            _logged_error(log) or "the engine process died without a word; it may have been killed for want of memory"
        )
    return one_line(error, text.removeprefix("Value error, "))


def root_of(error: BaseException) -> Exception:
    """The exception that others were raised from: what is wrong, rather than what could not be done."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def _logged_error(log: IO[bytes]) -> str | None:
    """The message of the last exception in a log that does not point at another one itself."""
    size = os.fstat(log.fileno()).st_size
    # read without moving the position that the engine's processes write at
    tail = os.pread(log.fileno(), 2**20, max(0, size - 2**20)).decode(errors="replace")
    messages = re.findall(r"\b[A-Za-z_][\w.]*(?:Error|Exception): (.+)", tail)
    causes = [str(message) for message in messages if not _POINTER.search(message)]
    return causes[-1] if causes else None
