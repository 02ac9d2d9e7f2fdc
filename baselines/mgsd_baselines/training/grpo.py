"""Group-relative policy optimisation with the simulator's verdict as reward: the baseline without a teacher.

The student answers its prompt, text and picture, several times; an answer is worth what the evaluation's own parser and
simulator make of it, compared with the others to the same prompt (GRPO, arXiv 2402.03300).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mgsd_baselines.training.rollouts import Step, score_rollout, score_step
from mgsd_bench.runs.scoring import Outcome, Score

Completion = str | Sequence[object] | None
"""An answer as TRL hands it over: a text, or the messages of a conversation."""
Reward = Callable[..., list[float] | list[float | None]]


def success(
    completions: Sequence[Completion], episode: Sequence[str], tried: Sequence[str | None] | None = None, **_: object
) -> list[float]:
    """1 for an answer whose plan solves the episode, in the closed loop for a step that leads nearer, else 0.

    Args:
        completions: the answers, as messages or as texts.
        episode: canonical JSON of the episode that each is about.
        tried: of each answer to a turn of the closed loop the actions before it, as a JSON list; None of others.
    """
    return [
        float(_nearer(scored) if isinstance(scored, Step) else scored.outcome == Outcome.SOLVED)
        for scored in _scores(completions, episode, tried)
    ]


def optimal(
    completions: Sequence[Completion], episode: Sequence[str], tried: Sequence[str | None] | None = None, **_: object
) -> list[float]:
    """1 for an answer whose plan solves the episode in as few actions as possible, else 0; see :func:`success`."""
    return [
        float(_nearer(scored) if isinstance(scored, Step) else scored.optimal)
        for scored in _scores(completions, episode, tried)
    ]


def format(  # noqa: A001 - its name in logs
    completions: Sequence[Completion], episode: Sequence[str], tried: Sequence[str | None] | None = None, **_: object
) -> list[float]:
    """1 for an answer with a state, and a plan in the form asked for, right or wrong, else 0; see :func:`success`.

    In the closed loop 1 for a step in the form asked for.
    """
    return [
        float(scored.form == "asked" and (isinstance(scored, Step) or bool(scored.facts)))
        for scored in _scores(completions, episode, tried)
    ]


def progress(
    completions: Sequence[Completion], episode: Sequence[str], tried: Sequence[str | None] | None = None, **_: object
) -> list[float | None]:
    """What a step in the closed loop gains: 1 if it leads nearer, -1 if it leads away, out of reach or nowhere.

    A step that changes no distance, or is not possible, is worth 0, and an answer without a step -1: a blocked step
    costs a turn, but takes nothing away. None for an answer that is no step; see :func:`success`.
    """
    return [_gain(scored) if isinstance(scored, Step) else None for scored in _scores(completions, episode, tried)]


REWARDS: dict[str, Reward] = {"success": success, "optimal": optimal, "format": format, "progress": progress}
"""Reward functions by the name that recipes give them."""


def _nearer(step: Step) -> bool:
    return step.gain is not None and step.gain > 0


def _gain(step: Step) -> float:
    return -1.0 if step.gain is None else max(-1.0, min(1.0, step.gain))


def _scores(
    completions: Sequence[Completion], episodes: Sequence[str], tried: Sequence[str | None] | None
) -> list[Score | Step]:
    return [
        score_rollout(text_of(answer), episode) if before is None else score_step(text_of(answer), episode, before)
        for answer, episode, before in zip(completions, episodes, tried or [None] * len(episodes), strict=True)
    ]


def text_of(completion: Completion) -> str:
    """The text of an answer; empty where it has none."""
    if isinstance(completion, str):
        return completion
    parts = []
    for message in completion or ():
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, Mapping) else part
            parts.append(text if isinstance(text, str) else "")
    return "".join(parts)
