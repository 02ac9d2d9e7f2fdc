"""External test sets: DiffThinker's folders, VisualPlanning's JSONL and Boxoban's files, as our states and plans.

Formats, as their authors write them:

* DiffThinker FrozenLake: a folder with ``table/<i>.txt``, a table of ``@`` (player), ``*`` (goal), ``#`` (hole) and
  ``_`` (ice) behind a heading line and a heading column, and ``metadata.json``, ``{"<i>.png": "DDR"}``; pictures in
  ``img/<i>.png``.
* DiffThinker Maze: a folder with ``<n>_<minimum>_<i>.txt`` (size; row and column of the player; of the goal; then a bit
  mask of walls a cell: north 1, south 2, west 4, east 8) and ``path.json``, ``{"<stem>": "DDR"}``; pictures beside
  them. The minimum counts cells.
* VisualPlanning: ``*.jsonl`` with one record a line, ``meta`` the state and ``input_state`` a shortest trajectory.
  Positions are row * n + column, or [row, column] for MiniBehaviour. Image tokens are ignored.
* Boxoban: ``<i>.txt`` with many levels, see :mod:`mgsd_envs.boxoban`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from mgsd_envs import boxoban
from mgsd_envs.files import open_regular, read_bytes, read_lines, read_text
from mgsd_envs.grid import LETTERS, MOVES
from mgsd_envs.registry import get_task
from mgsd_envs.rollouts import rollout
from mgsd_envs.types import Plan

_MAZES = "*_*_*.txt"
_SIDES = {"left": "west", "down": "south", "right": "east", "up": "north"}
_WALL_BITS = {"up": 1, "down": 2, "left": 4, "right": 8}
_ACTIONS = {move: action for action, move in MOVES.items()}
_MAZE_NAME = re.compile(r"(\d+)_(\d+)_\d+")
_LEVEL_FOLDER = re.compile(r"level(\d+)")
_LEVEL_FIELD = re.compile(rb'"level"\s*:\s*(\d{1,4})')


@dataclass(frozen=True, slots=True)
class ExternalRecord:
    """One record of an external test set.

    Attributes:
        task: registry name of our task with the same rules.
        level: grid size.
        state: the task's state.
        plan: the plan that comes with the record; None if none does.
        minimum: a lower bound on the actions, where the record states one.
        image: the picture that comes with the record; None if none does.
        source: ``file``, or ``file:line`` where a file holds many; of Boxoban ``file:number`` of the level.
    """

    task: str
    level: int
    state: Any
    plan: Plan | None
    minimum: int | None
    image: Path | None
    source: str


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be used.

    Attributes:
        source: ``file``, or ``file:line`` where a file holds many.
        why: what is wrong with it, in one line.
        level: the grid size that its name, folder or line gives, if any.
    """

    source: str
    why: str
    level: int | None = None


Records = Iterator[ExternalRecord | BadRecord]
"""Records as they are read, damaged ones among them."""

Format = Literal["diffthinker-lakes", "diffthinker-mazes", "visualplanning", "boxoban"]


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or file of records in one format."""

    format: Format
    path: Path

    def read(self) -> Records:
        """Its records, in the order of file names, numbers in them counting as numbers, or of lines.

        One that is damaged, has walls that disagree or a position off the grid, or comes with a plan that fails, is a
        :class:`BadRecord`; the others are read all the same.

        Raises:
            OSError: the folder or file cannot be read.
        """
        return _READERS[self.format](self.path)


def read_external(path: Path) -> Records:
    """Read all that :func:`find_sources` finds, as :meth:`Source.read` does.

    Raises:
        OSError: there is no such path, or something there cannot be read.
        ValueError: nothing there has a known format.
    """
    for source in find_sources(path):
        yield from source.read()


def find_sources(path: Path) -> list[Source]:
    """A DiffThinker folder, a file of VisualPlanning or Boxoban, or all that a folder holds of them, in order.

    Raises:
        OSError: there is no such path, or something there cannot be read.
        ValueError: nothing there has a known format.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    paths = _below(path) if path.is_dir() else [path]
    sources = [Source(kind, place) for place in paths if (kind := _format(place))]
    if not sources:
        raise ValueError(
            f"{path}: neither a DiffThinker folder nor a VisualPlanning .jsonl or Boxoban .txt file, nor holds one"
        )
    return sources


def lake_state(
    rows: Sequence[Sequence[str]], player: str = "S", goal: str = "G", hole: str = "H", ice: str = "F"
) -> Any:
    """A FrozenLake state from a grid of marks.

    Raises:
        ValueError: the grid is not square, has another mark than these four, or not one player and one goal.
    """
    if any(len(row) != len(rows) for row in rows):
        raise ValueError(f"the grid is not square: {len(rows)} rows of {sorted({len(row) for row in rows})} cells")
    if unknown := {cell for row in rows for cell in row} - {player, goal, hole, ice}:
        found = ", ".join(sorted(map(repr, unknown)))
        raise ValueError(
            f"unknown marks {found}; a map has {player} (player), {goal} (goal), {hole} (hole), {ice} (ice)"
        )
    cells = {mark: _cells_with(rows, mark) for mark in (player, goal, hole)}
    for mark in (player, goal):
        if len(cells[mark]) != 1:
            raise ValueError(f"one {mark!r} is needed, got {len(cells[mark])}")
    fields = {"size": len(rows), "player": cells[player][0], "goal": cells[goal][0], "holes": cells[hole]}
    return get_task("frozenlake").from_json(fields)


