"""Exit codes, the one exception that a user's mistake raises, and how a front end spells the settings in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum


class Exit(IntEnum):
    """Process exit codes of every ``mgsd-bench`` command."""

    OK = 0
    REGRESSION = 1
    USAGE = 2
    NOT_COMPARABLE = 3
    INCONCLUSIVE = 4
    ENGINE = 5
    SOFTWARE = 70
    INTERRUPTED = 130


SettingValue = str | bool | None
"""What a message shows of a setting: its value, that it is switched on (True), or no more than its name (None)."""

Spelling = Callable[[str, SettingValue], str]
"""How a front end writes a setting, by its name and value."""

_ON = "\x05"
_MARKED = re.compile("\x02([^\x02-\x05]+)(?:\x03([^\x04]*))?\x04")  # characters that no message has otherwise
_FLAGS = {"conditions": "--condition", "engine": "-M", "folder": "--dir", "overrides": "--set"}


class UserError(Exception):
    """Something the user can put right.

    The message is one line that names the file or setting and the remedy. Settings in it are written by
    :func:`option`; ``str(error)`` spells them as Python does, and every other front end as its users write them.

    Attributes:
        message: the line with its settings marked, to be put into another message.
        code: the exit code that a command leaves with.
    """

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        self.message = " ".join(message.split())
        super().__init__(spell(self.message, python))
        self.code = code

    @property
    def option(self) -> str | None:
        """Name of the setting that the message is about, as it is in Python; None if it is about something else."""
        return setting_of(self.message)

    def spelled(self, spelling: Spelling) -> str:
        """The message for the users of one front end."""
        return spell(self.message, spelling)


def option(name: str, value: object = None) -> str:
    """A setting as part of a message, marked so that the front end can spell it.

    Args:
        name: what it is called in Python; ``engine.KEY`` is an argument of the backend itself.
        value: what to show with it; True for a switch that is on, None for the name alone.
    """
    return f"\x02{name}\x04" if value is None else f"\x02{name}\x03{_ON if value is True else value}\x04"


def setting_of(text: str) -> str | None:
    """Name of the setting that a text begins with; None if it begins with something else."""
    mark = _MARKED.match(text)
    return mark[1] if mark else None


def spell(text: str, spelling: Spelling) -> str:
    """A text with its marked settings written as a front end's users write them."""
    return _MARKED.sub(lambda mark: spelling(mark[1], mark[2] == _ON or mark[2]), text)


def python(name: str, value: SettingValue) -> str:
    """``limit=0``; ``engine['batch_size']=0`` for an argument of the backend."""
    outer, _, key = name.partition(".")
    shown = f"{outer}[{key!r}]" if key else outer
    return shown if value is None else f"{shown}={value}"


def command_line(name: str, value: SettingValue) -> str:
    """``--limit 0``; ``-M batch_size=0`` for an argument of the backend; a switch that is on is its flag alone."""
    outer, _, key = name.partition(".")
    flag = _FLAGS.get(outer) or f"--{outer.replace('_', '-')}"
    if key:
        return f"{flag} {key}" if value is None else f"{flag} {key}={value}"
    return f"{flag} {value}" if isinstance(value, str) else flag
