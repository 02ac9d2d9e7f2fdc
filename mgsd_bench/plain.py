"""Text of others as text that does nothing, and printing it; light, since it is on the way to every help."""

from __future__ import annotations

import sys

LONGEST = 600
"""The most characters of an error message that are shown."""


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print text as it is, but for what cannot be printed."""
    print(plain(text), end=end, file=sys.stderr if err else sys.stdout, flush=True)


def say_error(message: str) -> None:
    """Print an error as one line on stderr."""
    say(f"mgsd-bench: {error_line(message)}", err=True)


def error_line(message: str) -> str:
    """An error as one line that can be shown; of a very long one the middle is left out: its end has the remedy."""
    line = " ".join(plain(message).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


def plain(text: str) -> str:
    """Text whose control characters, escape sequences' beginnings, direction marks and lone surrogates are blanks.

    Line feeds and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
