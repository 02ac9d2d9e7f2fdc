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
        kind: (n,) number, from 0, of the answer's model, task, level, condition and outcome.
        order: (n,) places of the answers, the most unexpected failure first.
    """

    run: Numbers
    row: Numbers
    episode: Numbers
    solved: Truths
    kind: Numbers
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
        alike = model
        for column in (task_, level, condition, outcome):
            alike = alike * (column.max(initial=0) + 1) + column
        order = by_surprise(
            model * len(CONDITIONS) + condition, episode * len(CONDITIONS) + condition, solved, shortest, level
        )
        return cls(run_, row, episode, solved, np.unique(alike, return_inverse=True)[1], order)

    def chosen(self, most: int) -> Truths:
        """Which answers to show where no more than so many can be: all to some of the episodes.

        Of every model, task, level, condition and outcome answers are taken by turns, rare kinds first, the most
        unexpected first, and more failures than solved ones; with an answer all others to its episode. The same
        answers make the same choice.

        Args:
            most: how many; those to one episode are taken in any case.

        Returns:
            (n,) whether the answer is among them.
        """
        if len(self.order) <= most:
            return np.ones(len(self.order), bool)
        kind, episode = self.kind[self.order], self.episode[self.order]
        of_kind = np.argsort(kind, kind="stable")
        ends = np.cumsum(np.bincount(kind))
        count = np.diff(ends, prepend=0)
        rank = np.empty(len(kind), int)
        rank[of_kind] = np.arange(len(kind)) - (ends - count)[kind[of_kind]]
        turn = rank * np.where(self.solved[self.order], SOLVED_EVERY, 1)
        turns = np.lexsort((kind, count[kind], turn))
        size = np.bincount(episode)
        of_episode, last = np.argsort(episode, kind="stable"), np.cumsum(size)
        smallest, left = size[size > 0].min(), most
        taken, there = np.zeros(len(size), bool), np.zeros(len(count), int)
        for in_turn in (True, False):  # at last whatever fits
            for i in turns:
                number = episode[i]
                if left < smallest:
                    break
                if taken[number] or (in_turn and there[kind[i]] > rank[i]) or (size[number] > left and left < most):
                    continue
                taken[number] = True
                left -= size[number]
                np.add.at(there, kind[of_episode[last[number] - size[number] : last[number]]], 1)
        return taken[self.episode]
