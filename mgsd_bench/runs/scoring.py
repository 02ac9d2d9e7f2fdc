"""Scoring one response: what was said, and what comes of it in the simulator. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mgsd_bench.answers.reader import Form, parse_answer
from mgsd_bench.prompts import CLOSED_LOOP, WITH_FACTS, WITH_PLAN, Condition
from mgsd_bench.runs.loop_score import LoopScore
from mgsd_envs import Episode, Fact, Plan, dead_end, get_task, rollout

if TYPE_CHECKING:
    from mgsd_bench.backends import Response


SCORER_VERSION = 2
"""Recorded with every run; runs of two versions are not comparable.

Raise it whenever the same text can get another outcome, plan or facts: by a change here, in
:mod:`mgsd_bench.answers`, or in the rules or the reading of a task.
"""


class Outcome(StrEnum):
    """What became of one question; a closed set. Every question asked is in every denominator.

    A closed loop ends as ``solved``, ``fatal`` (an action that ends the episode), ``stuck`` (the same question answered
    alike three times), ``out_of_steps``, ``no_answer`` or ``truncated`` (three unreadable answers in a row), ``error``.
    """

    SOLVED = "solved"
    WRONG = "wrong"
    ILLEGAL = "illegal"
    NO_ANSWER = "no_answer"
    TRUNCATED = "truncated"
    ERROR = "error"
    FATAL = "fatal"
    STUCK = "stuck"
    OUT_OF_STEPS = "out_of_steps"


ONE_SHOT_OUTCOMES: tuple[Outcome, ...] = (
    Outcome.SOLVED,
    Outcome.WRONG,
    Outcome.ILLEGAL,
    Outcome.NO_ANSWER,
    Outcome.TRUNCATED,
    Outcome.ERROR,
)
"""What can become of a question that is answered at once."""

LOOP_OUTCOMES: tuple[Outcome, ...] = (
    Outcome.SOLVED,
    Outcome.FATAL,
    Outcome.STUCK,
    Outcome.OUT_OF_STEPS,
    Outcome.NO_ANSWER,
    Outcome.TRUNCATED,
    Outcome.ERROR,
)
"""What can become of an episode that is acted in step by step."""


def outcomes_of(condition: str) -> tuple[Outcome, ...]:
    """The outcomes that there can be under a condition, in the order in which they are shown."""
    return LOOP_OUTCOMES if condition in CLOSED_LOOP else ONE_SHOT_OUTCOMES


@dataclass(frozen=True, slots=True)
class Score:
    """What a response is worth.

    Attributes:
        outcome: ``solved``; ``wrong`` (legal, ends short of the goal); ``illegal``; ``no_answer``; ``truncated`` (ran
            out of tokens before a complete answer); ``error`` (the request failed).
        optimal: solved with as few actions as possible.
        plan: the plan read from the answer, None if there is none.
        form: how the plan was said, and where no plan was asked for, whether facts were (``asked`` or ``none``).
        facts: the facts that the answer states about the state, with those that the question told; empty where it was
            not asked for them.
        illegal: the rule that an illegal plan broke.
        steps: legal actions carried out.
        dead_end: number, from 1, of the action after which a failed plan could not be saved any more; None where there
            is none, see :func:`mgsd_envs.dead_end`.
        loop: what was counted in an episode that was acted in step by step, see
            :func:`mgsd_bench.runs.loop_scoring.score_loop`; None of an answer given at once.
    """

    outcome: Outcome
    optimal: bool
    plan: Plan | None
    form: Form
    facts: frozenset[Fact]
    illegal: str | None
    steps: int
    dead_end: int | None = None
    loop: LoopScore | None = None


def score(episode: Episode, condition: Condition, response: Response) -> Score:
    """Score one response to one episode.

    Under ``perceive``, which asks for no plan, ``solved`` means that just the true facts are stated, ``wrong`` that
    others are, and ``no_answer`` that none are.

    Args:
        episode: the episode that was asked about.
        condition: how it was put; tells whether facts and a plan were asked for.
        response: the raw response.
    """
    if response.error is not None:
        return Score(Outcome.ERROR, False, None, "none", frozenset(), None, 0)
    task = get_task(episode.task)
    cut = response.finish_reason == "length"
    answer = parse_answer(response.text, task, whole=not cut)
    facts = task.with_given(episode.state, answer.facts) if condition in WITH_FACTS else frozenset()
    unanswered = Outcome.TRUNCATED if cut else Outcome.NO_ANSWER
    if condition not in WITH_PLAN:
        exact = facts == task.facts(episode.state)
        outcome = Outcome.SOLVED if exact else Outcome.WRONG if facts else unanswered
        return Score(outcome, exact, None, "asked" if facts else "none", facts, None, 0)
    plan = answer.plan
    if plan is None:
        return Score(unanswered, False, None, "none", facts, None, 0)
    result = rollout(task, episode.state, plan)
    return Score(
        outcome=Outcome(result.outcome),
        optimal=result.outcome == "solved" and result.steps == episode.shortest,
        plan=plan,
        form=answer.form,
        facts=facts,
        illegal=result.illegal,
        steps=result.steps,
        dead_end=None if result.outcome == "solved" else dead_end(task, episode.state, plan),
    )
