"""Scoring one episode that was acted in step by step: its turns through the simulator once more. Pure functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from mgsd_bench.answers.reader import Form
from mgsd_bench.prompts import Condition
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.loop_causes import cause_of, worlds
from mgsd_bench.runs.loop_score import FAULTY, UNREAD, LoopScore
from mgsd_bench.runs.scoring import Outcome, Score
from mgsd_bench.runs.turns import TurnRecord
from mgsd_envs import Cell, Cursor, Episode, Illegal, Task, get_task
from mgsd_envs.acting import Effect, act, distance
from mgsd_envs.errors import SearchError
from mgsd_envs.explorer import explorer_steps
from mgsd_envs.views import FULL, View, seen

Ending = Literal["stuck", "out_of_steps", "no_answer", "truncated", "error"]
"""How an episode ends that the simulator does not end, by success or a fatal action."""

LOOP = 3
"""As often as this an action is tried in one state before it counts as a loop."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action of an episode.

    Attributes:
        action: its name.
        effect: what came of it.
        rule: the rule that it would have broken; None where it was done.
        before: the cursor before it.
        after: the cursor after it.
        to_go: fewest actions from there to success; infinite where it is out of reach, None where the state is too
            large to know, or the action was fatal.
        kind: a letter of :data:`mgsd_bench.runs.loop_score.STEP_KINDS`.
    """

    action: str
    effect: Effect
    rule: Illegal | None
    before: Cursor
    after: Cursor
    to_go: float | None
    kind: str


def score_loop(
    episode: Episode, condition: Condition, loop: LoopSettings, turns: Sequence[TurnRecord], ending: Ending | None
) -> Score:
    """Score the turns of one episode.

    Of the score, ``plan`` holds every action tried and ``steps`` counts those done, ``optimal`` means as many actions
    as the shortest plan has, so no blocked one, ``form`` is ``asked`` where all actions were said as the prompt asks,
    ``facts`` are those of the last turn, ``illegal`` is the rule that a fatal action broke, and ``dead_end`` the number
    of a done action.

    Args:
        episode: the episode.
        condition: how it was put.
        loop: the settings that it was asked with.
        turns: its turns, in their order; those of failed requests left out.
        ending: how it ended; None where the simulator ended it.

    Raises:
        ValueError: the turns cannot be those of this episode, or do not end so; one line.
    """
    task = get_task(episode.task)
    by_turn = replay(task, episode.state, turns)
    steps = [step for of_turn in by_turn for step in of_turn]
    last = steps[-1] if steps else None
    solved = last is not None and last.effect == "done" and task.solved(episode.state, last.after)
    fatal = last is not None and last.effect == "fatal"
    if (solved or fatal) != (ending is None):
        raise ValueError(f"an episode that ended as {ending}" if ending else "the last action does not end the episode")
    outcome = Outcome(ending) if ending else Outcome.SOLVED if solved else Outcome.FATAL
    states_said = loop.say_state and loop.view == FULL and condition != "act-symbolic"
    causes = _causes(task, episode.state, turns, by_turn) if states_said else None
    return Score(
        outcome=outcome,
        optimal=solved and len(steps) == episode.shortest,
        plan=tuple(step.action for step in steps) or None,
        form=_form(turns),
        facts=frozenset(tuple(fact) for fact in turns[-1].facts) if turns else frozenset(),
        illegal=last.rule if last is not None and fatal else None,
        steps=sum(step.effect == "done" for step in steps),
        dead_end=next((number for number, step in enumerate(steps, 1) if step.kind == "i"), None),
        loop=_count(task, episode, loop.view, turns, by_turn, causes),
    )


def ending_of(outcome: str) -> Ending | None:
    """How an episode with this outcome ended, as :func:`score_loop` takes it."""
    return None if outcome in (Outcome.SOLVED, Outcome.FATAL) else outcome  # type: ignore[return-value]


def replay(task: Task[Any], state: Any, turns: Sequence[TurnRecord]) -> list[list[Step]]:
    """The actions of each turn through the simulator once more, and what kind of step each was.

    Where a distance to go cannot be known no step of the episode is classed by it.

    Raises:
        ValueError: turns are missing, an action had another effect, or there is one after the end.
    """
    cursor, ended = task.start(state), False
    found: list[list[tuple[str, Effect, Illegal | None, Cursor, Cursor]]] = []
    for number, turn in enumerate(turns):
        if turn.turn != number:
            raise ValueError(f"turn {turn.turn} stands where turn {number} belongs")
        if len(turn.effects) != len(turn.actions):
            raise ValueError(f"turn {number} has {len(turn.actions)} actions and {len(turn.effects)} effects")
        if ended:
            raise ValueError(f"turn {number} comes after the end of the episode")
        found.append([])
        for action, said in zip(turn.actions, turn.effects, strict=True):
            if ended:
                raise ValueError(f"turn {number} goes on after the end of the episode")
            effect, after, rule = act(task, state, cursor, action)
            if effect != said:
                raise ValueError(f"turn {number}: {action[:40]!r} is {effect}, not {said[:40]!r}")
            found[-1].append((action, effect, rule, cursor, after))
            ended = effect == "fatal" or (effect == "done" and task.solved(state, after))
            cursor = after
    return _classed(task, state, found)


def _classed(
    task: Task[Any], state: Any, found: list[list[tuple[str, Effect, Illegal | None, Cursor, Cursor]]]
) -> list[list[Step]]:
    try:
        before: float | None = distance(task, state, task.start(state))
        to_go = {after: distance(task, state, after) for of_turn in found for *_, after in of_turn}
    except SearchError:
        before, to_go = None, {}
    steps: list[list[Step]] = []
    for of_turn in found:
        steps.append([])
        for action, effect, rule, start, after in of_turn:
            now = None if effect == "fatal" else to_go.get(after)
            kind = effect[0] if effect != "done" else _kind(before, now)
            steps[-1].append(Step(action, effect, rule, start, after, now, kind))
            before = now
    return steps


def _kind(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "x"
    if after == before:
        return "n"
    return "u" if after < before else "i" if math.isinf(after) else "h"


def known_distance(task: Task[Any], state: Any, cursor: Cursor) -> float | None:
    """:func:`mgsd_envs.acting.distance`; None where the state is too large to know."""
    try:
        return distance(task, state, cursor)
    except SearchError:
        return None


def _count(
    task: Task[Any],
    episode: Episode,
    view: View,
    turns: Sequence[TurnRecord],
    by_turn: Sequence[Sequence[Step]],
    causes: str | None,
) -> LoopScore:
    steps = [step for of_turn in by_turn for step in of_turn]
    start = task.start(episode.state)
    trail = [start, *(step.after for step in steps if step.effect == "done")]
    pairs = Counter((step.before, step.action) for step in steps)
    followers = [after for before, after in pairwise(steps) if before.effect == "blocked"]
    again = sum(a.effect == "blocked" and a.action == b.action for a, b in pairwise(steps))
    kinds = " ".join("".join(step.kind for step in of_turn) or UNREAD for of_turn in by_turn)
    progress = _progress(task, episode.state, steps)
    partial: tuple[int, int, int] | tuple[None, None, None] = (None, None, None)
    if view != FULL:
        partial = (explorer_steps(task, episode.state, view), *_coverage(task, episode, trail, view))
    return LoopScore(
        turns=len(turns),
        unread=sum(not turn.actions for turn in turns),
        cut=sum(not turn.actions and turn.finish_reason == "length" for turn in turns),
        actions=len(steps),
        blocked=sum(step.effect == "blocked" for step in steps),
        useful=None if progress is None else kinds.count("u"),
        neutral=None if progress is None else kinds.count("n"),
        harmful=None if progress is None else kinds.count("h") + kinds.count("i"),
        visits=len(trail),
        distinct=len(set(trail)),
        looped=max(pairs.values(), default=0) >= LOOP,
        after_blocked=len(followers),
        repeated=again,
        progress=progress,
        kinds=kinds,
        explorer=partial[0],
        seen=partial[1],
        reachable=partial[2],
        misread=None if causes is None else causes.count("s"),
        misplanned=None if causes is None else causes.count("p"),
        causes=causes,
    )


def _progress(task: Task[Any], state: Any, steps: Sequence[Step]) -> float | None:
    """Share of the distance that was covered: max(0, 1 - to go at the end / to go at the start)."""
    if any(step.kind == "x" for step in steps):
        return None
    first = known_distance(task, state, task.start(state))
    last = first if not steps else math.inf if steps[-1].effect == "fatal" else steps[-1].to_go
    if first is None or last is None:
        return None
    return round(max(0.0, 1 - last / first), 6) if last < math.inf else 0.0


def _form(turns: Sequence[TurnRecord]) -> Form:
    forms = {turn.form for turn in turns if turn.actions}
    return "none" if not forms else "asked" if forms == {"asked"} else "loose"


def _coverage(task: Task[Any], episode: Episode, trail: Sequence[Cursor], view: View) -> tuple[int, int]:
    """Cells that can be reached and were ever seen, and cells that can be reached."""
    reachable = _reachable(episode.task, episode.state)
    ever = seen(task, episode.state, trail, View("fog", view.radius))
    return len(ever & reachable), len(reachable)


@lru_cache(maxsize=4_096)
def _reachable(task: str, state: Any) -> frozenset[Cell]:
    of = get_task(task)
    known = {of.start(state)}
    front = list(known)
    while front:
        onward = {
            after
            for cursor in front
            if not of.solved(state, cursor)
            for action in of.actions
            if not isinstance(after := of.step(state, cursor, action), Illegal)
        }
        front = list(onward - known)
        known |= onward
    return frozenset(of.place(state, cursor) for cursor in known)


def _causes(task: Task[Any], state: Any, turns: Iterable[TurnRecord], by_turn: Iterable[Sequence[Step]]) -> str:
    """Of each faulty step what it is due to."""
    found = []
    for turn, steps in zip(turns, by_turn, strict=True):
        if not any(step.kind in FAULTY for step in steps):
            continue
        true = task.state_at(state, steps[0].before)
        stated = task.with_given(true, frozenset(tuple(fact) for fact in turn.facts))
        exact = stated == task.facts(true)
        believed = worlds(task, stated, [step.action for step in steps])
        for step, world in zip(steps, believed, strict=True):
            if step.kind in FAULTY:
                found.append(cause_of(exact, world))
    return "".join(found)
