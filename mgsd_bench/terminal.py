"""What a terminal shows: texts of models, servers, files and plugins stand there as text, and do nothing.

Everything that the commands show goes through :class:`Terminal` or :func:`say`; a test holds them to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

LONGEST = 600
"""The most characters of an error message that are shown."""


class Terminal(Console):
    """A console that prints text without markup, and of every text only what can be printed."""

    def __init__(self, *, file: IO[str] | None = None, width: int | None = None) -> None:
        super().__init__(markup=False, file=file, width=width)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The renderable's segments; those that are not rich's own control codes, cleaned."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print text as it is, but for what cannot be printed."""
    print(plain(text), end=end, file=sys.stderr if err else sys.stdout, flush=True)


def say_error(message: str) -> None:
    """Print an error as one line on stderr; of a very long one the middle is left out, since its end has the remedy."""
    line = " ".join(plain(message).split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
    say(f"mgsd-bench: {line}", err=True)


def plain(text: str) -> str:
    """Text whose control characters, escape sequences' beginnings, direction marks and lone surrogates are blanks.

    Line feeds and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
