"""What a task is.

A task is one class in one file, :class:`Task` with its gaps filled in, and one entry point of the group
``mgsd_envs.tasks`` (:mod:`mgsd_envs.registry`). :func:`mgsd_envs.testing.check_task` holds it to what is said here.
"""

from __future__ import annotations

import inspect
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from mgsd_envs.distances import kept_distances
from mgsd_envs.grid import MAX_LEVEL, check_level
from mgsd_envs.search import ShortestPlans, search
from mgsd_envs.statements import Field, asked, facts_from_json, facts_to_json, read_facts, write_facts
from mgsd_envs.types import Cell, Cursor, Fact, Plan

if TYPE_CHECKING:
    import numpy as np

    from mgsd_envs.rendering import Atlas, Picture
    from mgsd_envs.symmetry import Symmetry

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
"""What tasks, actions, rules and themes may be called."""


class Illegal(str):
    """Why an action may not be carried out: the name of a rule of the task (:attr:`Task.rules`)."""


_THIRDS_OF = 100
_NO_LENGTH = 10_000

UNKNOWN_ACTION = Illegal("unknown_action")
"""What every task says of an action that it does not have."""


class MiniGridForm(NamedTuple):
    """What a task's boards are in MiniGrid's words; see :mod:`mgsd_envs.minigrid_bridge`.

    Attributes:
        mission: what MiniGrid's agents are told.
        objects: by the name of a fact about a cell what stands there, as (object, colour); later ones cover earlier
            ones. The walls of ``sides`` are known without.
    """

    mission: str
    objects: Mapping[str, tuple[str, str]]


