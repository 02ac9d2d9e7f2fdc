"""Rewards for those who train with a trainer of their own: TRL, verl, verifiers, or anything that wants a number.

What an answer is worth is what the evaluation makes of it: the same reader, the same simulator. Nothing here imports
torch or a trainer, and of a model's answer, whatever it is, nothing is ever raised::

    from mgsd_bench.integrations.rewards import reward

    reward("size: 3 ... <answer>RU</answer>", episode)              # 1.0 if the plan solves the episode, else 0.0
    reward(text, episode, {"success": 1, "state_f1": 0.5})         # a weighted sum

| kind | worth | range |
| --- | --- | --- |
| ``success`` | 1 if the plan solves the episode | 0 or 1 |
| ``optimal`` | 1 if it does in as few actions as possible | 0 or 1 |
| ``state_f1`` | F1 of the facts stated about the picture | 0 to 1 |
| ``format`` | 1 for a state, and a plan in the form asked for, right or wrong | 0 or 1 |
| ``progress`` | of a step in the closed loop: 1 nearer, 0 neither, -1 farther, lost or unreadable | -1 to 1 |

In the closed loop ``success`` and ``optimal`` are 1 for a step that leads nearer, ``format`` for one in the form asked
for; ``state_f1`` says nothing of a step, and ``progress`` nothing of a plan.

- TRL: ``GRPOTrainer(reward_funcs=[success, state_f1], ...)`` on rows with a column ``episode``.
- verl: ``compute_score``, by ``path: pkg://mgsd_bench.integrations.rewards``; ``ground_truth`` is the episode.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import WITH_PLAN, Condition
from mgsd_bench.runs.rewards import KINDS, reward_of
from mgsd_envs import Episode

Completion = str | Sequence[object] | None
"""An answer as a trainer hands it over: a text, or the messages of a conversation."""


def reward(
    completion: Completion,
    episode: Episode | str,
    kind: str | Mapping[str, float] = "success",
    *,
    tried: str | Sequence[str] | None = None,
    condition: str = "visual",
    cut: bool = False,
) -> float:
    """What an answer is worth.

    Args:
        completion: the answer, as a text or as messages; of several the model's last one counts.
        episode: what it is about, or its canonical JSON (``Episode.canonical()``, the column ``episode`` of rows).
        kind: which reward, see above; or weights of several, which are summed.
        tried: of an answer to a turn of the closed loop the actions before it, as a list or as JSON; None of others.
        condition: of other answers, how they were asked: visual, symbolic or direct.
        cut: whether it was cut off, being too long; a plan that has no end then is none.

    Returns:
        The reward, always a finite number; of what a kind says nothing of, 0.

    Raises:
        UserError: no such kind, weight, condition, action or episode; of the answer nothing is ever raised.
    """
    weights = {kind: 1.0} if isinstance(kind, str) else kind
    for name, weight in weights.items():
        if name not in KINDS:
            raise UserError(f"{option('kind', name)}: no such reward; choose from {', '.join(KINDS)}")
        if not isfinite(weight):
            raise UserError(f"{option('kind', name)}: its weight is {weight}; give a number")
    text, about = text_of(completion), episode.canonical() if isinstance(episode, Episode) else episode
    before, asked = _before(tried), _asked(condition)
    worth = (weight * (reward_of(name, text, about, before, asked, cut=cut) or 0.0) for name, weight in weights.items())
    return float(sum(worth))


def compute_score(
    data_source: str | None,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, object] | None = None,
    kind: str | Mapping[str, float] = "success",
    **_: object,
) -> float:
    """:func:`reward` as verl calls it.

    Args:
        data_source: not looked at.
        solution_str: the answer.
        ground_truth: canonical JSON of the episode.
        extra_info: how it was asked under ``condition``; of a turn of the closed loop the actions before it under
            ``tried``, as a list or a JSON list; under ``cut`` whether the answer was cut off.
        kind: which reward, or weights of several; verl's ``reward_kwargs`` set it.

    Raises:
        UserError: see :func:`reward`.
    """
    more: dict[str, Any] = {name: value for name, value in (extra_info or {}).items() if value is not None}
    return reward(
        solution_str,
        ground_truth,
        kind,
        tried=more.get("tried"),
        condition=more.get("condition", "visual"),
        cut=bool(more.get("cut")),
    )


def success(
    completions: Sequence[Completion],
    episode: Sequence[str],
    tried: Sequence[str | None] | None = None,
    condition: Sequence[str] | None = None,
    **_: object,
) -> list[float | None]:
    """1 for an answer whose plan solves the episode, in the closed loop for a step that leads nearer, else 0.

    Args:
        completions: the answers, as messages or as texts.
        episode: canonical JSON of the episode that each is about.
        tried: of each answer to a turn of the closed loop the actions before it, as a JSON list; None of others.
        condition: how each of the others was asked; visual if left out.

    Raises:
        UserError: something in ``episode`` is no episode.
    """
    return _rewards("success", completions, episode, tried, condition)


def optimal(
    completions: Sequence[Completion],
    episode: Sequence[str],
    tried: Sequence[str | None] | None = None,
    condition: Sequence[str] | None = None,
    **_: object,
) -> list[float | None]:
    """1 for an answer whose plan solves the episode in as few actions as possible, else 0; see :func:`success`."""
    return _rewards("optimal", completions, episode, tried, condition)


def state_f1(
    completions: Sequence[Completion],
    episode: Sequence[str],
    tried: Sequence[str | None] | None = None,
    condition: Sequence[str] | None = None,
    **_: object,
) -> list[float | None]:
    """F1 of the facts that an answer states about the picture, from 0 to 1; None for a step; see :func:`success`."""
    return _rewards("state_f1", completions, episode, tried, condition)


def format(  # noqa: A001 - its name in logs
    completions: Sequence[Completion],
    episode: Sequence[str],
    tried: Sequence[str | None] | None = None,
    condition: Sequence[str] | None = None,
    **_: object,
) -> list[float | None]:
    """1 for an answer with a state, and a plan in the form asked for, right or wrong, else 0; see :func:`success`.

    In the closed loop 1 for a step in the form asked for.
    """
    return _rewards("format", completions, episode, tried, condition)


def progress(
    completions: Sequence[Completion],
    episode: Sequence[str],
    tried: Sequence[str | None] | None = None,
    condition: Sequence[str] | None = None,
    **_: object,
) -> list[float | None]:
    """What a step in the closed loop gains: 1 if it leads nearer, -1 if it leads away, out of reach or nowhere.

    A step that changes no distance, or is not possible, is worth 0, and an answer without a step -1: a blocked step
    costs a turn, but takes nothing away. None for an answer that is no step; see :func:`success`.
    """
    return _rewards("progress", completions, episode, tried, condition)


REWARDS: dict[str, Callable[..., list[float | None]]] = {
    "success": success,
    "optimal": optimal,
    "state_f1": state_f1,
    "format": format,
    "progress": progress,
}
"""The functions that TRL calls, by the name that recipes give them."""


def text_of(completion: Completion) -> str:
    """The text of an answer, of several messages that of the model's last one; empty where it has none."""
    if isinstance(completion, str):
        return completion
    messages = completion if isinstance(completion, Sequence) and not isinstance(completion, bytes) else ()
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role", "assistant") == "assistant":
            content = message.get("content")
            parts = content if isinstance(content, list) else [content]
            texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
            return "".join(text for text in texts if isinstance(text, str))
    return ""


def _rewards(
    kind: str,
    completions: Sequence[Completion],
    episodes: Sequence[str],
    tried: Sequence[str | None] | None,
    conditions: Sequence[str] | None,
) -> list[float | None]:
    return [
        reward_of(kind, text_of(answer), episode, _before(before), _asked(condition))
        for answer, episode, before, condition in zip(
            completions,
            episodes,
            tried or [None] * len(episodes),
            conditions or ["visual"] * len(episodes),
            strict=True,
        )
    ]


def _before(tried: str | Sequence[str] | None) -> str | None:
    """The actions before a turn, as a JSON list."""
    if tried is None or isinstance(tried, str):
        return tried
    try:
        return json.dumps(list(tried))
    except TypeError as error:
        raise UserError(f"{option('tried')}: {tried!r:.40} is no list of actions") from error


def _asked(condition: str) -> Condition:
    """A condition whose answers are rewarded; rows of the closed loop, which have ``tried``, may name theirs."""
    for known in WITH_PLAN:
        if known == condition:
            return known
    raise UserError(f"{option('condition', condition)}: no question that a plan or a step answers")
