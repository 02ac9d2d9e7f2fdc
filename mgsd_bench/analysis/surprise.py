"""Which answers to look at first: failures, the least expected ones before the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """What the order of an answer depends on.

    Attributes:
        model: whose answer it is, and to what kind of question: how many of these it solves says what to expect.
        question: what was asked; answers of several models, and repeats, share it.
        solved: whether the answer is right.
        shortest: actions in the shortest plan.
        level: grid size.
    """

    model: Hashable
    question: Hashable
    solved: bool
    shortest: int
    level: int


def by_surprise(answers: Sequence[Asked]) -> list[int]:
    """The places of the answers, the most unexpected failure first.

    Failures come before solved answers. A failure is the less expected the more of the other answers to its question
    are right, times the share of its model's own answers that are; between equals, the shorter the shortest plan, and
    then the smaller the grid. What is alike in all of this, and what is solved, stays in the order given.
    """
    own = {model: [0, 0] for model in dict.fromkeys(answer.model for answer in answers)}
    for answer in answers:
        own[answer.model][answer.solved] += 1
    asked = Counter(answer.question for answer in answers)
    solved = Counter(answer.question for answer in answers if answer.solved)

    def key(place: int) -> tuple[bool, float, int, int]:
        answer = answers[place]
        if answer.solved:
            return True, 0.0, 0, 0
        others = asked[answer.question] - 1
        share = solved[answer.question] / others if others else 0.0
        wrong, right = own[answer.model]
        return False, -share * right / (wrong + right), answer.shortest, answer.level

    return sorted(range(len(answers)), key=key)
