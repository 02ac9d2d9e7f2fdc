"""Group-relative policy optimisation with the simulator's verdict as reward: the baseline without a teacher.

The student answers its prompt, text and picture, several times; an answer is worth what the evaluation's own parser and
simulator make of it, compared with the others to the same prompt (GRPO, arXiv 2402.03300).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mgsd_baselines.training.rollouts import score_rollout
from mgsd_bench.runs.scoring import Outcome, Score

Completion = str | Sequence[object] | None
"""An answer as TRL hands it over: a text, or the messages of a conversation."""
Reward = Callable[..., list[float]]


def success(completions: Sequence[Completion], episode: Sequence[str], **_: object) -> list[float]:
    """1 for an answer whose plan solves the episode, else 0.

    Args:
        completions: the answers, as messages or as texts.
        episode: canonical JSON of the episode that each is about.
    """
    return [float(scored.outcome == Outcome.SOLVED) for scored in _scores(completions, episode)]


def optimal(completions: Sequence[Completion], episode: Sequence[str], **_: object) -> list[float]:
    """1 for an answer whose plan solves the episode in as few actions as possible, else 0; see :func:`success`."""
    return [float(scored.optimal) for scored in _scores(completions, episode)]


def format(completions: Sequence[Completion], episode: Sequence[str], **_: object) -> list[float]:  # noqa: A001 - its name in logs
    """1 for an answer with a state, and a plan in the form asked for, right or wrong, else 0; see :func:`success`."""
    return [float(bool(scored.facts) and scored.form == "asked") for scored in _scores(completions, episode)]


REWARDS: dict[str, Reward] = {"success": success, "optimal": optimal, "format": format}
"""Reward functions by the name that recipes give them."""


def _scores(completions: Sequence[Completion], episodes: Sequence[str]) -> list[Score]:
    return [score_rollout(text_of(answer), episode) for answer, episode in zip(completions, episodes, strict=True)]


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
