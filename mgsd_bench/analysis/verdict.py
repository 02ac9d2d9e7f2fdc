"""What several runs come to: who solves how much, by how much more than whom, and why the rest fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from mgsd_bench.analysis import comparable
from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.comparison import Comparison, compare
from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.diagnosis import Diagnosis
from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.summary import summarise
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.records import Stored
from mgsd_bench.runs.scoring import Outcome
from mgsd_bench.statistics.intervals import Estimate, proportion

MOST_PAIRED = 12
"""Of more runs than these each is compared with the next one only."""
UNREAD = (Outcome.NO_ANSWER, Outcome.TRUNCATED)


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """What one run comes to under one condition. Shares are from 0 to 1.

    Attributes:
        conditions: the conditions that there are answers of, sorted.
        solved: macro average of what is solved; None, as what follows, where the condition was not asked.
        by_task: what is solved, by task.
        unread: share of answers without a plan that could be read, or cut off.
        failed: answers that do not solve their question.
        causes: shares of these, the largest first: of answers from the picture by what they failed at, of others by
            outcome; an interval rests on the episodes, however often each was asked.
        sees: share of the true facts that are stated from the picture; None, as what follows, where that was not asked.
        invents: share of the facts stated that are false.
        diagnosis: of the run; None without answers from the picture.
    """

    conditions: tuple[str, ...]
    solved: Estimate | None = None
    by_task: Mapping[str, Estimate] | None = None
    unread: Estimate | None = None
    failed: int = 0
    causes: Mapping[str, Estimate] | None = None
    sees: Estimate | None = None
    invents: Estimate | None = None
    diagnosis: Diagnosis | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs on the same episodes.

    Attributes:
        higher: place of the run that solves more.
        lower: place of the other.
        change: from the lower to the higher; None where the two may not be set side by side.
        reasons: why not, a line each.
    """

    higher: int
    lower: int
    change: Comparison | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict(Stored):
    """What several runs come to, in their order.

    Attributes:
        condition: the condition under which they are compared.
        runs: what each comes to.
        ranking: places of the runs that were asked under the condition, the one that solves most first.
        pairs: every two of these, in the order of the ranking; of more than :data:`MOST_PAIRED` runs only neighbours.
        notes: what was let through although the runs differ in it, a line each.
        format: version of the JSON form.
    """

    condition: str
    runs: tuple[RunVerdict, ...]
    ranking: tuple[int, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()
    format: int = 1

    def pair(self, higher: int, lower: int) -> Pair | None:
        """The comparison of two runs by their places; None where it was not made."""
        return next((pair for pair in self.pairs if (pair.higher, pair.lower) == (higher, lower)), None)


def judge(runs: Sequence[Run], condition: str = "visual", allow: Iterable[str] = ()) -> Verdict:
    """What runs come to. Runs that may not be set side by side are judged each by itself, with the reason.

    Args:
        runs: at least one, all of them finished.
        condition: the condition under which to compare them.
        allow: aspects in which they may differ; see :mod:`mgsd_bench.analysis.comparable`.

    Raises:
        UserError: a run is not finished (exit code ``NOT_COMPARABLE``) or damaged.
    """
    allowed = comparable.allowable(allow)
    verdicts = tuple(_judge_run(run, condition) for run in runs)
    solved = {i: of_run.solved.value for i, of_run in enumerate(verdicts) if of_run.solved}
    ranking = sorted(solved, key=lambda i: -solved[i])
    all_pairs = combinations(ranking, 2) if len(ranking) <= MOST_PAIRED else pairwise(ranking)
    pairs = [_pair(runs, higher, lower, condition, allowed) for higher, lower in all_pairs]
    of_pairs = (note for pair in pairs if pair.change for note in pair.change.notes)
    notes = dict.fromkeys((*(note for run in runs for note in run.look_notes), *of_pairs))
    told = [replace(v, diagnosis=replace(v.diagnosis, notes=tuple(notes))) if v.diagnosis else v for v in verdicts]
    return Verdict(condition, tuple(told), tuple(ranking), tuple(pairs), tuple(notes))


def _judge_run(run: Run, condition: str) -> RunVerdict:
    conditions = tuple(run.conditions())
    diagnosis = diagnose([run]) if "visual" in conditions else None
    state = diagnosis.macro.state if diagnosis else None
    seen = RunVerdict(
        conditions,
        sees=state.recall if state else None,
        invents=_rest(state.precision) if state else None,
        diagnosis=diagnosis,
    )
    if condition not in conditions:
        return seen
    summary = summarise(run.in_first_look().frame).conditions[condition]
    outcomes = Counter[str]()
    for task in summary.tasks:
        outcomes.update(task.outcomes)
    samples, n = sum(outcomes.values()), summary.macro.accuracy.n
    causes = outcomes if diagnosis is None or condition != "visual" else Counter(diagnosis.macro.attribution)
    failed = {name: count for name, count in causes.most_common() if count and name != Attribution.SOLVED}
    lost = sum(failed.values())
    return replace(
        seen,
        solved=summary.macro.accuracy,
        by_task={task.task: task.accuracy for task in summary.tasks},
        unread=_share(sum(outcomes[outcome] for outcome in UNREAD), samples, n),
        failed=lost,
        causes={name: _share(count, lost, lost * n / samples) for name, count in failed.items()},
    )


def _share(count: int, of: int, episodes: float) -> Estimate:
    """A share of answers; its interval rests on so many episodes."""
    n = max(1, round(episodes))
    interval = proportion(round(count / of * n), n)
    return Estimate(count / of, interval.low, interval.high, n)


def _rest(share: Estimate) -> Estimate:
    return Estimate(1 - share.value, 1 - share.high, 1 - share.low, share.n)


def _pair(runs: Sequence[Run], higher: int, lower: int, condition: str, allowed: Iterable[str]) -> Pair:
    before, after = runs[lower], runs[higher]
    try:
        return Pair(higher, lower, compare(before, after, condition, allowed))
    except UserError as error:
        if error.code != Exit.NOT_COMPARABLE:
            raise
        found = comparable.differences([before, after], comparable.Question.MODELS, [condition])
        reasons = [difference.text for difference in found if difference.aspect not in allowed]
        return Pair(higher, lower, None, tuple(reasons) or (str(error),))
