"""Steps and plans: ``step`` on every situation that can be reached, and every way to plan against brute force."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mgsd_envs.grid import inside
from mgsd_envs.rollouts import rollout
from mgsd_envs.search import ShortestPlans
from mgsd_envs.task import Illegal
from mgsd_envs.types import Cursor, Plan

if TYPE_CHECKING:
    from mgsd_envs.testing.contract import Check

_MOST_STEPS = 20_000  # a level
_FEWEST_CURSORS = 50
_WALKS = 10


class Dynamics:
    """Checks states one by one, and keeps which rules were met."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._met: set[str] = set()
        self._counted: dict[Any, tuple[int, int] | None] = {}

    def check_steps(self, state: Any, level: int, share: int) -> None:
        """Everything that can be done in one of ``share`` states of a level, as far as there is time."""
        check = self._check
        with check.working("step, start, solved or place", state):
            before = check.task.facts(state)
            self._counted[state] = self._brute_force(state, level, share)
            check.that(check.task.facts(state) == before, "acting in a state changes it", state)

    def check_plans(self, state: Any) -> None:
        """Plans, bounds on their length, and the moments of one, in a state whose steps were checked."""
        check = self._check
        with check.working("solve, shortest or shortest_plans", state):
            plan = self._check_shortest(state, self._counted[state])
        with check.working("straight or obstacle_free_length", state):
            self._check_bounds(state, plan)
        with check.working("state_at", state):
            self._check_moments(state, plan)

    def warn_of_rules(self) -> None:
        """Say which declared rules no action broke."""
        if missed := [name for name in self._check.task.rules if name not in self._met]:
            name = self._check.task.name
            warnings.warn(f"{name}: no action broke {', '.join(missed)}; are these rules of its?", stacklevel=3)

    def _brute_force(self, state: Any, level: int, share: int) -> tuple[int, int] | None:
        """Length and number of shortest plans, by layers of cursors; None where they are not found in time."""
        task, actions = self._check.task, self._check.task.actions
        most = max(_FEWEST_CURSORS, _MOST_STEPS // (share * len(actions)))
        start = task.start(state)
        self._check_cursor(state, start, level)
        ways, seen = {start: 1}, {start}
        found: tuple[int, int] | None = None
        length = 0
        while ways and len(seen) <= most:
            length += 1
            onward: dict[Cursor, int] = {}
            for cursor, count in ways.items():
                for action in actions:
                    after = self._step(state, cursor, action, level)
                    if after is not None and after not in seen:
                        onward[after] = onward.get(after, 0) + count
            ended = {cursor for cursor in onward if task.solved(state, cursor)}
            if ended and found is None:
                found = length, sum(onward[cursor] for cursor in ended)
            seen |= onward.keys()
            ways = {cursor: count for cursor, count in onward.items() if cursor not in ended}
        self._check.that(found or ways, "no sequence of actions solves a state that sample gives", state)
        return found

    def _step(self, state: Any, cursor: Cursor, action: str, level: int) -> Cursor | None:
        """Where a step leads; None if nowhere."""
        check, task = self._check, self._check.task
        result = task.step(state, cursor, action)
        told = f"step(state, {cursor}, {action!r})"
        check.that(task.step(state, cursor, action) == result, f"{told} gives another result the second time", state)
        if isinstance(result, Illegal):
            check.that(result in task.rules, f"{told} breaks the rule {result!r}, which rules does not have", state)
            self._met.add(result)
            return None
        check.that(not isinstance(result, str), f"{told} gives {result!r}; make it mgsd_envs.Illegal", state)
        self._check_cursor(state, result, level)
        return result

    def _check_cursor(self, state: Any, cursor: Cursor, level: int) -> None:
        check = self._check
        check.that(
            isinstance(cursor, tuple) and all(type(number) is int for number in cursor),
            f"a cursor is a tuple of whole numbers, not {cursor!r:.100}",
            state,
        )
        place = check.task.place(state, cursor)
        check.that(inside(level, place), f"place says {place} of the cursor {cursor}: no cell of the grid", state)

    def _check_shortest(self, state: Any, counted: tuple[int, int] | None) -> Plan:
        check, task = self._check, self._check.task
        plan, shortest, plans = task.solve(state), task.shortest(state), task.shortest_plans(state)
        check.that(plan and shortest and plans, "solve, shortest and shortest_plans do not all find a plan", state)
        assert plan
        assert shortest
        assert plans
        check.that(isinstance(plan, tuple), f"solve gives {plan!r:.100}, which is no tuple", state)
        one, number = shortest
        if counted is not None:
            length, ways = counted
            check.that(len(plan) == length, f"solve gives {len(plan)} actions where {length} are enough", state)
            check.that(number == ways, f"shortest counts {number} shortest plans; there are {ways}", state)
        for what, way in [("solve", plan), ("shortest", one), *self._walks(plans)]:
            done = rollout(task, state, way)
            check.that(done.outcome == "solved", f"the plan of {what} is {done.outcome} in the simulator", state)
            check.that(done.steps == len(way) == len(plan), f"the plan of {what} is no shortest one", state)
        check.that(plans.number == number, f"shortest counts {number} plans, shortest_plans {plans.number}", state)
        return plan

    def _walks(self, plans: ShortestPlans) -> list[tuple[str, Plan]]:
        """Some of the shortest plans, drawn at random."""
        rng = self._check.random("walks")
        drawn = []
        for _ in range(_WALKS):
            node, way = plans.start, []
            for layer in plans.layers:
                action, node = rng.choice(layer[node])
                way.append(action)
            drawn.append(("shortest_plans", tuple(way)))
        return drawn

    def _check_bounds(self, state: Any, plan: Plan) -> None:
        check, task = self._check, self._check.task
        straight, free = task.straight(state), task.obstacle_free_length(state)
        check.that(set(straight) <= set(task.actions), f"straight has actions that are none: {straight!r:.100}", state)
        done = rollout(task, state, straight)
        check.that(
            done.outcome != "solved" or done.steps >= len(plan), "straight is shorter than the shortest plan", state
        )
        check.that(
            type(free) is int and 0 < free <= len(plan),
            f"obstacle_free_length says {free!r} where the shortest plan has {len(plan)} actions",
            state,
        )

    def _check_moments(self, state: Any, plan: Plan) -> None:
        """What ``state_at`` gives along a plan can be told and read back, and every step changes it."""
        check, task = self._check, self._check.task
        cursor = task.start(state)
        check.that(task.state_at(state, cursor) == state, "state_at the start is not the state itself", state)
        told: Mapping[Any, int] = {task.facts(state): 0}
        for number, action in enumerate(plan, 1):
            result = task.step(state, cursor, action)
            assert not isinstance(result, Illegal)
            cursor = result
            now = task.state_at(state, cursor)
            facts = task.facts(now)
            check.that(facts not in told, f"after {number} actions facts says the same as {number - 1} before", state)
            told = {facts: number}
            check.that(
                task.parse(task.describe(now)) == facts,
                f"after {number} actions of its shortest plan parse does not read what describe wrote",
                state,
            )
            check.that(task.from_facts(facts) == now, f"after {number} actions facts do not rebuild the state", state)
            task.draw(now)
