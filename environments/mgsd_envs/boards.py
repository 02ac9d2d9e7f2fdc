"""Tasks whose situations are bit sets on a board: plans found and counted by shifting whole sets at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from mgsd_envs import grid
from mgsd_envs.search import Moves, ShortestPlans
from mgsd_envs.task import Task
from mgsd_envs.types import Cursor, Plan

S = TypeVar("S")


class BoardTask(Task[S]):
    """A task whose legal transitions are a :class:`mgsd_envs.grid.Graph`: 20 to 50 times as fast to solve."""

    @abstractmethod
    def graph(self, state: S) -> tuple[grid.Graph, int, int]:
        """The state's legal transitions as (graph, start bit, goal bits)."""

    def shortest_plans(self, state: S) -> ShortestPlans | None:
        """All shortest plans; their nodes are one-bit sets."""
        graph, start, goal = self.graph(state)
        layers = grid.shortest_layers(graph, start, goal)
        if layers is None:
            return None
        moves: list[dict[Hashable, Moves]] = []
        for here, there in pairwise(layers):
            moves.append({1 << node: _onward(graph, 1 << node, there) for node in grid.bits(here)})
        return ShortestPlans(start, tuple(moves))

    def shortest(self, state: S) -> tuple[Plan, int] | None:
        """One shortest plan and the exact number of shortest plans."""
        return grid.shortest(*self.graph(state))

    def node(self, state: S, cursor: Cursor) -> int:
        """The bit that stands for a cursor in :meth:`graph`: its cell, on the board of its phase if it has one."""
        size = self.level_of(state)
        return cursor[0] * size + cursor[1] + sum(cursor[2:]) * size * size

    def to_go(self, state: S, cursor: Cursor) -> int | None:
        """Fewest actions from a cursor to success; None where success is out of reach."""
        return _distances(self, state).get(self.node(state, cursor))


@lru_cache(maxsize=2048)
def _distances(task: BoardTask[Any], state: Any) -> dict[int, int]:
    """How far each node is from success, for those from which it can be reached."""
    graph, _, front = task.graph(state)
    found: dict[int, int] = {}
    seen = distance = 0
    while front:
        seen |= front
        found.update(dict.fromkeys(grid.bits(front), distance))
        front, distance = graph.before(front) & ~seen, distance + 1
    return found


def _onward(graph: grid.Graph, node: int, wanted: int) -> Moves:
    """The actions that lead from a node into a set of nodes."""
    reached = (
        (action, node << shift if shift > 0 else node >> -shift) for action, mask, shift in graph.moves if node & mask
    )
    return tuple((action, target) for action, target in reached if target & wanted)
