"""Whether a stored sample of an episode that was acted in can be what its own actions come to, without its turns."""

from __future__ import annotations

from collections.abc import Iterator

from mgsd_bench.prompts import CONDITIONS
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.loop_score import UNREAD
from mgsd_bench.runs.loop_scoring import ending_of, score_loop
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TurnRecord
from mgsd_envs import Episode

_EFFECTS = {"b": "blocked", "f": "fatal"}
_OF_ACTIONS = (
    "turns", "unread", "actions", "blocked", "useful", "neutral", "harmful", "visits", "distinct", "looped",
    "after_blocked", "repeated", "progress", "kinds",
)  # fmt: skip
"""Counts that follow from the actions of each turn; the others need the view, the texts or the stated states."""


def loop_contradiction(sample: Sample, episode: Episode) -> str | None:
    """What in a sample of a closed loop cannot be; None if nothing is found.

    Args:
        sample: the sample.
        episode: its episode.
    """
    loop = sample.loop
    condition = next((name for name in CONDITIONS if name == sample.condition), None)
    if loop is None or condition is None:
        return "loop is missing, or the condition"
    if len(sample.plan or ()) != loop.actions:
        return "plan does not hold the actions that are counted"
    try:
        turns = list(_turns(sample, loop.kinds))
        found = score_loop(episode, condition, LoopSettings(), turns, ending_of(sample.outcome))
    except ValueError as error:
        return str(error)
    for name in ("outcome", "optimal", "illegal", "steps", "dead_end"):
        if getattr(sample, name) != getattr(found, name):
            return f"{name} is not that of the actions"
    for name in _OF_ACTIONS:
        if getattr(loop, name) != getattr(found.loop, name):
            return f"loop.{name} is not that of the actions"
    return None


def _turns(sample: Sample, kinds: str) -> Iterator[TurnRecord]:
    """The turns as far as their actions go."""
    actions = iter(sample.plan or ())
    for number, letters in enumerate(kinds.split(" ") if kinds else ()):
        tried = [] if letters == UNREAD else [next(actions) for _ in letters]
        effects = [_EFFECTS.get(letter, "done") for letter in letters] if tried else []
        yield TurnRecord(
            episode=sample.episode,
            condition=sample.condition,
            repeat=sample.repeat,
            turn=number,
            prompt_digest="",
            text="",
            finish_reason="stop",
            prompt_tokens=None,
            completion_tokens=None,
            seconds=None,
            form=sample.form,
            facts=[],
            actions=tried,
            effects=effects,
            rule=None,
            before="",
            after="",
        )
