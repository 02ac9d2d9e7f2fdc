"""How scripted models act in the closed loop: what each does next, from where an episode stands.

Who sees faultily believes another world in every turn, and who plans faultily takes a step that leads no nearer. Under
``act-stale`` all of them but the oracle take the first picture for that of now; under ``act-blind`` they know by their
own reckoning where they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mgsd_bench.answers.plans import write_plan
from mgsd_envs.acting import act, nearer
from mgsd_envs.errors import SearchError
from mgsd_envs.explorer import next_step
from mgsd_envs.faults import misread
from mgsd_envs.registry import get_task
from mgsd_envs.task import Task
from mgsd_envs.types import Cursor, Plan

if TYPE_CHECKING:
    from mgsd_bench.backends import Moment, Request
    from mgsd_bench.backends.scripted import Faults


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
        plan: Plan = tuple(rng.choices(task.actions, k=min(most, 1 if moment.chunk == 1 else rng.randint(1, most))))
    elif name == "straight":
        plan = (task.straight(episode.state) or task.actions[:1])[moment.turn :] or task.actions[:1]
    elif name == "explorer":
        plan = (next_step(task, episode.state, trail, moment.view, memory) or rng.choice(task.actions),)
    else:
        misreads = request.condition != "act-symbolic" and faults.misreading(episode)
        if misreads:
            believed = misread(task, now, rng, misreads)
        state, cursor = (episode.state, trail[-1]) if believed == now else (believed, task.resume(believed))
        plan = _plan(task, state, cursor, most, lambda: rng.random() < faults.planning, rng)
    broken = rng.random() < faults.format
    answer = f"<answer>{write_plan(plan[:most])}{' and so on' if broken else '</answer>'}"
    return f"{task.describe(believed)}\n{answer}" if moment.say_state else answer


def _plan(task: Task[Any], state: Any, cursor: Cursor, most: int, errs: Callable[[], bool], rng: random.Random) -> Plan:
    """A shortest plan from a cursor on, cut to ``most`` actions, with steps that lead no nearer where it errs."""
    plan: list[str] = []
    while len(plan) < most and not task.solved(state, cursor):
        best, others = _steps(task, state, cursor)
        wrong = errs()
        choice = (others or best) if wrong else (best or others)
        action = choice[0] if choice is best else rng.choice(choice)
        plan.append(action)
        cursor = act(task, state, cursor, action).cursor
    return tuple(plan) or (rng.choice(task.actions),)


def _steps(task: Task[Any], state: Any, cursor: Cursor) -> tuple[list[str], list[str]]:
    """The actions that lead nearer to success, and the others; none leads nearer where distances cannot be told."""
    try:
        best = nearer(task, state, cursor)
    except SearchError:
        best = ()
    return list(best), [action for action in task.actions if action not in best]