class Task(ABC, Generic[S]):
    """One planning task: how its states are made, solved, acted in, told and drawn.

    What only the task can know is abstract. The rest has a default that follows from it, and that a task may replace
    by something faster or better.

    States are immutable and hashable, and their boards are square. Every method is pure; randomness comes in through
    ``rng`` alone.

    Attributes:
        name: registry name, for example ``"frozenlake"``; the name of the entry point.
        levels: sizes (cells a side) that are asked about if nothing else is said.
        min_level: smallest size that makes sense; every size from it to ``max_level`` works.
        max_level: largest size, at most 32.
        actions: canonical action names.
        action_words: other names of actions in answers: words, such as ``{"pick": ("pick_up",)}``, or single letters.
        rules: every way in which an action can be illegal: its name, and one line for people.
        fatal: the rules whose breaking ends an episode that is acted in step by step (:func:`mgsd_envs.acting.act`);
            whatever breaks one of the others does nothing there.
        fields: the lines in which a state is told, in their order (:mod:`mgsd_envs.statements`).
        themes: looks that :meth:`atlas` knows; the first is the usual one, and is called ``classic``.
        minigrid: how MiniGrid shows its boards; None where it has no objects for them.
    """

    name: str
    levels: Sequence[int]
    min_level: int
    max_level: int = MAX_LEVEL
    actions: Plan
    action_words: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    rules: ClassVar[Mapping[str, str]]
    fatal: ClassVar[frozenset[str]] = frozenset()
    fields: ClassVar[tuple[Field, ...]]
    themes: tuple[str, ...] = ("classic",)
    minigrid: ClassVar[MiniGridForm | None] = None

    @abstractmethod
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
            level: size.
            rng: the only source of randomness.
            length: allowed lengths of the shortest plan; any if None.
            density: share of obstacle cells, for tasks that have obstacles to choose; the task's own mix if None.

        Returns:
            The state, or None when this draw met no state of the wanted length; draw again.

        Raises:
            ValueError: there is no such level.
        """

    @abstractmethod
    def start(self, state: S) -> Cursor:
        """The cursor before the first action: what changes in a rollout, as whole numbers."""

    @abstractmethod
    def step(self, state: S, cursor: Cursor, action: str) -> Cursor | Illegal:
        """Carry out one of the task's actions: the next cursor, or the rule that the action would break."""

    @abstractmethod
    def solved(self, state: S, cursor: Cursor) -> bool:
        """Whether the episode has ended in success."""

    @abstractmethod
    def state_at(self, state: S, cursor: Cursor) -> S:
        """The state as it is in the middle of a rollout: to tell, draw or encode, not to act in."""

    @abstractmethod
    def facts(self, state: S) -> frozenset[Fact]:
        """The state as a set of atomic facts: ``("size", level)``, and others such as ``("hole", row, column)``."""

    @abstractmethod
    def from_facts(self, facts: Iterable[Fact]) -> S:
        """Rebuild the state that the facts describe, solvable or not.

        Raises:
            ValueError: a necessary fact is missing, contradicted or outside the grid.
        """

    @abstractmethod
    def tile_ids(self, state: S) -> list[list[int]]:
        """What each cell looks like: ``level`` rows of ``level`` numbers that :meth:`atlas` has tiles for."""

    @abstractmethod
    def atlas(self, theme: str, level: int, size: int) -> Atlas:
        """The tiles of a ``level`` x ``level`` grid that is ``size`` pixels square.

        Raises:
            ValueError: unknown theme, or fewer than 4 pixels a cell.
        """

    def resume(self, state: S) -> Cursor:
        """The cursor at which a state goes on that may be one in the middle, of :meth:`state_at` or believed in.

        By default its start, for tasks whose states tell all of what has been done so far.
        """
        return self.start(state)

    def place(self, state: S, cursor: Cursor) -> Cell:
        """The cell of whoever acts, for plans that are drawn or told step by step: the first two numbers of a cursor.

        A task whose cursors begin otherwise says here which cell the last action was about.
        """
        return cursor[0], cursor[1]

    def level_of(self, state: S) -> int:
        """The size of a state, cells a side."""
        return next(int(fact[1]) for fact in self.facts(state) if fact[0] == "size")

    def states(self, level: int) -> Iterator[S] | None:
        """Every state that :meth:`sample` can give, in a fixed order; None where there are too many to list."""
        return None

    def bands(self, level: int) -> tuple[range, range, range]:
        """Lengths of the shortest plan that count as easy, medium and hard at this size; empty ones have no states.

        By default the thirds of the lengths of a hundred draws.
        """
        return _thirds(self, level)

    def shortest_plans(self, state: S) -> ShortestPlans | None:
        """All shortest plans; None if there is none.

        Raises:
            mgsd_envs.errors.SearchError: the state is too large to be searched.
        """

        def moves(cursor: Any) -> Iterator[tuple[str, Cursor]]:
            for action in self.actions:
                if not isinstance(result := self.step(state, cursor, action), Illegal):
                    yield action, result

        return search(self.start(state), moves, lambda cursor: self.solved(state, cursor))  # type: ignore[arg-type]

    def shortest(self, state: S) -> tuple[Plan, int] | None:
        """One shortest plan and the exact number of shortest plans; None if there is none.

        Raises:
            mgsd_envs.errors.SearchError: the state is too large to be searched.
        """
        plans = self.shortest_plans(state)
        return None if plans is None else (plans.first, plans.number)

    def solve(self, state: S) -> Plan | None:
        """One shortest plan; None if there is none.

        Raises:
            mgsd_envs.errors.SearchError: the state is too large to be searched.
        """
        shortest = self.shortest(state)
        return shortest and shortest[0]

    def to_go(self, state: S, cursor: Cursor) -> int | None:
        """Fewest actions from a cursor to success; None where success is out of reach.

        A state's distances are found at once, by going
        through everything that can be done in it, and kept.

        Raises:
            mgsd_envs.errors.SearchError: the state is too large to be searched.
        """

        def after(cursor: Cursor) -> Iterator[Cursor]:
            for action in self.actions:
                if not isinstance(result := self.step(state, cursor, action), Illegal):
                    yield result

        known = kept_distances(self, state, self.start(state), after)
        if cursor not in known:
            known = kept_distances(self, state, cursor, after)
        return known[cursor]

    def straight(self, state: S) -> Plan:
        """The plan of one who sees no obstacles; empty where the task knows no such plan."""
        return ()

    def obstacle_free_length(self, state: S) -> int:
        """Length of the shortest plan if no obstacle stood in the way."""
        return len(self.solve(state) or ())

    def describe(self, state: S) -> str:
        """The state as the text that a planner needs, and no more; :meth:`parse` reads it back."""
        return write_facts(self.facts(state), self.fields)

    def parse(self, text: str) -> frozenset[Fact]:
        """The facts that a text states, in the form of :meth:`describe` or close to it; never raises.

        Takes time linear in the text's length. Where a field is stated more than once the last one counts.
        """
        return read_facts(text, self.fields)

    def questions(self, state: S) -> tuple[tuple[str, str], ...]:
        """Questions about the picture with their answers, each ``field: value`` in the form of :meth:`describe`.

        Together they ask for all of the state that a question does not tell, so that the answers one a line are text
        that :meth:`parse` reads.
        """
        lines = asked(self.describe(state), tuple(one.question for one in self.fields))
        return tuple(line for line in lines if line[0])

    def mission(self, state: S) -> str:
        """What is to be done in this state, in words: what ``{mission}`` in a prompt stands for.

        For tasks whose episodes ask for different things. It must tell nothing else of the state.
        """
        return ""

    @property
    def given(self) -> frozenset[str]:
        """Names of the facts that every question tells, such as a mission: no answer has to state them."""
        return frozenset(one.fact for one in self.fields if one.given)

    def with_given(self, state: S, stated: frozenset[Fact]) -> frozenset[Fact]:
        """Facts that somebody states who was asked about a state, with what the question told; none if none is."""
        seen, given = self.seen(stated), self.given
        return seen | {fact for fact in self.facts(state) if fact[0] in given} if seen and given else seen

    def seen(self, facts: frozenset[Fact]) -> frozenset[Fact]:
        """Facts but those that every question tells: what counts as seen."""
        given = self.given
        return frozenset(fact for fact in facts if fact[0] not in given) if given else facts

    def false_fact(self, state: S, fact: Fact, rng: Random) -> Fact | None:
        """What a faulty reader may state instead of a true fact; None for a fact that it always gets right.

        It may by chance be true as well; ask again then. By default the same of another cell, for facts about cells.
        """
        match fact:
            case (str(name), int(), int(), *labels):
                level = self.level_of(state)
                return name, rng.randrange(level), rng.randrange(level), *labels
        return None

    def draw(self, state: S, theme: str = "classic", size: int = 256) -> Picture:
        """A picture of the state, ``size`` pixels square: the atlas's tiles put together by :meth:`tile_ids`.

        Raises:
            ValueError: unknown theme, or fewer than 4 pixels a cell.
        """
        return self.atlas(theme, self.level_of(state), size).compose(self.tile_ids(state))

    def to_json(self, state: S) -> dict[str, Any]:
        """The state as plain JSON values, with its lists in canonical order; stable across versions."""
        return facts_to_json(self.facts(state))

    def from_json(self, data: dict[str, Any]) -> S:
        """Inverse of :meth:`to_json`, for data of any origin.

        Raises:
            ValueError: the data is not a state of this task, or not one that an episode can start from.
        """
        state = self.from_facts(facts_from_json(data))
        check_level(self.name, self.level_of(state), self.min_level, self.max_level)
        self.check_start(state)
        return state

    def check_start(self, state: S) -> None:
        """Refuse a state that no episode can start from, such as a player in a hole.

        Raises:
            ValueError: it is one.
        """
        if self.solved(state, self.start(state)):
            raise ValueError("the state is solved before the first action")

    def key(self, state: S) -> str:
        """A canonical name of the state: equal exactly for equal states, stable across versions."""
        return f"{self.name}:{json.dumps(self.to_json(state), sort_keys=True, separators=(',', ':'))}"

    @property
    def prompts(self) -> Path:
        """Where the texts are that models are asked with: a folder a prompt set, beside the task's file.

        See :mod:`mgsd_bench.prompts` for what is in them.
        """
        return Path(inspect.getfile(type(self))).with_name("prompts") / self.name


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


