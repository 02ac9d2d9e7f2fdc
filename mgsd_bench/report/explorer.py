"""Episodes and answers as the explorer of the HTML report reads them: pictures as tiles, plans as routes.

The page knows no task. A picture is a list of tile numbers and a sheet with the tiles; a step of a plan is the tiles
that it changes. Numbers from 0 are packed one a character, :data:`FIRST` standing for 0.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mgsd_bench.analysis.attribution import attribute, stated_facts
from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS, WITH_FACTS
from mgsd_bench.runs.sample import Sample
from mgsd_envs import Cell, Episode, Fact, Picture, Task, get_task, trace
from mgsd_envs.grid import MOVES

Json = dict[str, Any]

FIRST = 35
MOST_ACTIONS = 200
MOST_FACTS = 60
MOST_TEXT = 20_000
_TILE, _BOARD = 64, 1024  # pixels of a tile; tiles of grids that would be larger than the board shrink
_TAIL = 3 * MOST_TEXT // 4


def pack(numbers: Iterable[int]) -> str:
    """Numbers from 0 as text, a character each."""
    return "".join([chr(FIRST + number) for number in numbers])


class _Sheet:
    """The distinct tiles that occur in one look of a task at one grid size."""

    def __init__(self, task: Task[Any], theme: str, size: int) -> None:
        self._pixels = min(_TILE, _BOARD // size)
        self._atlas = task.atlas(theme, size, size * self._pixels)
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._tiles: dict[bytes, tuple[int, Picture]] = {}

    def cells(self, kinds: Sequence[Sequence[int]]) -> list[int]:
        """The tile of every cell, in reading order."""
        numbers = self._numbers
        found = []
        for r, row in enumerate(kinds):
            for c, kind in enumerate(row):
                number = numbers.get((kind, r, c))
                found.append(self._add(kind, r, c) if number is None else number)
        return found

    def _add(self, kind: int, row: int, column: int) -> int:
        tile = self._atlas.tile(kind, row, column)
        number, _ = self._tiles.setdefault(tile.indices.tobytes(), (len(self._tiles), tile))
        self._numbers[kind, row, column] = number
        return number

    def to_json(self) -> Json:
        """Pixels of a tile and a PNG of all tiles, one below another."""
        tiles = [tile for _, tile in self._tiles.values()]
        strip = Picture(np.vstack([tile.indices for tile in tiles]), tiles[0].palette, compress_level=9)
        return {"pixels": self._pixels, "image": data_uri("image/png", strip.png())}


def data_uri(media_type: str, data: bytes) -> str:
    """A file as an address that holds it."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


class Explorer:
    """Everything that the page's explorer shows, in three blocks of text that are safe within a script element.

    Args:
        runs: the runs whose answers to show.

    Attributes:
        index: JSON: the sheets of tiles, the names of the actions, the ids of the episodes, and for every answer its
            episode and its value in every facet that can be filtered by.
        episodes: a line of JSON for every episode: its picture and its shortest plan.
        samples: a line of JSON for every answer: the plan, where it leads in the true and in the believed world, the
            facts that were misread, and the text.

    Raises:
        UserError: the episodes of a run are missing, damaged or not those of its answers.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._sheets: dict[tuple[str, str, int], tuple[int, _Sheet]] = {}
        self._actions: dict[str, int] = {}
        places: dict[str, int] = {}
        episodes: list[Json] = []
        owners: list[int] = []
        facets: list[tuple[str, ...]] = []
        samples: list[Json] = []
        for run in runs:
            known = run.episodes
            for episode in known.values():
                if places.setdefault(episode.canonical(), len(episodes)) == len(episodes):
                    episodes.append(self._episode(episode))
            for sample in _in_order(run, known):
                episode = known[sample.episode]
                owners.append(places[episode.canonical()])
                facets.append((run.model, *_facets(episode, sample)))
                samples.append(self._sample(episode, sample))
        columns = zip(*facets, strict=True) if facets else [()] * len(_FACETS)
        index = {
            "first": FIRST,
            "sheets": [sheet.to_json() for _, sheet in self._sheets.values()],
            "actions": list(self._actions),
            "owners": owners,
            "ids": [episode["id"] for episode in episodes],
            "facets": [_column(name, values) for name, values in zip(_FACETS, columns, strict=True)],
        }
        self.index = in_script(index)
        self.episodes = "\n".join(map(in_script, episodes))
        self.samples = "\n".join(map(in_script, samples))

    def _episode(self, episode: Episode) -> Json:
        world = self._world(get_task(episode.task), episode.theme, episode.state, episode.plan)
        return {"id": episode.id, "plan": self._plan(episode.plan), "picture": _picture_note(episode), **world}

    def _sample(self, episode: Episode, sample: Sample) -> Json:
        task = get_task(episode.task)
        plan = (sample.plan or [])[:MOST_ACTIONS]
        true, stated = task.facts(episode.state), stated_facts(sample)
        believed, note = self._believed(task, episode, sample, plan)
        told = sample.condition in WITH_FACTS
        missing, false = (sorted(facts, key=str) if told else [] for facts in (true - stated, stated - true))
        return {
            "plan": None if sample.plan is None else self._plan(plan),
            "actions": len(sample.plan or ()),
            "route": self._world(task, episode.theme, episode.state, plan)["route"],
            "believed": believed,
            "note": note,
            "facts": [len(true & stated), len(stated), len(true)] if told else None,
            "missing": _shown(missing, episode.level),
            "false": _shown(false, believed["size"] if believed else episode.level),
            "error": sample.error,
            "finish": sample.finish_reason,
            "tokens": sample.completion_tokens,
            "seconds": sample.seconds,
            "text": _shortened(sample.text),
        }

    def _believed(
        self, task: Task[Any], episode: Episode, sample: Sample, plan: Sequence[str]
    ) -> tuple[Json | None, str | None]:
        """The world that an answer states, and what there is to be said instead."""
        if sample.condition not in WITH_FACTS:
            return None, "This condition does not ask for the state."
        stated = stated_facts(sample)
        if stated == task.facts(episode.state):
            return None, "same"
        if not stated:
            return None, "The answer states nothing about the state that can be read."
        try:
            state = task.from_facts(stated)
        except ValueError as error:
            return None, f"The facts that were stated make no complete world: {error}."
        return self._world(task, episode.theme, state, plan), None

    def _world(self, task: Task[Any], theme: str, state: Any, plan: Sequence[str]) -> Json:
        """A state's picture, and what a plan does in it."""
        kinds = task.tile_ids(state)
        size = len(kinds)
        key = (task.name, theme, size)
        if key not in self._sheets:
            self._sheets[key] = (len(self._sheets), _Sheet(task, theme, size))
        number, sheet = self._sheets[key]
        cells = sheet.cells(kinds)
        route = _route(task, state, plan, sheet, cells, size)
        return {"size": size, "sheet": number, "cells": pack(cells), "route": route}

    def _plan(self, plan: Sequence[str]) -> str:
        return pack(self._actions.setdefault(action, len(self._actions)) for action in plan)


