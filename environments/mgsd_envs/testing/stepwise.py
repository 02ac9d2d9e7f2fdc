"""Acting step by step: the distance to go everywhere, and what is left of a state that is seen in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mgsd_envs.acting import act
from mgsd_envs.errors import SearchError
from mgsd_envs.explorer import next_step
from mgsd_envs.exploring import Explorable, View, seen
from mgsd_envs.task import Illegal
from mgsd_envs.types import Cell, Fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mgsd_envs.testing.contract import Check

_MOST_CURSORS = 120  # a level
_FEWEST_CURSORS = 8
_VIEWS = (View("fog", 1), View("fog", 2), View("window", 1))
_VARIANTS = 5


def check_stepwise(check: Check, state: Any, level: int, share: int) -> None:
    """The distance to go in one of ``share`` states of a level, and the views of a task that has partial ones."""
    with check.working("to_go", state):
        _check_to_go(check, state, share)
    task: Any = check.task
    parts = [hasattr(task, "optimistic"), hasattr(task, "landmarks")]
    check.that(all(parts) or not any(parts), "has one of optimistic and landmarks, but not the other")
    if isinstance(task, Explorable):
        names = {one.fact for one in check.task.fields}
        check.that(
            isinstance(task.landmarks, tuple) and names.issuperset(task.landmarks),
            f"landmarks {task.landmarks!r:.100} must be a tuple of names of facts",
        )
        with check.working("optimistic, or atlas with the level of a window,", state):
            for view in _VIEWS:
                _check_view(check, state, level, view)
            for theme in check.task.themes:
                for tile_id in {tile_id for row in check.task.tile_ids(state) for tile_id in row}:
                    check.task.atlas(theme, 3, 256).tile(tile_id, 1, 1)


def _check_to_go(check: Check, state: Any, share: int) -> None:
    """The distances of situations drawn at random.

    Each is one more than the least behind one action, and 0 at success: no other numbers are so everywhere.
    """
    task = check.task
    start = task.start(state)
    try:
        first = task.to_go(state, start)
    except SearchError:
        return
    plan = task.solve(state) or ()
    check.that(first == len(plan), f"to_go says {first} at the start, and solve gives {len(plan)} actions", state)
    rng = check.random("to_go", task.key(state))
    waiting, met = [start], {start}
    for _ in range(max(_FEWEST_CURSORS, _MOST_CURSORS // share)):
        if not waiting:
            break
        cursor = waiting.pop(rng.randrange(len(waiting)))
        said = task.to_go(state, cursor)
        if task.solved(state, cursor):
            check.that(said == 0, f"to_go says {said} at {cursor}, which is a success", state)
            continue
        results = (task.step(state, cursor, action) for action in task.actions)
        onward = [result for result in results if not isinstance(result, Illegal)]
        known = [distance for distance in (task.to_go(state, after) for after in onward) if distance is not None]
        true = 1 + min(known) if known else None
        check.that(said == true, f"to_go says {said} at {cursor}, and {true} by what it says one action on", state)
        waiting += dict.fromkeys(after for after in onward if after not in met)
        met.update(onward)


def _check_view(check: Check, state: Any, level: int, view: View) -> None:
    """The explorer finds its way, breaks no rule, and nothing hidden makes a difference to what it believes in."""
    task: Any = check.task
    known = task.landmarks if view.kind == "fog" else ()
    facts, trail = task.facts(state), [task.start(state)]
    everything = seen(task, state, trail, View("full"))
    whole = task.optimistic(state, trail[0], everything, ())
    check.that(whole == state, "optimistic changes a state of which every cell was seen", state)
    while not task.solved(state, trail[-1]):
        cells = seen(task, state, trail, view)
        world = task.optimistic(state, trail[-1], cells, known)
        told, now = task.facts(task.state_at(world, trail[-1])), task.facts(task.state_at(state, trail[-1]))
        for fact in told ^ now:
            shown = len(fact) < 3 or fact[1:3] in cells or fact[0] in known
            check.that(not shown, f"optimistic, {view}: {fact} is wrong after {len(trail) - 1} actions", state)
        for other in _variants(check, facts, cells, known, len(trail)):
            check.that(
                task.state_at(task.optimistic(other, trail[-1], cells, known), trail[-1])
                == task.state_at(world, trail[-1]),
                f"optimistic, {view}: it depends on cells that were not seen after {len(trail) - 1} actions",
                state,
            )
        action = next_step(task, state, trail, view)
        check.that(action is not None, f"optimistic, {view}: leaves no plan after {len(trail) - 1} actions", state)
        assert action is not None
        done = act(task, state, trail[-1], action)
        check.that(done.effect == "done", f"optimistic, {view}: the first action {action} breaks {done.rule}", state)
        trail.append(done.cursor)
        check.that(
            len(trail) <= 1 + len(task.actions) * level**4, f"optimistic, {view}: the explorer goes in circles", state
        )


def _variants(
    check: Check, facts: frozenset[Fact], cells: frozenset[Cell], known: Sequence[str], number: int
) -> list[Any]:
    """States that differ only in facts about cells that were not seen, possible or not."""
    task, rng = check.task, check.random("variants", number)
    hidden = [fact for fact in facts if len(fact) > 2 and fact[1:3] not in cells and fact[0] not in known]
    state = task.from_facts(facts)
    found = []
    for _ in range(_VARIANTS if hidden else 0):
        fact = rng.choice(sorted(hidden, key=str))
        false = task.false_fact(state, fact, rng)
        if false is not None and false[1:3] not in cells:
            try:
                found.append(task.from_facts(facts - {fact} | {false}))
            except ValueError:
                continue
    return found