def _cells_with(rows: Sequence[Sequence[str]], mark: str) -> list[list[int]]:
    return [[r, c] for r, row in enumerate(rows) for c, cell in enumerate(row) if cell == mark]


def maze_state(player: Sequence[int], goal: Sequence[int], walled: Callable[[int, int, str], bool], size: int) -> Any:
    """A Maze state from its walls; ``walled(row, column, side)`` says whether that side of a cell is closed.

    Raises:
        ValueError: an opening is closed from its other side, or leads off the grid; a position is off the grid.
    """
    rows = [
        ["".join(letter for letter, side in LETTERS.items() if not walled(r, c, side)) for c in range(size)]
        for r in range(size)
    ]
    return get_task("maze").from_json({"size": size, "player": list(player), "goal": list(goal), "open": rows})


def moves_between(cells: Sequence[Sequence[int]]) -> Plan:
    """The moves of a path of (row, column).

    Raises:
        ValueError: two cells that follow each other are not neighbours.
    """
    moves = []
    for before, after in pairwise(cells):
        action = _ACTIONS.get((after[0] - before[0], after[1] - before[1]))
        if action is None:
            raise ValueError(f"no move leads from {tuple(before)} to {tuple(after)}")
        moves.append(action)
    return tuple(moves)


def _below(folder: Path) -> list[Path]:
    """The folder and everything under it, except what is part of a DiffThinker folder."""
    paths: list[Path] = []
    seen: set[Path] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        if (real := here.resolve()) in seen:  # a link to a folder further up
            folders.clear()
            continue
        seen.add(real)
        paths.append(here)
        if _is_lakes(here):
            folders.clear()
        folders.sort(key=_natural)
        known = (name for name in files if name.endswith(".jsonl") or boxoban.NAME.fullmatch(name))
        paths += [here / name for name in sorted(known, key=_natural)]
    return paths


