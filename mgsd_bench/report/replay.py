"""A stored answer replayed in the terminal, turn by turn or action by action, as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mgsd_bench.analysis.stored_answers import StoredAnswer
from mgsd_bench.analysis.transcript import PlayedTurn, Transcript
from mgsd_bench.report.drawing import board_text
from mgsd_bench.report.text import one_line
from mgsd_bench.runs.loop_score import FAULTY, STEP_KINDS
from mgsd_bench.runs.loop_scoring import known_distance
from mgsd_envs import Illegal, get_task, trace
from mgsd_envs.views import FULL

if TYPE_CHECKING:
    from mgsd_bench.runs.loop_scoring import Step
    from mgsd_bench.runs.sample import Sample
    from mgsd_envs import Cursor, Episode, Task

LARGEST_BOARD = 5
"""Cells a side up to which the board is shown in every turn."""
MOST_SAID = 240
_INDENT = "         "
_STALE = {
    "act-stale": "the model was shown the first picture again in every turn",
    "act-blind": "the model was shown the first picture alone",
}


def answer_lines(answer: StoredAnswer) -> Iterator[str]:
    """An answer: what was said, what was done and how far it was to go then, and the outcome.

    Boards are as the view has shown them so far; a ``?`` is a cell that was not shown.
    """
    if answer.transcript is not None:
        yield from _acted(answer.transcript, answer.sample)
    elif answer.sample is not None:
        yield from _at_once(answer.episode, answer.sample)


def _acted(transcript: Transcript, sample: Sample | None) -> Iterator[str]:
    episode, view = transcript.episode, transcript.view
    yield from _heading(episode, transcript.condition, transcript.repeat, "" if view == FULL else f", {view}")
    if transcript.condition in _STALE:
        yield f"({_STALE[transcript.condition]})"
    boards = _Boards(transcript)
    before = transcript.to_go
    for number, turn in enumerate(transcript.turns, 1):
        yield from boards.lines(turn.trail)
        yield f"turn {number:<3} {_said(turn.record.text)}"
        yield from _turn_lines(turn, episode, before)
        before = turn.to_go
    if transcript.turns:
        last = transcript.turns[-1]
        yield from boards.lines((*last.trail, *(step.after for step in last.steps if step.effect == "done")))
    yield "not finished: the run goes on with it when its command is run again" if sample is None else _outcome(sample)


def _at_once(episode: Episode, sample: Sample) -> Iterator[str]:
    task = get_task(episode.task)
    yield from _heading(episode, sample.condition, sample.repeat)
    if episode.level <= LARGEST_BOARD:
        yield from board_text(task, episode.state, (task.start(episode.state),), FULL)
    yield f"said     {_said(sample.text)}"
    plan = sample.plan or []
    cursors, illegal = trace(task, episode.state, plan)
    before = known_distance(task, episode.state, cursors[0])
    for number, (action, cursor) in enumerate(zip(plan, cursors[1:], strict=False), 1):
        now = known_distance(task, episode.state, cursor)
        yield f"{number:<8} {one_line(action)}: done; to go {_arrow(before, now)}"
        before = now
    if illegal:
        rule = _rule(task, illegal)
        yield f"{len(cursors):<8} {one_line(plan[len(cursors) - 1])}: illegal{rule}; what comes after it does not count"
    yield _outcome(sample)


class _Boards:
    """The board as text, where it is small and has changed."""

    def __init__(self, transcript: Transcript) -> None:
        self._of = transcript
        self._last: list[str] = []

    def lines(self, trail: tuple[Cursor, ...]) -> list[str]:
        """The board after a trail; nothing where it is as it was."""
        episode = self._of.episode
        if episode.level > LARGEST_BOARD:
            return []
        *rows, letters = board_text(get_task(episode.task), episode.state, trail, self._of.view)
        old, self._last = self._last, [*rows, letters]
        if old == self._last:
            return []
        shown = rows if old and old[-1] == letters else self._last
        return [f"{_INDENT}{line}".rstrip() for line in shown]


def _heading(episode: Episode, condition: str, repeat: int, view: str = "") -> Iterator[str]:
    again = f", repeat {repeat}" if repeat else ""
    yield one_line(f"{episode.id} · {condition}{view}{again} · shortest plan: {episode.shortest} actions")


def _turn_lines(turn: PlayedTurn, episode: Episode, before: float | None) -> Iterator[str]:
    causes = iter(turn.causes)
    for step in turn.steps:
        due = f", due to {cause}" if step.kind in FAULTY and (cause := next(causes, None)) else ""
        now = math.inf if step.effect == "fatal" else step.to_go
        yield f"{_INDENT}{one_line(step.action)}: {_effect(step, episode)}{due}; to go {_arrow(before, now)}"
        before = now
    if not turn.steps:
        cut = ", it was cut off" if turn.record.finish_reason == "length" else ""
        yield f"{_INDENT}nothing could be read{cut}"
    if turn.again:
        yield f"{_INDENT}(this action in this state: time {turn.again[0]} of {turn.again[1]})"


def _effect(step: Step, episode: Episode) -> str:
    if step.effect == "done":
        return "done" if step.kind == "x" else f"done, {STEP_KINDS[step.kind]}"
    return f"{STEP_KINDS[step.kind]}{_rule(get_task(episode.task), step.rule or '')}"


def _rule(task: Task[object], rule: Illegal | str) -> str:
    return f" ({task.rules.get(rule, 'no such action')})"


def _arrow(before: float | None, now: float | None) -> str:
    first, last = (
        "?" if to_go is None else "out of reach" if math.isinf(to_go) else str(int(to_go)) for to_go in (before, now)
    )
    return first if first == last else f"{first} → {last}"


def _said(text: str) -> str:
    """What was said as one line without control characters, a long one without its middle: its end has the action."""
    line = one_line(text) if text.strip() else "(nothing)"
    return line if len(line) <= MOST_SAID else f"{line[: MOST_SAID // 2]} … {line[-MOST_SAID // 2 :]}"


def _outcome(sample: Sample) -> str:
    """What came of an answer."""
    if sample.error is not None:
        return f"outcome: {sample.outcome} ({one_line(sample.error)})"
    if sample.loop is None:
        actions = "no plan could be read" if sample.plan is None else f"{len(sample.plan)} actions"
        return f"outcome: {sample.outcome}; {actions}, shortest: {sample.shortest}"
    loop = sample.loop
    counts = {
        "blocked": loop.blocked,
        "harmful": loop.harmful or 0,
        "unreadable turns": loop.unread,
    }
    told = "".join(f", {count} {name}" for name, count in counts.items() if count)
    looped = "; one action was tried three times or more in one state" if loop.looped else ""
    total = f"{loop.turns} turns, {loop.actions} actions{told}"
    return f"outcome: {sample.outcome}; {total}, shortest: {sample.shortest}{looped}"
