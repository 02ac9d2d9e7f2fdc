"""Exit codes and the one exception that a user's mistake raises."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Process exit codes of every ``mgsd-bench`` command."""

    OK = 0
    REGRESSION = 1
    USAGE = 2
    NOT_COMPARABLE = 3
    INCONCLUSIVE = 4
    ENGINE = 5
    INTERRUPTED = 130


class UserError(Exception):
    """Something the user can put right.

    The message is one line that names the file or flag and the remedy; the command line prints it without a
    traceback and leaves with ``code``.
    """

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
