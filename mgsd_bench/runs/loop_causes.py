"""What a faulty step is due to: seeing or planning, told apart by the state that was stated in its turn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from mgsd_envs import Fact, Task
from mgsd_envs.acting import act, distance
from mgsd_envs.errors import SearchError

Verdict = Literal["right", "wrong", "nowhere"]
"""What an action is in the state that was stated: it leads nearer to success, it does not, or nothing does there."""


def worlds(task: Task[Any], stated: Iterable[Fact], actions: Sequence[str]) -> list[Verdict | None]:
    """What each of a turn's actions is in the state that the turn states, one after another.

    Args:
        task: the task.
        stated: the facts that were stated.
        actions: the turn's actions.

    Returns:
        One an action; None where the facts describe no state, or one too large to be searched.
    """
    try:
        state = task.from_facts(stated)
        cursor = task.resume(state)
        before = distance(task, state, cursor)
        found: list[Verdict | None] = []
        for action in actions:
            effect, cursor, _ = act(task, state, cursor, action)
            now = distance(task, state, cursor)
            nowhere = before in (0, math.inf)
            found.append("nowhere" if nowhere else "right" if effect == "done" and now < before else "wrong")
            before = now
    except (ValueError, SearchError):
        return [None] * len(actions)
    return found


def cause_of(exact: bool, verdict: Verdict | None) -> str:
    """The cause of a faulty step, a letter of :data:`mgsd_bench.runs.loop_score.CAUSES`; as for plans said at once.

    - ``planning``: the stated state is just the true one.
    - ``seeing``: another state is stated, and the step is right there, or no step is.
    - ``both``: another state is stated, and the step is wrong there too.
    - ``unstated``: no complete state is stated.

    Args:
        exact: whether just the true state was stated.
        verdict: what the step is in the state that was stated.
    """
    if exact:
        return "p"
    if verdict is None:
        return "u"
    return "b" if verdict == "wrong" else "s"
