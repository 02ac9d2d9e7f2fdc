"""How scripted models act in the closed loop: what each does next, from where an episode stands.

Who sees faultily believes another world in every turn, and who plans faultily takes a step that leads no nearer. The
oracle needs no picture, and ``straight`` looks at none after the first. Under ``act-stale`` all others take the first
picture for that of now; under ``act-blind`` they know by their own reckoning where they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from mgsd_bench.answers.plans import write_plan
from mgsd_envs.acting import act, distance
from mgsd_envs.errors import SearchError
from mgsd_envs.explorer import next_step
from mgsd_envs.faults import misread
from mgsd_envs.registry import get_task
from mgsd_envs.task import Task
from mgsd_envs.types import Cursor, Plan

if TYPE_CHECKING:
    from mgsd_bench.backends import Moment, Request
    from mgsd_bench.backends.scripted import Faults
    from mgsd_envs.views import View


def acting(name: str, faults: Faults, memory: int | None, request: Request, moment: Moment) -> str:
    """What a scripted model answers in a turn.

    Args:
        name: ``oracle``, ``random``, ``straight``, ``explorer``, or a model that faults are planted in.
        faults: how often it goes wrong.
        memory: how many turns an explorer remembers; all if None.
        request: the request.
        moment: where its episode stands.
    """
    rng, episode = random.Random(request.seed), request.episode
    task: Task[Any] = get_task(episode.task)
    trail = moment.trail[:1] if request.condition == "act-stale" and name != "oracle" else moment.trail
    now = task.state_at(episode.state, trail[-1])
    most = moment.chunk or task.level_of(now) ** 2
    believed = now
    if name == "random":
        plan: Plan = tuple(rng.choices(task.actions, k=1 if moment.chunk == 1 else rng.randint(1, most)))
    elif name == "straight":
        whole = task.straight(episode.state) or task.actions[:1]
        plan = whole[moment.steps :] or whole[-1:]  # past its end it insists on the last action
    elif name == "explorer":
        plan = (_explored(task, episode.state, trail, moment.view, memory) or rng.choice(task.actions),)
    else:
        misreads = request.condition != "act-symbolic" and faults.misreading(episode)
        if misreads:
            believed = misread(task, now, rng, misreads)
        state, cursor = (episode.state, trail[-1]) if believed == now else (believed, task.resume(believed))
        plan = _plan(task, state, cursor, most, lambda: rng.random() < faults.planning, rng)
    broken = rng.random() < faults.format
    answer = f"<answer>{write_plan(plan[:most])}{' and so on' if broken else '</answer>'}"
    return f"{task.describe(believed)}\n{answer}" if moment.say_state else answer


def _explored(task: Task[Any], state: Any, trail: Sequence[Cursor], view: View, memory: int | None) -> str | None:
    try:
        return next_step(task, state, trail, view, memory)
    except SearchError:
        return None


def _plan(task: Task[Any], state: Any, cursor: Cursor, most: int, errs: Callable[[], bool], rng: random.Random) -> Plan:
    """A shortest plan from a cursor on, cut to ``most`` actions, with steps that lead no nearer where it errs."""
    plan: list[str] = []
    while len(plan) < most and not task.solved(state, cursor):
        action = _step(task, state, cursor, errs(), rng)
        plan.append(action)
        cursor = act(task, state, cursor, action).cursor
    return tuple(plan) or (rng.choice(task.actions),)


def _step(task: Task[Any], state: Any, cursor: Cursor, wrong: bool, rng: random.Random) -> str:
    """The first action that leads nearer to success; any other one where it is to be wrong, or none does."""
    left = _to_go(task, state, cursor)

    def leads_nearer(action: str) -> bool:
        effect, target, _ = act(task, state, cursor, action)
        return effect == "done" and _to_go(task, state, target) < left

    nearer = filter(leads_nearer, task.actions)
    if not wrong and (first := next(nearer, None)) is not None:
        return first
    others = [action for action in task.actions if not leads_nearer(action)]
    return rng.choice(others) if others else task.actions[0]


def _to_go(task: Task[Any], state: Any, cursor: Cursor) -> float:
    """Fewest actions to success; infinitely many where it is out of reach, or too far to know."""
    try:
        return distance(task, state, cursor)
    except SearchError:
        return inf
