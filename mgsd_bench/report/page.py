"""What the report's page reads: the data of its explorer, and the one place where they become JSON.

Numbers from 0 are packed one a character, :data:`FIRST` standing for 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST = 35
LEFT_OUT = frozenset(
    {"bump", "error", "tokens", "seconds", "kinds", "looped", "shown", "rule", "causes", "again", "text_only"}
)
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
        kinds: of an episode that was acted in step by step, what each turn's actions were, as in
            :class:`mgsd_bench.runs.loop_score.LoopScore`; the route is then that of the actions that were done, and of
            a fatal one.
        looped: whether such an episode holds a loop.
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
    kinds: str | None
    looped: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class ShownData:
    """What was shown in a turn: a picture, or a state as text.

    Attributes:
        sheet: number of the sheet that the picture's tiles are on.
        side: tiles a side.
        cells: packed tile of every cell, in reading order.
        text_only: the state as text, of which there is no picture.
    """

    sheet: int
    side: int
    cells: str
    text_only: str | None


@dataclass(frozen=True, slots=True)
class TurnData:
    """A turn of an episode that was acted in step by step.

    Attributes:
        shown: number of what was shown; None where nothing was.
        actions: packed actions that were tried.
        kinds: of each a letter of :data:`mgsd_bench.runs.loop_score.STEP_KINDS`.
        rule: what the last of them would have broken, or broke, in words.
        causes: of each faulty one what it is due to, in words; None where no state was stated.
        again: where an action is tried in one state more than once in the episode: which time this is, and of how many.
        finish: how the answer ended.
        tokens: how long it is, if known.
        seconds: how long it took, if known.
        text: what the model wrote.
    """

    shown: int | None
    actions: str
    kinds: str
    rule: str | None
    causes: tuple[str, ...] | None
    again: tuple[int, int] | None
    finish: str
    tokens: int | None
    seconds: float | None
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptData:
    """The turns of an episode.

    Attributes:
        to_go: fewest actions to success before the first turn and after each one; -1 where it is out of reach, None
            where the state is too large to know.
        turns: the turns.
    """

    to_go: tuple[int | None, ...]
    turns: tuple[TurnData, ...]


@dataclass(frozen=True, slots=True)
class SheetData:
    """Pixels of a tile, and a PNG of all tiles, one below another."""

    pixels: int
    image: str


@dataclass(frozen=True, slots=True)
class MosaicData:
    """Pixels of a tile, tiles a row, and a PNG of all tiles, row by row."""

    pixels: int
    columns: int
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
        acted: numbers of the answers whose transcripts are in the page, in the order of these.
        seen: the sheets of tiles that transcripts' pictures are made of.
        first: the character code that stands for 0.
    """

    sheets: tuple[SheetData, ...]
    actions: tuple[str, ...]
    ids: tuple[str, ...]
    owners: tuple[int, ...]
    facets: tuple[Facet, ...]
    prompts: tuple[str, ...]
    asked: Mapping[str, Mapping[str, int]]
    acted: tuple[int, ...]
    seen: tuple[MosaicData, ...]
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
