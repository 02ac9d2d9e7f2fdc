"""Episodes: distinct, reproducible, leak-free states with what is known of their difficulty."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from mgsd_envs import grid
from mgsd_envs.splits import Split, split_of
from mgsd_envs.task import Plan, Task, get_task, rollout

if TYPE_CHECKING:
    from mgsd_envs.rendering import Picture

_DRAWS_BEFORE_LISTING = 50
_DRAWS_BEFORE_GIVING_UP = 20_000


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
    """One state to plan in, and how hard it is.

    Attributes:
        id: ``task/level/index``, unique within a suite.
        task: registry name of the task.
        level: grid size.
        split: the split that the state belongs to.
        state: the task's state.
        theme: the look in which the state is drawn.
        plan: one shortest plan.
        plans: exact number of shortest plans.
        detour: whether obstacles make the shortest plan longer than on an empty grid.
        straight: whether the plan that ignores every obstacle succeeds.
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

    @property
    def shortest(self) -> int:
        """Length of the shortest plan, in actions."""
        return len(self.plan)

    def draw(self, size: int = 256) -> Picture:
        """The episode's picture, ``size`` pixels square."""
        return get_task(self.task).draw(self.state, self.theme, size)

    def to_json(self) -> dict[str, Any]:
        """The episode as plain JSON values; what suite digests are taken over."""
        return {
            "id": self.id,
            "task": self.task,
            "level": self.level,
            "split": self.split,
            "theme": self.theme,
            "state": get_task(self.task).to_json(self.state),
        }

    def canonical(self) -> str:
        """:meth:`to_json` as one line, always the same for the same episode."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))


def make_episode(task: Task[Any], level: int, name: str, state: Any, theme: str = "classic") -> Episode:
    """An episode of a known state, measured.

    Raises:
        ValueError: the state has no plan.
    """
    graph, start, goal = task.graph(state)
    found = grid.shortest(graph, start, goal)
    if found is None:
        raise ValueError(f"{name}: no plan solves this state")
    plan, plans = found
    return Episode(
        id=name,
        task=task.name,
        level=level,
        split=split_of(task.key(state)),
        state=state,
        theme=theme,
        plan=plan,
        plans=plans,
        detour=len(plan) > task.free_length(state),
        straight=_is_straight(task, state),
    )


def generate(
    task: Task[Any],
    level: int,
    count: int,
    *,
    split: Split,
    stream: str,
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
        theme: the look.
        mix: difficulty control.
        exclude: keys of states that must not be used.

    Raises:
        TooFewStatesError: the level has fewer distinct states of this kind.
    """
    mix = mix or Mix()
    bands = task.bands(level) if mix.length is None else (mix.length,)
    seen = set(exclude)
    straight = 0
    for index in range(count):
        rng = np.random.Generator(np.random.PCG64(_seed(stream, task.name, level, index)))
        turn, band = divmod(index, len(bands))
        # an even spread over the bands while the budget lasts: every third or fourth turn for a budget of 0.3
        allowed = int((turn + 1) * mix.straight) > int(turn * mix.straight) and straight < mix.straight * (index + 1)
        draw = _Draw(task, level, split, bands[band], mix.density, rng, seen)
        state = draw(straight_allowed=allowed or mix.straight >= 1)
        if state is None:
            raise TooFewStatesError(
                f"{task.name} level {level}, {split} split: only {index} of {count} distinct episodes with a "
                f"shortest plan of {_span(bands[band])} were found; ask for fewer or for other lengths"
            )
        seen.add(task.key(state))
        episode = make_episode(task, level, f"{task.name}/{level}/{index:04d}", state, theme)
        straight += episode.straight
        yield episode


@dataclass(frozen=True, slots=True)
class _Draw:
    """Finds one new state: by drawing at random first, then, where the level can be listed, from the list."""

    task: Task[Any]
    level: int
    split: Split
    length: range
    density: float | None
    rng: np.random.Generator
    seen: Collection[str]

    def __call__(self, *, straight_allowed: bool) -> Any | None:
        listable = self.task.states(self.level) is not None
        for _ in range(_DRAWS_BEFORE_LISTING if listable else _DRAWS_BEFORE_GIVING_UP):
            state = self.task.sample(self.level, self.rng, length=self.length, density=self.density)
            if state is None or (not straight_allowed and _is_straight(self.task, state)):
                continue
            key = self.task.key(state)
            if key not in self.seen and split_of(key) == self.split:
                return state
        if not listable or self.density is not None:
            return None
        listed = [row for row in _listing(self.task, self.level, self.split) if row[1] in self.length]
        left = [row for row in listed if row[0] not in self.seen]
        pool = [row for row in left if straight_allowed or not row[2]] or left
        return pool[int(self.rng.random() * len(pool))][3] if pool else None


@lru_cache(maxsize=32)
def _listing(task: Task[Any], level: int, split: Split) -> list[tuple[str, int, bool, Any]]:
    """Every state of a small level and a split as (key, length of the shortest plan, straight, state)."""
    rows = []
    for state in task.states(level) or ():
        key = task.key(state)
        if split_of(key) == split:
            plan = task.solve(state)
            rows.append((key, len(plan or ()), _is_straight(task, state), state))
    return rows


def _is_straight(task: Task[Any], state: Any) -> bool:
    return rollout(task, state, task.straight(state)).outcome == "solved"


def _seed(*parts: str | int) -> int:
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:16], "big")


def _span(lengths: range) -> str:
    return f"{lengths.start} to {lengths.stop - 1} actions"