def in_script(value: Any) -> str:
    """A value as JSON that cannot end the script element it is in: ASCII without ``<``."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _picture_note(episode: Episode) -> str | None:
    """What there is to be said where the page does not draw what the model was shown."""
    if episode.original is None:
        return None
    return f"Drawn from the state. The model was shown the picture that comes with {episode.source or 'the test set'}."


_FACETS = ("model", "task", "level", "condition", "repeat", "outcome", "attribution", "path")


def _facets(episode: Episode, sample: Sample) -> tuple[str, ...]:
    cause = str(attribute(episode, sample)) if sample.condition == "visual" else "not attributed"
    way = "straight" if sample.straight else "blocked"
    return (sample.task, str(sample.level), sample.condition, str(sample.repeat), sample.outcome, cause, way)


def _column(name: str, values: Sequence[str]) -> Json:
    """A facet: its values, and for every answer which one it has."""
    distinct = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return {"name": name, "values": list(distinct), "codes": pack(distinct[value] for value in values)}


def _in_order(run: Run, known: Mapping[str, Episode]) -> list[Sample]:
    """A run's samples in the order of its episodes."""
    order = {name: i for i, name in enumerate((*known, *CONDITIONS))}
    try:
        return sorted(run.samples, key=lambda sample: (order[sample.episode], order[sample.condition], sample.repeat))
    except KeyError as error:
        raise UserError(f"{run.path}: samples.jsonl and episodes.jsonl do not agree on {error}") from error


def _route(task: Task[Any], state: Any, plan: Sequence[str], sheet: _Sheet, cells: list[int], size: int) -> Json:
    """Where a plan leads.

    ``path`` is the agent's cell before the first action and after each legal one; ``changes`` are, for each legal
    action, pairs of a cell and its new tile; ``illegal`` is the rule broken at last and ``bump`` the way that a move
    was headed then.
    """
    cursors, illegal = trace(task, state, plan)
    changes = []
    for cursor in cursors[1:]:
        after = sheet.cells(task.tile_ids(task.state_at(state, cursor)))
        changes.append(pack(v for i, (a, b) in enumerate(zip(cells, after, strict=True)) if a != b for v in (i, b)))
        cells = after
    return {
        "path": pack(cursor[0] * size + cursor[1] for cursor in cursors),
        "changes": " ".join(changes),
        "illegal": illegal,
        "bump": MOVES.get(plan[len(cursors) - 1], (0, 0)) if illegal else None,
        "solved": len(cursors) > 1 and task.solved(state, cursors[-1]),
    }


def _shown(facts: Sequence[Fact], size: int) -> Json:
    """Facts as text, the first few of them, and the cells that they are about."""
    cells = dict.fromkeys(cell for fact in facts if (cell := _cell(fact, size)))
    return {
        "text": [_fact_text(fact) for fact in facts[:MOST_FACTS]],
        "more": max(0, len(facts) - MOST_FACTS),
        "cells": pack(row * size + column for row, column in cells),
    }


def _cell(fact: Fact, size: int) -> Cell | None:
    match fact:
        case (_, int(row), int(column), *_) if 0 <= row < size and 0 <= column < size:
            return row, column
    return None


def _fact_text(fact: Fact) -> str:
    match fact:
        case (name, int(row), int(column), *rest):
            return " ".join([str(name), f"({row},{column})", *map(str, rest)])
    return " ".join(map(str, fact))


def _shortened(text: str) -> str:
    """A text without its middle, if it is very long."""
    cut = len(text) - MOST_TEXT
    if cut <= 0:
        return text
    return f"{text[: MOST_TEXT - _TAIL]}\n\n[... {cut:,} characters are left out here ...]\n\n{text[-_TAIL:]}"