@runtime_checkable
class Irreversible(Protocol[S_contra]):
    """What a :class:`Task` may have besides: legal actions after which success is out of reach, and which they are.

    Only for tasks that have such dead ends; elsewhere no plan is looked at for them.
    """

    def hopeless(self, state: S_contra, cursor: Cursor) -> bool:
        """Whether no plan leads from a cursor to success any more. Once true, it stays so whatever is done.

        Raises:
            mgsd_envs.errors.SearchError: that cannot be said of a state as large as this.
        """
        ...


@lru_cache(maxsize=256)
def _thirds(task: Task[Any], level: int) -> tuple[range, range, range]:
    """Bands that a third of a level's states each belong to, as far as lengths let them."""
    import numpy as np

    rng = np.random.default_rng(0)
    drawn = (task.sample(level, rng) for _ in range(_THIRDS_OF))
    lengths = sorted(len(task.solve(state) or ()) for state in drawn if state is not None)
    upper = [lengths[part * (len(lengths) - 1) // 3] for part in (1, 2, 3)] if lengths else [0, 0, 0]
    last = upper.index(upper[-1])  # its band has no end, the ones after it no states
    ends = [end if i < last else _NO_LENGTH for i, end in enumerate(upper)]
    easy, medium, hard = (range(start + 1, end + 1) for start, end in zip([0, *ends], ends, strict=False))
    return easy, medium, hard