def _natural(name: str) -> list[tuple[int, str]]:
    return [
        (int(part or -1), "") if part.isascii() and part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def _is_lakes(folder: Path) -> bool:
    return (folder / "table").is_dir() and (folder / "metadata.json").exists()


def _format(path: Path) -> Format | None:
    if not path.is_dir():
        if path.suffix == ".txt":
            return "boxoban" if _begins(path, b";") else None
        return "visualplanning" if path.suffix == ".jsonl" and _mentions_meta(path) else None
    if _is_lakes(path):
        return "diffthinker-lakes"
    return "diffthinker-mazes" if (path / "path.json").exists() and any(path.glob(_MAZES)) else None


def _sorted(paths: Iterator[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: _natural(path.name))


def _mentions_meta(path: Path) -> bool:
    with open_regular(path) as stream:
        return any(b'"meta"' in line for line in read_lines(stream))


def _begins(path: Path, mark: bytes) -> bool:
    with open_regular(path) as stream:
        return stream.read(len(mark)) == mark


def _boxoban(file: Path) -> Records:
    try:
        levels = list(boxoban.read_levels(read_text(file)))
    except UnicodeDecodeError as error:
        yield BadRecord(str(file), _one_line(error))
        return
    for number, rows in levels:
        source = f"{file}:{number}"
        yield _attempt(source, partial(_boxoban_record, rows, source), len(rows) or None)


def _boxoban_record(rows: Sequence[str], source: str) -> ExternalRecord:
    return _record("sokoban", boxoban.room_state(rows), None, None, source)


def _diffthinker_lakes(folder: Path) -> Records:
    plans, trouble = _plans(folder / "metadata.json")
    yield from trouble
    level = _number(_LEVEL_FOLDER.fullmatch(folder.name))
    for file in _sorted((folder / "table").glob("*.txt")):
        image = folder / "img" / f"{file.stem}.png"
        yield _attempt(str(file), partial(_diffthinker_lake, file, image, plans.get(image.name)), level)


def _diffthinker_lake(file: Path, image: Path, plan: Any) -> ExternalRecord:
    lines = read_text(file).splitlines()[1:]
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines if line.strip()]
    return _record("frozenlake", lake_state(rows, "@", "*", "#", "_"), _plan(plan), image, file)


def _diffthinker_mazes(folder: Path) -> Records:
    plans, trouble = _plans(folder / "path.json")
    yield from trouble
    for file in _sorted(folder.glob(_MAZES)):
        level = _number(_MAZE_NAME.fullmatch(file.stem))
        yield _attempt(str(file), partial(_diffthinker_maze, file, plans.get(file.stem)), level)


def _diffthinker_maze(file: Path, plan: Any) -> ExternalRecord:
    size, *numbers = map(int, read_text(file).split())
    if len(numbers) != 4 + size * size:
        raise ValueError(f"a maze of size {size} takes {5 + size * size} numbers, not {1 + len(numbers)}")
    masks = numbers[4:]
    state = maze_state(numbers[:2], numbers[2:4], lambda r, c, side: bool(masks[r * size + c] & _WALL_BITS[side]), size)
    name = _MAZE_NAME.fullmatch(file.stem)
    minimum = int(name[2]) - 1 if name else None
    return _record("maze", state, _plan(plan), file.with_suffix(".png"), file, minimum)


def _plans(file: Path) -> tuple[Mapping[str, Any], list[BadRecord]]:
    """Plans by name; none and what is wrong if the file is damaged."""
    try:
        plans = json.loads(read_bytes(file))
        if not isinstance(plans, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        return {}, [BadRecord(str(file), _one_line(error))]
    return plans, []


def _plan(letters: Any) -> Plan | None:
    if letters is None:
        return None
    if not isinstance(letters, str) or set(letters) - set(LETTERS):
        raise ValueError(f"a plan is letters of LDRU, not {letters!r:.80}")
    return tuple(LETTERS[letter] for letter in letters)


def _visualplanning(file: Path) -> Records:
    with open_regular(file) as stream:
        for number, line in enumerate(read_lines(stream), 1):
            if line.strip():
                source = f"{file}:{number}"
                level = _number(_LEVEL_FIELD.search(line))
                yield _attempt(source, partial(_visualplanning_record, line, source), level)


def _visualplanning_record(line: bytes, source: str) -> ExternalRecord:
    record = json.loads(line)
    match record["meta"]:
        case {"level": int(n), "printer_pos": printer, "start_pos": agent, "table_pos": table}:
            fields = {"size": n, "agent": agent, "printer": printer, "table": table}
            state = get_task("minibehaviour").from_json(fields)
            return _record("minibehaviour", state, _fetching(record["input_state"]), None, source)
        case {"level": int(n), "layout": [*layout], "start_pos": int(start), "target_pos": int(end), **more}:
            if len(layout) != n:
                raise ValueError(f"level {n}, but the layout has {len(layout)} rows")
            plan = moves_between([divmod(cell, n) for cell in record["input_state"]])
            distances: Any = more.get("distance_map", {})
            minimum = distances.get(str(start))
            ends = divmod(start, n), divmod(end, n)
            if isinstance(layout[0][0], dict):
                state = maze_state(*ends, lambda r, c, side: bool(layout[r][c][_SIDES[side]]), n)
                return _record("maze", state, plan, None, source, minimum)
            state = lake_state(layout)
            if (state.player, state.goal) != ends:
                raise ValueError(f"start_pos and target_pos {ends} are not where the layout has S and G")
            return _record("frozenlake", state, plan, None, source, minimum)
    raise ValueError("no record of VisualPlanning: meta needs level, and positions with layout or table_pos")


def _fetching(path: Sequence[Any]) -> Plan:
    """The plan of a trajectory of ([row, column], whether the printer is held)."""
    plan: list[str] = []
    for (before, held), (after, holds) in pairwise(path):
        plan += ["pick" if holds else "drop"] if held != holds else moves_between([before, after])
    return tuple(plan)


def _record(
    task: str, state: Any, plan: Plan | None, image: Path | None, source: Path | str, minimum: int | None = None
) -> ExternalRecord:
    """The record, its plan carried out.

    Raises:
        ValueError: the plan fails, or the minimum is no number.
    """
    if minimum is not None and not isinstance(minimum, int):
        raise ValueError(f"a distance is a whole number, not {minimum!r:.80}")
    if plan is not None:
        result = rollout(get_task(task), state, plan)
        if result.outcome != "solved" or result.steps != len(plan):
            raise ValueError(
                f"its plan does not end at the goal: {result.illegal or result.outcome} after {result.steps}"
            )
    shown = image if image is not None and image.is_file() else None
    return ExternalRecord(task, state.size, state, plan, minimum, shown, str(source))


def _attempt(source: str, read: Callable[[], ExternalRecord], level: int | None) -> ExternalRecord | BadRecord:
    try:
        record = read()
        if level not in (None, record.level):
            raise ValueError(f"a {record.level}x{record.level} grid where its name or place says {level}")
        return record
    except KeyError as error:
        return BadRecord(source, f"field {error} is missing", level)
    except (AttributeError, IndexError, OSError, RecursionError, TypeError, ValueError) as error:
        return BadRecord(source, _one_line(error), level)


def _number(match: re.Match[str] | re.Match[bytes] | None) -> int | None:
    return int(match[1]) if match else None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    return " ".join(str(error).split()) or type(error).__name__


_READERS: Mapping[Format, Callable[[Path], Records]] = {
    "diffthinker-lakes": _diffthinker_lakes,
    "diffthinker-mazes": _diffthinker_mazes,
    "visualplanning": _visualplanning,
    "boxoban": _boxoban,
}
