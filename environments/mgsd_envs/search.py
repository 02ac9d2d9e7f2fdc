"""All shortest plans of a state by breadth-first search: one of them, how many there are, and where they lead."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf

from mgsd_envs.errors import SearchError
from mgsd_envs.types import Plan

Moves = tuple[tuple[str, Hashable], ...]
"""Actions, each with the node that it leads to."""

MOST_NODES = 500_000
"""How many nodes a search looks at before it gives up; some seconds."""


@dataclass(frozen=True, slots=True)
class ShortestPlans:
    """Every shortest plan of a state, as the moves that they are made of.

    Attributes:
        start: the node before the first action.
        layers: one mapping an action of a plan: item k holds each node that k actions of a shortest plan lead to, with
            the moves from there that stay on shortest plans. Empty where the start is a goal already.
    """

    start: Hashable
    layers: tuple[Mapping[Hashable, Moves], ...]

    @property
    def first(self) -> Plan:
        """The plan that takes the first of the moves at every node."""
        plan, node = [], self.start
        for layer in self.layers:
            action, node = layer[node][0]
            plan.append(action)
        return tuple(plan)

    @property
    def number(self) -> int:
        """How many plans there are; may exceed 64 bits."""
        ways: dict[Hashable, int] = {self.start: 1}
        for layer in self.layers:
            onward: dict[Hashable, int] = {}
            for node, count in ways.items():
                for _, target in layer[node]:
                    onward[target] = onward.get(target, 0) + count
            ways = onward
        return sum(ways.values())


def search(
    start: Hashable,
    moves: Callable[[Hashable], Iterable[tuple[str, Hashable]]],
    is_goal: Callable[[Hashable], bool],
    most: int = MOST_NODES,
    at_least: Callable[[Hashable], float] | None = None,
) -> ShortestPlans | None:
    """All shortest plans from a node to the nearest goals; None where no goal can be reached.

    Args:
        start: where to begin.
        moves: the legal actions at a node, each with the node that it leads to.
        is_goal: whether a node is a goal.
        most: how many nodes to look at.
        at_least: a number of actions that a plan from a node has at least, infinite where there is none; the nearer to
            the truth, the fewer nodes are looked at.

    Raises:
        SearchError: no goal is among the nearest ``most`` nodes, and there are more.
    """
    if is_goal(start):
        return ShortestPlans(start, ())
    if at_least is None:
        return _search(start, moves, is_goal, most, lambda _: 0, inf)[0]

    @cache
    def known_moves(node: Hashable) -> Moves:
        return tuple(moves(node))

    least = cache(at_least)
    bound = least(start)
    while bound < inf:
        plans, bound = _search(start, known_moves, is_goal, most, least, bound)
        if plans:
            return plans
    return None


def _search(
    start: Hashable,
    moves: Callable[[Hashable], Iterable[tuple[str, Hashable]]],
    is_goal: Callable[[Hashable], bool],
    most: int,
    at_least: Callable[[Hashable], float],
    bound: float,
) -> tuple[ShortestPlans | None, float]:
    """The shortest plans, if they have at most ``bound`` actions, and the next bound to try if they have not."""
    seen, front = {start}, [start]
    layers: list[dict[Hashable, Moves]] = []
    beyond = inf
    while front:
        layer: dict[Hashable, Moves] = {}
        onward: dict[Hashable, None] = {}
        for node in front:
            possible = []
            for action, target in moves(node):
                if target in seen:
                    continue
                length = len(layers) + 1 + at_least(target)
                if length > bound:
                    beyond = min(beyond, length)
                    continue
                possible.append((action, target))
                onward[target] = None
            layer[node] = tuple(possible)
        layers.append(layer)
        if goals := {node for node in onward if is_goal(node)}:
            return ShortestPlans(start, _leading_to(goals, layers)), beyond
        seen.update(onward)
        if len(seen) > most:
            raise SearchError(f"no plan among the nearest {most:,} situations; the state is too large to be searched")
        front = list(onward)
    return None, beyond


def _leading_to(goals: set[Hashable], layers: list[dict[Hashable, Moves]]) -> tuple[Mapping[Hashable, Moves], ...]:
    """The layers cut down to the moves that end at a goal."""
    cut: list[Mapping[Hashable, Moves]] = []
    ends: set[Hashable] = goals
    for layer in reversed(layers):
        kept = {node: tuple(move for move in moves if move[1] in ends) for node, moves in layer.items()}
        cut.append({node: moves for node, moves in kept.items() if moves})
        ends = set(cut[-1])
    return tuple(reversed(cut))
