"""What a sampled answer is worth to somebody who trains: the evaluation's own verdict, as a number.

Pure functions that import neither torch nor a trainer; the forms in which trainers call them are in
:mod:`mgsd_bench.integrations.rewards`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import inf
from typing import NamedTuple

from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.backends import Response
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import WITH_FACTS, Condition
from mgsd_bench.runs.scoring import Outcome, Score, score
from mgsd_envs import Episode, episode_from_json, get_task
from mgsd_envs.acting import act, distance


class Step(NamedTuple):
    """What comes of an answer in the closed loop.

    Attributes:
        form: how its action was said, as :mod:`mgsd_bench.answers.reader` has it; ``none`` if none could be read.
        gain: actions that success is nearer by after it: 1 or 0, also where it is not possible, or less; infinitely
            less where success is out of reach then, or the action ended the episode; None if none could be read.
    """

    form: str
    gain: float | None


@lru_cache(maxsize=65_536)
def episode_of(canonical: str) -> Episode:
    """The episode that a row's column ``episode``, canonical JSON, is about.

    Raises:
        UserError: it is none, or of a task that is not installed.
    """
    try:
        return episode_from_json(json.loads(canonical))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{option('episode')}: {str(canonical)[:40]!r} is no episode's JSON ({_reason(error)}); give what the "
            "column episode of the rows holds"
        ) from error


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)[:120]


@lru_cache(maxsize=4096)
def score_answer(text: str, episode: str, condition: Condition = "visual", *, cut: bool = False) -> Score:
    """What the evaluation makes of a sampled answer.

    Args:
        text: the answer.
        episode: canonical JSON of the episode that it is about.
        condition: how it was asked, one-shot.
        cut: whether it was cut off, being too long.

    Raises:
        UserError: see :func:`episode_of`.
    """
    return score(episode_of(episode), condition, Response("", text, "length" if cut else "stop"))


@lru_cache(maxsize=4096)
def score_step(text: str, episode: str, tried: str) -> Step:
    """What comes of a sampled answer to a turn of the closed loop: the first action that it says is carried out.

    Args:
        text: the answer.
        episode: canonical JSON of the episode that is acted in.
        tried: the actions that were tried before it, as a JSON list.

    Raises:
        UserError: see :func:`episode_of`.
    """
    about = episode_of(episode)
    task, state = get_task(about.task), about.state
    cursor = task.start(state)
    for action in actions_of(tried):
        cursor = act(task, state, cursor, action).cursor
    answer = parse_answer(text, task)
    if not answer.plan:
        return Step("none", None)
    result = act(task, state, cursor, answer.plan[0])
    if result.effect == "fatal":
        return Step(answer.form, -inf)
    after = distance(task, state, result.cursor)
    return Step(answer.form, -inf if after == inf else distance(task, state, cursor) - after)


def actions_of(tried: str) -> list[str]:
    """The actions in a JSON list.

    Raises:
        UserError: it is none.
    """
    try:
        actions = json.loads(tried)
    except (ValueError, RecursionError):
        actions = None
    if not isinstance(actions, list) or not all(isinstance(action, str) for action in actions):
        raise UserError(f"{option('tried')}: {tried[:40]!r} is no JSON list of actions")
    return actions


def state_f1(scored: Score, episode: str) -> float:
    """F1 of the facts that an answer states about the state, from 0 to 1; those that every question tells left out."""
    about = episode_of(episode)
    task = get_task(about.task)
    true, stated = task.seen(task.facts(about.state)), task.seen(scored.facts)
    return 2 * len(true & stated) / (len(true) + len(stated)) if true or stated else 1.0


def _success(scored: Score | Step, episode: str, condition: Condition) -> float | None:
    return float(_nearer(scored) if isinstance(scored, Step) else scored.outcome == Outcome.SOLVED)


def _optimal(scored: Score | Step, episode: str, condition: Condition) -> float | None:
    return float(_nearer(scored) if isinstance(scored, Step) else scored.optimal)


def _state_f1(scored: Score | Step, episode: str, condition: Condition) -> float | None:
    return None if isinstance(scored, Step) or condition not in WITH_FACTS else state_f1(scored, episode)


def _format(scored: Score | Step, episode: str, condition: Condition) -> float | None:
    stated = isinstance(scored, Step) or condition not in WITH_FACTS or bool(scored.facts)
    return float(scored.form == "asked" and stated)


def _progress(scored: Score | Step, episode: str, condition: Condition) -> float | None:
    if not isinstance(scored, Step):
        return None
    return -1.0 if scored.gain is None else max(-1.0, min(1.0, scored.gain))


def _nearer(step: Step) -> bool:
    return step.gain is not None and step.gain > 0


KINDS: Mapping[str, Callable[[Score | Step, str, Condition], float | None]] = {
    "success": _success,
    "optimal": _optimal,
    "state_f1": _state_f1,
    "format": _format,
    "progress": _progress,
}
"""What an answer can be rewarded for, by name; None where a kind says nothing of such an answer."""


def reward_of(
    kind: str, text: str, episode: str, tried: str | None = None, condition: Condition = "visual", *, cut: bool = False
) -> float | None:
    """What an answer is worth; see :func:`mgsd_bench.integrations.rewards.reward`.

    Args:
        kind: one of :data:`KINDS`.
        text: the answer.
        episode: canonical JSON of the episode that it is about.
        tried: of an answer to a turn of the closed loop the actions before it, as a JSON list; None of others.
        condition: of other answers, how they were asked.
        cut: whether the answer was cut off, being too long.

    Returns:
        The reward; None where the kind says nothing of such an answer: ``progress`` of a plan, ``state_f1`` of a step
        and of an answer to a question that shows no picture.

    Raises:
        UserError: see :func:`episode_of`.
    """
    if not isinstance(episode, str):
        raise UserError(f"{option('episode')}: {str(episode)[:40]!r} is no text; give canonical JSON")
    step = None if tried is None else score_step(text, episode, tried)
    return KINDS[kind](step or score_answer(text, episode, condition, cut=cut), episode, condition)
