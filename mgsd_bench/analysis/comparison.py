"""Two runs question by question: what changed, and which episodes were lost or won."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mgsd_bench.analysis import comparable
from mgsd_bench.analysis.groups import Pairs, group_column
from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.records import Stored
from mgsd_bench.statistics.intervals import Estimate, holm

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """What changed in one task, or on average over the tasks. Shares are from 0 to 1.

    Attributes:
        task: name of the task, or ``macro``.
        n: episodes.
        a: accuracy of run a.
        b: accuracy of run b.
        difference: b minus a on the same episodes.
        only_a: episodes that run a solved more often.
        only_b: episodes that run b solved more often.
        mid_p: two-sided p-value of no change (:func:`mgsd_bench.statistics.paired.two_sided_p`).
        holm_p: the same adjusted over the tasks (Holm 1979); None of the macro average.
    """

    task: str
    n: int
    a: Estimate
    b: Estimate
    difference: Estimate
    only_a: int
    only_b: int
    mid_p: float
    holm_p: float | None


@dataclass(frozen=True, slots=True)
class Comparison(Stored):
    """What changed from run a to run b, paired by episode; with repeats an episode counts by its mean.

    Attributes:
        a: name of run a's model.
        b: name of run b's model.
        condition: the condition that is compared.
        tasks: a row a task.
        macro: the equal-weight mean of the tasks.
        regressed: ids of the episodes that run b solved less often.
        improved: ids of those that it solved more often.
        notes: what was let through although the runs differ in it, a line each.
        format: version of the JSON form.
    """

    a: str
    b: str
    condition: str
    tasks: tuple[ComparisonRow, ...]
    macro: ComparisonRow
    regressed: tuple[str, ...]
    improved: tuple[str, ...]
    notes: tuple[str, ...] = ()
    format: int = 1

    def to_pandas(self) -> pd.DataFrame:
        """One row a task and the macro average last: task, n, a, b, difference, low, high, only_a, only_b, p-values."""
        import pandas as pd

        columns = ["task", "n", "a", "b", "difference", "low", "high", "only_a", "only_b", "mid_p", "holm_p"]
        rows = [
            (r.task, r.n, r.a.value, r.b.value, r.difference.value, r.difference.low, r.difference.high, r.only_a,
             r.only_b, r.mid_p, r.holm_p)
            for r in (*self.tasks, self.macro)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)


def compare(a: Run, b: Run, condition: str = "visual", allow: Iterable[str] = ()) -> Comparison:
    """What changed from run a to run b.

    Args:
        a: a run.
        b: another run of the same questions.
        condition: the condition to compare.
        allow: aspects in which the two may differ; see :mod:`mgsd_bench.analysis.comparable`.

    Raises:
        UserError: the runs may not be set side by side (exit code ``NOT_COMPARABLE``).
    """
    notes = comparable.check([a, b], comparable.Question.MODELS, [condition], allow) + a.look_notes
    a, b = a.in_first_look(), b.in_first_look()
    ours, theirs = (group_column(run.frame[run.frame["condition"] == condition], "solved") for run in (a, b))
    try:
        pairs = ours.paired(theirs)
    except ValueError as error:
        raise UserError(f"{b.path}: other answers than {a.path}: {error}", Exit.NOT_COMPARABLE) from error
    rows = [_row(task, pairs.at(task)) for task in ours.tasks]
    adjusted = holm({row.task: row.mid_p for row in rows})
    return Comparison(
        a=a.model,
        b=b.model,
        condition=condition,
        tasks=tuple(replace(row, holm_p=adjusted[row.task]) for row in rows),
        macro=_row("macro", pairs),
        regressed=tuple(pairs.lower_after()),
        improved=tuple(Pairs(theirs, ours).lower_after()),
        notes=tuple(notes),
    )


def _row(task: str, pairs: Pairs) -> ComparisonRow:
    only_a, only_b = pairs.only()
    return ComparisonRow(
        task=task,
        n=pairs.before.n,
        a=pairs.before.estimate(),
        b=pairs.after.estimate(),
        difference=pairs.difference(),
        only_a=only_a,
        only_b=only_b,
        mid_p=pairs.p(),
        holm_p=None,
    )
