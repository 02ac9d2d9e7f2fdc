"""What a terminal shows: texts of models, servers, files and plugins stand there as text, and do nothing.

Everything that the commands show goes through :class:`Terminal` or :func:`mgsd_bench.plain.say`; a test sees to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from mgsd_bench.plain import plain

MOST_COLUMNS = 10_000
"""The most columns that a line of a table may have."""
LONGEST_NAME = 28
"""Columns of a name in a table that does not fit; longer ones are folded."""


class Terminal(Console):
    """A console that prints text without markup, and of every text only what can be printed."""

    def __init__(self, *, file: IO[str] | None = None, width: int | None = None, quiet: bool = False) -> None:
        super().__init__(markup=False, file=file, width=width, quiet=quiet)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which has an exit code for it; rich's own would be 1, the gate's."""
        raise BrokenPipeError

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's own, but that a table of figures is shown whole.

        Where it does not fit, a narrower terminal breaks its lines, and no figure is cut; only names are folded. A
        table that has a column of texts is fitted in.
        """
        widest = max((self._width_of(it) for it in objects if isinstance(it, Table)), default=0)
        given = self._width
        if widest > self.width:
            self.width = widest
        try:
            super().print(*objects, **options)
        finally:
            self._width = given

    def _width_of(self, table: Table) -> int:
        """Columns that a table of figures takes; 0 for other tables."""
        from rich.measure import Measurement

        names, *figures = table.columns
        if not all(column.no_wrap for column in figures):
            return 0
        room = self.options.update(width=MOST_COLUMNS)
        if Measurement.get(self, room, table).maximum > self.width and not names.no_wrap:
            names.max_width, names.overflow = LONGEST_NAME, "fold"
        return Measurement.get(self, room, table).maximum

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The renderable's segments; those that are not rich's own control codes, cleaned."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
