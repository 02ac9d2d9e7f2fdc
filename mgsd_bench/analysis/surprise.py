"""Which answers to look at first, and which at all where they are too many: failures, the least expected ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from mgsd_bench.prompts import CONDITIONS
from mgsd_bench.runs.scoring import Outcome

if TYPE_CHECKING:
    from mgsd_bench.analysis.run import Run

Numbers = NDArray[np.int64]
Truths = NDArray[np.bool_]

SOLVED_EVERY = 4
"""Where answers are left out, so many failures of a kind are taken before a further solved answer is."""

_OUTCOMES = tuple(map(str, Outcome))


def by_surprise(model: Numbers, question: Numbers, solved: Truths, shortest: Numbers, level: Numbers) -> Numbers:
    """The places of answers, the most unexpected failure first.

    Failures come before solved answers. A failure is the less expected the more of the other answers to its question
    are right, times the share of its model's own answers that are; between equals, the shorter the shortest plan, and
    then the smaller the grid. What is alike in all of this, and what is solved, stays in the order given.

    Args:
        model: (n,) number, from 0, of whose answer it is, and to what kind of question: how many of these it solves
            says what to expect.
        question: (n,) number, from 0, of what was asked; answers of several models, and repeats, share it.
        solved: (n,) whether the answer is right.
        shortest: (n,) actions in the shortest plan.
        level: (n,) grid size.
    """
    others = np.bincount(question)[question] - 1
    share = np.bincount(question, solved)[question] / np.maximum(others, 1)
    own, all_own = np.bincount(model, solved)[model], np.bincount(model)[model]
    unexpected, first, then = (np.where(solved, 0, key) for key in (-share * own / all_own, shortest, level))
    order: Numbers = np.lexsort((then, first, unexpected, solved))
    return order


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers of several runs in columns, run by run, within a run by episode, condition and repeat.

    Attributes:
        run: (n,) number of the run.
        row: (n,) row of the run's table of samples.
        episode: (n,) number of the episode; runs share the episodes that they have in common.
        solved: (n,) whether the answer is right.
        kinds: (n,) numbers, from 0, of its task, its outcome, its condition, its model, its task and level, and of all
            these together.
        order: (n,) places of the answers, the most unexpected failure first.
    """

    run: Numbers
    row: Numbers
    episode: Numbers
    solved: Truths
    kinds: tuple[Numbers, ...]
    order: Numbers

    @classmethod
    def of(cls, runs: Sequence[Run], names: Sequence[str], episodes: Sequence[Numbers]) -> Self:
        """The answers of runs.

        Args:
            runs: the runs.
            names: of their models.
            episodes: for every run the numbers of its episodes, in their order.
        """
        import pandas as pd

        models, tasks = {name: i for i, name in enumerate(dict.fromkeys(names))}, dict[str, int]()
        parts: list[list[Numbers]] = []
        for number, (run, name, of_run) in enumerate(zip(runs, names, episodes, strict=True)):
            frame = run.frame
            ids, asked, outcomes = (frame[column].cat for column in ("episode", "condition", "outcome"))
            place = pd.Index(list(run.episodes)).get_indexer(ids.categories)[ids.codes]
            condition = np.array([CONDITIONS.index(name) for name in asked.categories], int)[asked.codes]
            outcome = np.array([_OUTCOMES.index(name) for name in outcomes.categories], int)[outcomes.codes]
            task = [tasks.setdefault(name, len(tasks)) for name in frame["task"].cat.categories]
            repeat = frame["repeat"].to_numpy()
            row = np.lexsort((repeat, condition, place))
            columns = [
                np.full(len(frame), number), row, of_run[place][row], np.full(len(frame), models[name]),
                np.array(task, int)[frame["task"].cat.codes][row], frame["level"].to_numpy()[row], condition[row],
                outcome[row], frame["shortest"].to_numpy()[row],
            ]  # fmt: skip
            parts.append(columns)
        run_, row, episode, model, task_, level, condition, outcome, shortest = map(
            np.concatenate, zip(*parts, strict=True)
        )
        solved = outcome == _OUTCOMES.index(Outcome.SOLVED)
        board = task_ * (level.max(initial=0) + 1) + level
        alike = model
        for column in (board, condition, outcome):
            alike = alike * (column.max(initial=0) + 1) + column
        several = task_, outcome, condition, model, board, alike
        kinds = tuple(np.unique(column, return_inverse=True)[1] for column in several)
        order = by_surprise(
            model * len(CONDITIONS) + condition, episode * len(CONDITIONS) + condition, solved, shortest, level
        )
        return cls(run_, row, episode, solved, kinds, order)

    def chosen(self, most: int) -> Truths:
        """Which answers to show where no more than so many can be: all to some of the episodes.

        First comes an answer of every task, outcome, condition, model and level, then answers of all that occurs
        together by turns, what is rare first; of each the most unexpected ones, more failures than solved answers, and
        with an answer all others to its episode. The same answers make the same choice.

        Args:
            most: how many; those to one episode are taken in any case.

        Returns:
            (n,) whether the answer is among them.
        """
        if len(self.order) <= most:
            return np.ones(len(self.order), bool)
        choice = _Choice(self.episode, self.kinds[-1], most)
        for kind in self.kinds[:-1]:
            for number, first in enumerate(np.unique(kind[self.order], return_index=True)[1]):
                if not choice.taken[self.episode[kind == number]].any():
                    choice.take(self.episode[self.order[first]])
        kind = self.kinds[-1][self.order]
        of_kind, count = np.argsort(kind, kind="stable"), np.bincount(kind)
        rank = np.empty(len(kind), int)
        rank[of_kind] = np.arange(len(kind)) - (np.cumsum(count) - count)[kind[of_kind]]
        turns = np.lexsort((kind, count[kind], rank * np.where(self.solved[self.order], SOLVED_EVERY, 1)))
        for in_turn in (True, False):  # at last whatever fits
            for i in turns:
                if choice.is_full:
                    break
                if not in_turn or choice.there[kind[i]] <= rank[i]:
                    choice.take(self.episode[self.order[i]])
        return choice.taken[self.episode]


class _Choice:
    """Episodes that are taken as long as all their answers fit.

    Attributes:
        taken: by episode, whether it is.
        there: by kind, how many answers are.
    """

    def __init__(self, episode: Numbers, kind: Numbers, most: int) -> None:
        self._kind, self._most = kind, most
        self._size = np.bincount(episode)
        self._smallest = self._size[self._size > 0].min()
        self._answers, self._ends = np.argsort(episode, kind="stable"), np.cumsum(self._size)
        self._left = most
        self.taken = np.zeros(len(self._size), bool)
        self.there = np.zeros(kind.max() + 1, int)

    @property
    def is_full(self) -> bool:
        """Whether no episode fits any more."""
        return bool(self._left < min(self._most, self._smallest))

    def take(self, episode: int) -> None:
        """Take an episode if it fits, or is the first."""
        size, end = self._size[episode], self._ends[episode]
        if not self.taken[episode] and (size <= self._left or self._left == self._most):
            self.taken[episode] = True
            self._left -= size
            np.add.at(self.there, self._kind[self._answers[end - size : end]], 1)
