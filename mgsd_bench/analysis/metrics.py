"""The registry of metrics: what a figure is called, which samples it is of, and how it is averaged.

``eval``, ``diagnose``, ``compare``, ``gate``, tables, inspect and the validation of training read from here, so that a
figure has one value and one interval wherever it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mgsd_bench.prompts import Condition

Measure = Literal["f1", "precision", "recall", "exact"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure between 0 and 1.

    A share is the mean of a column of the table of samples: an episode counts once, with the mean over its repeats; a
    task is the mean of its episodes, and the macro average the equal-weight mean of the tasks. Facts are added up over
    repeats and over the episodes of a task before a ratio is formed (:func:`mgsd_bench.statistics.intervals.f1`).

    Attributes:
        name: its name in policies, tables and files.
        title: its name in headings.
        about: what it is, in a sentence.
        condition: the condition of the samples that it is of.
        column: a column of :data:`mgsd_bench.analysis.frame.COLUMNS`, or of ``DIAGNOSTICS``; of facts the stem of
            the columns with their counts, ``state``.
        measure: of facts, which ratio; None of a share.
        gated: whether a gate can watch it.
    """

    name: str
    title: str
    about: str
    condition: Condition
    column: str
    measure: Measure | None = None
    gated: bool = True

    @property
    def of_facts(self) -> bool:
        """Whether it compares stated facts with true ones, for which the episodes are needed."""
        return self.measure is not None


_ALL = (
    Metric("e2e", "E2E", "Solved from the image (E2E), % of all questions asked.", "visual", "solved"),
    Metric(
        "state_f1", "State F1", "F1 of the facts stated along with the plan (State F1), %.", "visual", "state", "f1"
    ),
    Metric(
        name="plan_on_gt",
        title="Plan-on-GT",
        about="Solved from the true state as text (Plan-on-GT), % of all questions asked.",
        condition="symbolic",
        column="solved",
    ),
    Metric(
        name="e2e_asked",
        title="E2E, as asked",
        about="Solved from the image, by an answer in the form asked for, % of all questions asked.",
        condition="visual",
        column="solved_asked",
    ),
    Metric(
        name="plan_on_gt_asked",
        title="Plan-on-GT, as asked",
        about="Solved from the true state as text, by an answer in the form asked for, % of all questions asked.",
        condition="symbolic",
        column="solved_asked",
    ),
    Metric(
        name="optimal",
        title="optimal E2E",
        about="Solved from the image with as few actions as possible, % of all questions asked.",
        condition="visual",
        column="optimal",
    ),
    Metric(
        name="perceive_f1",
        title="State F1 (perceive)",
        about="F1 of the facts stated when asked for the state alone, %.",
        condition="perceive",
        column="state",
        measure="f1",
    ),
    Metric(
        name="direct",
        title="direct",
        about="Solved from the image without stating the state first, % of all questions asked.",
        condition="direct",
        column="solved",
    ),
    Metric(
        name="straight",
        title="straight plan",
        about="Solved by the plan that sees no obstacles, % of all questions asked.",
        condition="visual",
        column="straight",
        gated=False,
    ),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by name."""

GATED: tuple[str, ...] = tuple(metric.name for metric in _ALL if metric.gated)
"""Names of the metrics that policies and tables may ask for."""

OTHER_NAMES = {"state": "state_f1", "perceive": "perceive_f1"}
"""What ``--measure`` and the configurations of tables call some metrics too."""

HEADLINE: dict[Condition, str] = {
    "visual": "e2e",
    "symbolic": "plan_on_gt",
    "perceive": "perceive_f1",
    "direct": "direct",
}
"""The metric that a condition is asked for."""
