"""What a terminal shows: texts of models, servers, files and plugins stand there as text, and do nothing.

Everything that the commands show goes through :class:`Terminal` or :func:`mgsd_bench.plain.say`; a test sees to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from mgsd_bench.plain import plain


class Terminal(Console):
    """A console that prints text without markup, and of every text only what can be printed."""

    def __init__(self, *, file: IO[str] | None = None, width: int | None = None) -> None:
        super().__init__(markup=False, file=file, width=width)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which has an exit code for it; rich's own would be 1, the gate's."""
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The renderable's segments; those that are not rich's own control codes, cleaned."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
