"""Episodes: distinct, reproducible, leak-free states with what is known of their difficulty."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from mgsd_envs import grid
from mgsd_envs.files import well_formed
from mgsd_envs.looks import Look, id_in_look, id_without_look
from mgsd_envs.orbits import split_key
from mgsd_envs.originals import MOST_PIXELS, Original
from mgsd_envs.registry import get_task
from mgsd_envs.rendering import MIN_CELL_PIXELS
from mgsd_envs.rollouts import rollout
from mgsd_envs.splits import SPLIT_BY, Split, SplitBy, split_of
from mgsd_envs.symmetry import SYMMETRIES, TURNED, Symmetry
from mgsd_envs.task import Symmetric, Task
from mgsd_envs.types import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mgsd_envs.rendering import Picture, Pixels

PIXELS = 256
"""Side of the pictures that models are shown unless a suite says otherwise, as in the paper."""

_MOST_DRAWS = 20_000
_MOST_STRAIGHT = 300


class TooFewStatesError(ValueError):
    """More distinct episodes were asked for than there are states of the wanted kind."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Which states of a level to take, and in which proportions.

    Attributes:
        length: allowed lengths of the shortest plan. None takes a third of the episodes from each of the task's
            easy, medium and hard bands.
        density: share of obstacle cells, for tasks that have obstacles to choose; None is the task's own mix.
        straight: largest share of episodes that the ``straight`` plan, which sees no obstacles, may solve. Kept as
            long as the level has enough other states; 1 leaves the share to chance.
    """

    length: range | None = None
    density: float | None = None
    straight: float = 0.3

    def to_json(self) -> dict[str, Any]:
        """The mix as plain JSON values."""
        length = None if self.length is None else [self.length.start, self.length.stop - 1]
        return {"length": length, "density": self.density, "straight": self.straight}


@dataclass(frozen=True, slots=True)
class Episode:
    """One state to plan in, and how hard it is: what a suite is a list of, and what every question is about.

    A model is shown :meth:`shown` or told the state as text, and answers with a plan: action names of the task, carried
    out from the state as it is until success, the first illegal action or the plan's end. Lengths are in actions.

    Attributes:
        id: ``task/level/index``, unique within a suite.
        task: registry name of the task.
        level: grid size n, of n x n cells.
        split: the split that the state belongs to.
        split_by: whether the state by itself decides its split, or its orbit.
        state: the task's state.
        theme: the set of tiles that the state is drawn with.
        plan: one shortest plan.
        plans: exact number of shortest plans; may exceed 64 bits.
        detour: whether obstacles make the shortest plan longer than on an empty grid.
        straight: whether the plan that ignores every obstacle succeeds.
        original: the picture that is shown instead of ours, for an episode of an external test set.
        source: where the state was read, ``file`` or ``file:line`` below the set's root; None for a state of ours.
        perturbation: what is done to the theme's picture, one of :data:`mgsd_envs.perturbations.PERTURBATIONS`.
        severity: how much of it, from 1; 0 where nothing is done.
        pixels: side of the picture that a model is shown.
    """

    id: str
    task: str
    level: int
    split: Split
    state: Any
    theme: str
    plan: Plan
    plans: int
    detour: bool
    straight: bool
    original: Original | None = None
    source: str | None = field(default=None, compare=False)
    split_by: SplitBy = "state"
    perturbation: str | None = None
    severity: int = 0
    pixels: int = PIXELS

    @property
    def look(self) -> Look:
        """How the state is shown: its theme, and what is done to the theme's picture."""
        return Look(self.theme, self.perturbation, self.severity)

    def in_look(self, look: Look, first: Look) -> Episode:
        """The same episode in another look of a list of looks whose first is ``first``; its id says so.

        Raises:
            ValueError: it is to be turned, and its task does not say what that makes of a state.
        """
        name = id_in_look(id_without_look(self.id), look, first)
        shown = self._turned(SYMMETRIES[look.severity]) if look.perturbation == TURNED else self
        return replace(
            shown, id=name, theme=look.theme, perturbation=look.perturbation, severity=look.severity, original=None
        )

    def _turned(self, symmetry: Symmetry) -> Episode:
        task = get_task(self.task)
        if not isinstance(task, Symmetric):
            raise ValueError(f"{self.task} does not say what its states look like in a mirror, or turned")
        state = task.transform(self.state, symmetry)
        turned = make_episode(task, self.level, self.id, state, self.theme, split_by=self.split_by)
        return replace(turned, pixels=self.pixels)

    @property
    def shortest(self) -> int:
        """Length of the shortest plan, in actions."""
        return len(self.plan)

    def draw(self, size: int | None = None) -> Picture | Pixels:
        """Our picture of the state in the episode's look, ``size`` pixels square, or :attr:`pixels` if None."""
        task = get_task(self.task)
        picture = task.draw(self.state, self.theme, size or self.pixels)
        if self.perturbation is None:
            return picture
        from mgsd_envs.perturbations import perturbed

        return perturbed(picture, self.level, self.perturbation, self.severity, task.key(self.state))

    def shown(self, size: int | None = None) -> NDArray[np.uint8]:
        """What a model is shown, uint8 (size, size, 3): the original picture if there is one, else ours.

        ``size`` is :attr:`pixels` if None.

        Raises:
            ValueError: the original cannot be read any more.
        """
        return self.draw(size).rgb() if self.original is None else self.original.pixels(size or self.pixels)

    def to_json(self) -> dict[str, Any]:
        """The episode as plain JSON values; what suite digests are taken over."""
        original = {} if self.original is None else {"original": self.original.sha256}
        by_orbit = {} if self.split_by == "state" else {"split_by": self.split_by}
        pixels = {} if self.pixels == PIXELS else {"pixels": self.pixels}
        return {
            "id": self.id,
            "task": self.task,
            "level": self.level,
            "split": self.split,
            "theme": str(self.look),
            "state": get_task(self.task).to_json(self.state),
            **original,
            **by_orbit,
            **pixels,
        }

    def canonical(self) -> str:
        """:meth:`to_json` as one line, always the same for the same episode."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))


def make_episode(
    task: Task[Any],
    level: int,
    name: str,
    state: Any,
    theme: str = "classic",
    original: Original | None = None,
    source: str | None = None,
    split_by: SplitBy = "state",
) -> Episode:
    """An episode of a known state, measured.

    Args:
        task: the task that the state is one of.
        level: grid size.
        name: the episode's id.
        state: the state; its split follows from it.
        theme: the look in which it is drawn.
        original: a picture that is shown instead of ours.
        source: where the state was read, if it was.
        split_by: whether the state by itself decides its split, or its orbit.

    Raises:
        ValueError: the state has no plan.
    """
    shortest = task.shortest(state)
    if shortest is None:
        raise ValueError(f"{name}: no plan solves this state")
    plan, plans = shortest
    return Episode(
        id=name,
        task=task.name,
        level=level,
        split=split_of(split_key(task, state, split_by)),
        state=state,
        theme=theme,
        plan=plan,
        plans=plans,
        detour=len(plan) > task.obstacle_free_length(state),
        straight=_is_straight(task, state),
        original=original,
        source=source,
        split_by=split_by,
    )


def episode_from_json(data: dict[str, Any]) -> Episode:
    """Inverse of :meth:`Episode.to_json`, with ``source`` if it is there; the state is solved anew.

    Raises:
        KeyError: a field is missing, or the task is not installed.
        ValueError: the state is none of the task's, no plan solves it, or there is no such perturbation.
    """
    task = get_task(data["task"])
    for name in ("id", "theme"):
        if type(data[name]) is not str:
            raise ValueError(f"{name} {str(data[name])[:20]} is no text")
    if type(data["level"]) is not int or not 0 < data["level"] <= grid.MAX_LEVEL:
        raise ValueError(f"level {str(data['level'])[:20]} is no grid size from 1 to {grid.MAX_LEVEL}")
    state, digest = task.from_json(data["state"]), data.get("original")
    original = None if digest is None else Original(str(digest))
    split_by = data.get("split_by", "state")
    if split_by not in SPLIT_BY:
        raise ValueError(f"split_by is {', '.join(SPLIT_BY)}, not {split_by!r:.50}")
    pixels = data.get("pixels", PIXELS)
    if type(pixels) is not int or not MIN_CELL_PIXELS * data["level"] <= pixels <= MOST_PIXELS:
        raise ValueError(f"pixels {str(pixels)[:20]} is no side of a picture from 4 a cell to {MOST_PIXELS}")
    look = Look.parse(data["theme"])
    return replace(
        make_episode(
            task, data["level"], well_formed(data["id"]), state, look.theme, original, data.get("source"), split_by
        ),
        perturbation=look.perturbation,
        severity=look.severity,
        pixels=pixels,
    )


def generate(
    task: Task[Any],
    level: int,
    count: int,
    *,
    split: Split,
    stream: str,
    split_by: SplitBy = "state",
    theme: str = "classic",
    mix: Mix | None = None,
    exclude: Collection[str] = frozenset(),
) -> Iterator[Episode]:
    """Make distinct episodes of one level.

    Episode i has a random stream of its own, seeded by a hash of (stream, task, level, i), and bands take turns, so any
    prefix is as balanced as the whole.

    Args:
        task: the task.
        level: grid size.
        count: how many.
        split: the split that every state must belong to.
        stream: name of the random stream, for example the suite's name.
        split_by: whether each state by itself decides its split, or its orbit.
        theme: the look.
        mix: difficulty control.
        exclude: what must not be used: keys of states or, where orbits are split, of orbits.

    Raises:
        TooFewStatesError: the level has fewer distinct states of this kind.
    """
    mix = mix or Mix()
    bands = [band for band in task.bands(level) if band] if mix.length is None else [mix.length]
    listed = mix.density is None and task.states(level) is not None
    wanted = _Wanted(split, split_by, frozenset(exclude))
    source = _Listed(task, level, wanted) if listed else _Drawn(task, level, wanted, mix.density)
    seen: set[str] = set()
    straight = 0
    for index in range(count):
        rng = np.random.Generator(np.random.PCG64(_seed(stream, task.name, level, index)))
        turn, band = divmod(index, len(bands))
        # an even spread over the bands while the budget lasts: every third or fourth turn for a budget of 0.3
        due = int((turn + 1) * mix.straight) > int(turn * mix.straight)
        free = mix.straight >= 1 or (due and straight < mix.straight * (index + 1))
        state = source.take(bands[band], rng, seen, straight=free)
        if state is None:
            raise TooFewStatesError(
                f"{task.name} level {level}, {split} split: only {index} of {count} distinct episodes with a "
                f"shortest plan of {bands[band].start} to {bands[band].stop - 1} actions were found; ask for fewer "
                "or for other lengths"
            )
        name = f"{task.name}/{level}/{index:04d}"
        episode = make_episode(task, level, name, state, theme, split_by=split_by)
        seen.add(task.key(state))
        straight += episode.straight
        yield episode


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which states of a level may come: those of a split whose deciding key, their own or their orbit's, is free."""

    split: Split
    split_by: SplitBy
    excluded: frozenset[str]

    def has(self, task: Task[Any], state: Any, key: str) -> bool:
        decides = key if self.split_by == "state" else split_key(task, state, self.split_by)
        return split_of(decides) == self.split and decides not in self.excluded


