"""The protocol of a task, the rollout of a plan, and the registry of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from mgsd_envs.types import Cursor, Fact, Plan

if TYPE_CHECKING:
    import numpy as np

    from mgsd_envs.grid import Graph
    from mgsd_envs.rendering import Atlas, Picture
    from mgsd_envs.symmetry import Symmetry

S = TypeVar("S")


class Illegal(StrEnum):
    """Why an action may not be carried out."""

    OFF_GRID = "off_grid"
    HOLE = "hole"
    WALL = "wall"
    TABLE = "table"
    PRINTER = "printer"
    PICK_FAR = "pick_far"
    PICK_TWICE = "pick_twice"
    DROP_EMPTY = "drop_empty"
    DROP_FAR = "drop_far"
    UNKNOWN_ACTION = "unknown_action"


class Task(Protocol[S]):
    """One planning task: how its states are made, solved, acted in, told and drawn.

    States are immutable and hashable. Every method is pure; randomness comes in through ``rng`` alone.
    """

    name: str
    """Registry name, for example ``"frozenlake"``."""
    levels: Sequence[int]
    """Grid sizes of the paper's evaluation."""
    min_level: int
    """Smallest grid size that makes sense; every size from it to 32 works."""
    actions: Plan
    """Canonical action names. A task may have ``action_words`` too, a mapping from actions to their other names in
    answers: words, such as ``{"pick": ("pick_up",)}``, or single letters."""
    themes: tuple[str, ...]
    """Looks that :meth:`draw` knows; the first is ``"classic"``, as in the paper."""

    def sample(
        self,
        level: int,
        rng: np.random.Generator,
        *,
        length: range | None = None,
        density: float | None = None,
    ) -> S | None:
        """Draw one solvable state.

        Args:
            level: grid size.
            rng: the only source of randomness.
            length: allowed lengths of the shortest plan; any if None.
            density: share of obstacle cells, for tasks that have obstacles to choose; the task's own mix if None.

        Returns:
            The state, or None when this draw met no state of the wanted length; draw again.
        """
        ...

    def states(self, level: int) -> Iterator[S] | None:
        """Every state that :meth:`sample` can give, in a fixed order; None where there are too many to list."""
        ...

    def bands(self, level: int) -> tuple[range, range, range]:
        """Lengths of the shortest plan that count as easy, medium and hard at this grid size."""
        ...

    def graph(self, state: S) -> tuple[Graph, int, int]:
        """The state's legal transitions as (graph, start bit, goal bits)."""
        ...

    def solve(self, state: S) -> Plan | None:
        """One shortest plan; None if there is none."""
        ...

    def straight(self, state: S) -> Plan:
        """The plan of one who sees no obstacles: straight to each target, vertical moves before horizontal ones."""
        ...

    def obstacle_free_length(self, state: S) -> int:
        """Length of the shortest plan if no obstacle stood in the way."""
        ...

    def start(self, state: S) -> Cursor:
        """The cursor before the first action."""
        ...

    def step(self, state: S, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Carry out one action: the next cursor, or why the action is illegal."""
        ...

    def solved(self, state: S, cursor: Cursor) -> bool:
        """Whether the episode has ended in success."""
        ...

    def state_at(self, state: S, cursor: Cursor) -> S:
        """The state as it is in the middle of a rollout: to tell, draw or encode, not to act in."""
        ...

    def facts(self, state: S) -> frozenset[Fact]:
        """The state as a set of atomic facts."""
        ...

    def from_facts(self, facts: Iterable[Fact]) -> S:
        """Rebuild the state that the facts describe, solvable or not.

        Raises:
            ValueError: a necessary fact is missing, contradicted or outside the grid.
        """
        ...

    def describe(self, state: S) -> str:
        """The state as the text that a planner needs, and no more; :meth:`parse` reads it back."""
        ...

    def parse(self, text: str) -> frozenset[Fact]:
        """The facts that a text states, in the form of :meth:`describe` or close to it; never raises.

        Takes time linear in the text's length. Where a field is stated more than once the last one counts.
        """
        ...

    def questions(self, state: S) -> tuple[tuple[str, str], ...]:
        """Questions about the picture with their answers, each ``field: value`` in the form of :meth:`describe`.

        Together they ask for the whole state, so that the answers one a line are text that :meth:`parse` reads.
        """
        ...

    def tile_ids(self, state: S) -> list[list[int]]:
        """What each cell looks like: ``level`` rows of ``level`` numbers that :meth:`atlas` has tiles for."""
        ...

    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """The tiles of a ``level`` x ``level`` grid that is ``size`` pixels square.

        Raises:
            ValueError: unknown theme, or fewer than 4 pixels a cell.
        """
        ...

    def draw(self, state: S, theme: str = "classic", size: int = 256) -> Picture:
        """A picture of the state, ``size`` pixels square: the atlas's tiles put together by :meth:`tile_ids`.

        Raises:
            ValueError: unknown theme, or fewer than 4 pixels a cell.
        """
        ...

    def __hash__(self) -> int: ...

    def to_json(self, state: S) -> dict[str, Any]:
        """The state as plain JSON values, with its lists in canonical order; stable across versions."""
        ...

    def from_json(self, data: dict[str, Any]) -> S:
        """Inverse of :meth:`to_json`.

        Raises:
            ValueError: the data is not a state of this task.
        """
        ...

    def key(self, state: S) -> str:
        """A canonical name of the state: equal exactly for equal states, stable across versions."""
        ...


@runtime_checkable
class Symmetric(Protocol[S]):
    """What a :class:`Task` may have besides: what its states look like in a mirror, or turned by quarters.

    Only for tasks whose rules know no direction. Splits by orbit (:mod:`mgsd_envs.orbits`) then keep a state and its
    images together; a state of a task without this is an orbit by itself. A task may also have ``orbit_key(state)``,
    where it has a faster way to the least key of the state's eight images.
    """

    def transform(self, state: S, symmetry: Symmetry) -> S:
        """The state under a symmetry of the square.

        It is a state that :meth:`Task.from_json` takes, with plans of the same lengths: those of the state with every
        move mapped by :meth:`mgsd_envs.symmetry.Symmetry.side`. The identity gives the state itself, and one symmetry
        after another gives what both do together.
        """
        ...


class Rollout(NamedTuple):
    """What came of a plan in the simulator.

    A rollout starts at the state's own start and ends at success, at the first illegal action or with the plan.

    Attributes:
        outcome: ``solved`` (success, in one action or more), ``wrong`` (every action legal, ends short of success) or
            ``illegal``.
        steps: legal actions carried out, those behind success left out; for ``illegal`` also the 0-based index of the
            offending action.
        illegal: the rule that was broken, else None.
    """

    outcome: Literal["solved", "wrong", "illegal"]
    steps: int
    illegal: Illegal | None


def rollout(task: Task[S], state: S, plan: Iterable[str]) -> Rollout:
    """Carry out a plan. It ends at success (later actions are ignored) or at the first illegal action."""
    cursors, illegal = trace(task, state, plan)
    steps = len(cursors) - 1
    if illegal:
        return Rollout("illegal", steps, illegal)
    return Rollout("solved" if steps and task.solved(state, cursors[-1]) else "wrong", steps, None)


def trace(task: Task[S], state: S, plan: Iterable[str]) -> tuple[list[Cursor], Illegal | None]:
    """Where a plan leads: the cursor before the first action and after every legal one, and the rule broken at last.

    It ends as in :func:`rollout`.
    """
    cursors = [task.start(state)]
    for action in plan:
        result = task.step(state, cursors[-1], action)
        if isinstance(result, Illegal):
            return cursors, result
        cursors.append(result)
        if task.solved(state, result):
            break
    return cursors, None


def random_plan(task: Task[Any], level: int, rng: Random) -> Plan:
    """A plan of one who does not look: between one and three times the grid size of actions, each drawn evenly."""
    return tuple(rng.choices(task.actions, k=rng.randint(1, 3 * level)))


@cache
def _registry() -> dict[str, Task[Any]]:
    return {point.name: point.load()() for point in entry_points(group="mgsd_envs.tasks")}


def task_names() -> tuple[str, ...]:
    """Names of the installed tasks (entry points of the group ``mgsd_envs.tasks``), in order of registration."""
    return tuple(_registry())


def get_task(name: str) -> Task[Any]:
    """The installed task called ``name``.

    Raises:
        KeyError: there is none.
    """
    return _registry()[name]
