"""What the report's page reads: the data of its explorer, and the one place where they become JSON.

Numbers from 0 are packed one a character, :data:`FIRST` standing for 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST = 35
LEFT_OUT = frozenset({"bump", "error", "tokens", "seconds"})
"""Fields that are not written where they are None: the page takes as long as it has characters to be ready."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a plan leads.

    Attributes:
        path: packed cells of the agent, before the first action and after each legal one.
        changes: for each legal action, packed pairs of a cell and its new tile, with a space between two actions.
        illegal: the rule broken at last.
        bump: the way that a move was headed then, rows and columns.
        solved: whether the goal is reached at the end of the legal actions.
    """

    path: str
    changes: str
    illegal: str | None
    bump: tuple[int, int] | None
    solved: bool


@dataclass(frozen=True, slots=True)
class World:
    """A state's picture, and what a plan does in it.

    Attributes:
        size: cells a side.
        sheet: number of the sheet that its tiles are on.
        cells: packed tile of every cell, in reading order.
        route: of the plan.
    """

    size: int
    sheet: int
    cells: str
    route: Route


@dataclass(frozen=True, slots=True)
class EpisodeData:
    """An episode, its picture as in :class:`World`.

    Attributes:
        id: its name.
        plan: packed actions of its shortest plan.
        picture: what there is to be said where the page does not draw what the model was shown.
        size: cells a side.
        sheet: number of the sheet that its tiles are on.
        cells: packed tile of every cell, in reading order.
        route: of its shortest plan.
    """

    id: str
    plan: str
    picture: str | None
    size: int
    sheet: int
    cells: str
    route: Route


@dataclass(frozen=True, slots=True)
class FactList:
    """Facts as text.

    Attributes:
        text: the first few.
        more: how many others there are.
        cells: packed cells that all of them are about.
    """

    text: tuple[str, ...]
    more: int
    cells: str


@dataclass(frozen=True, slots=True)
class AnswerData:
    """An answer.

    Attributes:
        plan: packed actions, the first few; None where no plan could be read.
        actions: how many there are.
        route: of the plan in the true world.
        believed: the world that the answer states, with the plan in it; None where it states the true one or none.
        note: why there is none: ``same``, or a sentence.
        facts: how many are right, stated and true; None where no state was asked for.
        missing: the facts that are true, but not stated.
        false: the facts that are stated, but not true.
        error: why there is no answer.
        finish: how it ended.
        tokens: how long it is, if known.
        seconds: how long it took, if known.
        text: what the model wrote. It has to stay the last field: the page finds it there without reading the others.
    """

    plan: str | None
    actions: int
    route: Route
    believed: World | None
    note: str | None
    facts: tuple[int, int, int] | None
    missing: FactList
    false: FactList
    error: str | None
    finish: str
    tokens: int | None
    seconds: float | None
    text: str


@dataclass(frozen=True, slots=True)
class SheetData:
    """Pixels of a tile, and a PNG of all tiles, one below another."""

    pixels: int
    image: str


@dataclass(frozen=True, slots=True)
class Facet:
    """Something to filter answers by: its values, and packed for every answer which one it has."""

    name: str
    values: tuple[str, ...]
    codes: str


@dataclass(frozen=True, slots=True)
class Index:
    """What the page reads at once; episodes and answers it reads one by one.

    Attributes:
        sheets: the sheets of tiles.
        actions: names of the actions.
        ids: of the episodes.
        owners: number of the episode of every answer.
        facets: what answers can be filtered by.
        prompts: texts that questions were asked with.
        asked: by model the number of its text by ``task/condition``; empty where its run has no record of them.
        first: the character code that stands for 0.
    """

    sheets: tuple[SheetData, ...]
    actions: tuple[str, ...]
    ids: tuple[str, ...]
    owners: tuple[int, ...]
    facets: tuple[Facet, ...]
    prompts: tuple[str, ...]
    asked: Mapping[str, Mapping[str, int]]
    first: int = FIRST


def pack(numbers: Iterable[int]) -> str:
    """Numbers from 0 as text, a character each."""
    return "".join([chr(FIRST + number) for number in numbers])


def in_script(value: Any) -> str:
    """A value as JSON that cannot end the script element it is in: ASCII without ``<``."""
    return json.dumps(value, separators=(",", ":"), default=_fields).replace("<", "\\u003c")


def _fields(value: Any) -> dict[str, Any]:
    fields = ((name, getattr(value, name)) for name in value.__slots__)
    return {name: content for name, content in fields if content is not None or name not in LEFT_OUT}