class _Drawn:
    """New states by drawing at random until one fits."""

    def __init__(self, task: Task[Any], level: int, wanted: _Wanted, density: float | None) -> None:
        self._task, self._level, self._wanted, self._density = task, level, wanted, density

    def take(self, length: range, rng: np.random.Generator, seen: Collection[str], *, straight: bool) -> Any | None:
        """A state not seen yet, a straight one only if allowed or if no other turns up; None after many draws."""
        task = self._task
        spare: list[Any] = []
        for _ in range(_MOST_DRAWS):
            state = task.sample(self._level, rng, length=length, density=self._density)
            if state is None:
                continue
            key = task.key(state)
            if key not in seen and self._wanted.has(task, state, key):
                if straight or not _is_straight(task, state):
                    return state
                spare.append(state)
                if len(spare) == _MOST_STRAIGHT:
                    break
        return spare[0] if spare else None


class _Listed:
    """New states of a level that is small enough to list, so that the last one is found as fast as the first."""

    def __init__(self, task: Task[Any], level: int, wanted: _Wanted) -> None:
        listing = _listing(task, level, wanted.split, wanted.split_by)
        self._pools = {kind: list(rows) for kind, rows in listing.items()}
        self._excluded = wanted.excluded

    def take(self, length: range, rng: np.random.Generator, seen: Collection[str], *, straight: bool) -> Any | None:
        """A state not seen yet; a straight one only if allowed or if no other is left. None if there is none."""
        while True:
            pools = {kind: rows for kind, rows in self._pools.items() if rows and kind[0] in length}
            if not straight:
                pools = {kind: rows for kind, rows in pools.items() if not kind[1]} or pools
            if not pools:
                return None
            lengths = sorted({kind[0] for kind in pools})
            chosen = lengths[int(rng.random() * len(lengths))]
            rows, other = pools.get((chosen, False), []), pools.get((chosen, True), [])
            place = int(rng.random() * (len(rows) + len(other)))
            if place >= len(rows):
                rows, place = other, place - len(rows)
            rows[place], rows[-1] = rows[-1], rows[place]
            key, decides, state = rows.pop()
            if key not in seen and decides not in self._excluded:
                return state


@lru_cache(maxsize=32)
def _listing(
    task: Task[Any], level: int, split: Split, split_by: SplitBy
) -> dict[tuple[int, bool], list[tuple[str, str, Any]]]:
    """Every state of a small level and a split, by (length of the shortest plan, straight).

    Each with its key and the key that decides its split.
    """
    pools: dict[tuple[int, bool], list[tuple[str, str, Any]]] = {}
    for state in task.states(level) or ():
        key, decides = task.key(state), split_key(task, state, split_by)
        if split_of(decides) == split:
            kind = (len(task.solve(state) or ()), _is_straight(task, state))
            pools.setdefault(kind, []).append((key, decides, state))
    return pools


def _is_straight(task: Task[Any], state: Any) -> bool:
    return rollout(task, state, task.straight(state)).outcome == "solved"


def _seed(*parts: str | int) -> int:
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:16], "big")
