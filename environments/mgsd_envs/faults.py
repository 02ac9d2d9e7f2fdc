"""What a faulty reader or planner would say: false worlds and plans that fail.

Scripted models go wrong with these at known rates, and so does a teacher whose privileged text is to be false. All
randomness comes in through ``rng``, so the same generator gives the same fault.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from mgsd_envs.rollouts import rollout
from mgsd_envs.task import Task
from mgsd_envs.types import Fact, Plan

_MOST_TRIES = 1000


def misread(task: Task[Any], state: Any, rng: Random, rate: float) -> Any:
    """The state that remains when each fact is replaced, with probability ``rate``, by a false one of the task's.

    Facts that a faulty reader always gets right, such as the size, stay; two things may come to share a cell.

    Args:
        task: the task that the state is one of.
        state: the true state.
        rng: the only source of randomness.
        rate: from 0 (the state itself) to 1 (no fact is left that can be got wrong).
    """
    if rate == 0:
        return state
    true = task.facts(state)
    facts: set[Fact] = set()
    for fact in sorted(true, key=str):
        if fact[0] == "size" or rng.random() >= rate:
            facts.add(fact)
            continue
        tries = (task.false_fact(state, fact, rng) for _ in range(_MOST_TRIES))
        facts.add(next((other for other in tries if other is not None and other not in true), fact))
    return task.from_facts(facts)


def random_state(task: Task[Any], level: int, rng: Random) -> Any:
    """A state of the level that has nothing to do with the question: what one believes who does not look."""
    generator = np.random.default_rng(rng.randrange(2**63))
    while (state := task.sample(level, generator)) is None:
        pass
    return state


def spoil(task: Task[Any], state: Any, plan: Plan, rng: Random) -> Plan:
    """A plan with one action changed or, where no such change makes it fail in the state, its last one left out.

    Args:
        task: the task that the state is one of.
        state: the state that the plan solves.
        plan: a plan of one action or more.
        rng: the only source of randomness.
    """
    spoiled = [
        (*plan[:i], action, *plan[i + 1 :]) for i in range(len(plan)) for action in task.actions if action != plan[i]
    ]
    rng.shuffle(spoiled)
    failing = (changed for changed in spoiled if rollout(task, state, changed).outcome != "solved")
    return next(failing, plan[:-1])
