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
    repeats and over the episodes of a task before a ratio is formed (:func:`mgsd_bench.statistics.intervals.f1`), and
    so are counts of which one is shown as a share of another, ``over``.

    Attributes:
        name: its name in policies, tables and files.
        title: its name in headings.
        about: what it is, in a sentence.
        condition: the condition of the samples that it is of.
        column: a column of :data:`mgsd_bench.analysis.frame.COLUMNS`, or of ``DIAGNOSTICS``; of facts the stem of
            the columns with their counts, ``state``.
        measure: of facts, which ratio; None of a share.
        gated: whether a gate can watch it.
        over: of a rate the column with what is counted in all, ``column`` having those that are counted; None else.
    """

    name: str
    title: str
    about: str
    condition: Condition
    column: str
    measure: Measure | None = None
    gated: bool = True
    over: str | None = None

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


def _acting(name: str, title: str, about: str, column: str, over: str | None = None, *, gated: bool = False) -> Metric:
    return Metric(f"act_{name}", title, about, "act", column, None, gated, over)


_ACTING = (
    _acting(
        "strict",
        "SR, strict",
        "Solved without a single blocked action, as a plan said at once has to be, % of all episodes.",
        "strict",
        gated=True,
    ),
    _acting(
        "within_1", "SR@1", "Solved in as many actions as the shortest plan has (SR@1), % of all episodes.", "within_1"
    ),
    _acting("within_1_5", "SR@1.5", "Solved in at most 1.5 times as many actions (SR@1.5), %.", "within_1_5"),
    _acting("within_2", "SR@2", "Solved in at most twice as many actions (SR@2), %.", "within_2"),
    _acting("within_3", "SR@3", "Solved in at most three times as many actions (SR@3), %.", "within_3"),
    _acting(
        "spl",
        "SPL",
        "Success weighted by path length: of solved episodes L / max(L, actions), L the shortest plan's, of others 0, "
        "% (SPL).",
        "spl",
        gated=True,
    ),
    _acting(
        "progress",
        "progress",
        "Share of the distance to success that was covered, 0 where lost, %.",
        "progress",
        gated=True,
    ),
    _acting("unreadable", "unreadable", "Turns in which no action could be read, % of all turns.", "unread", "turns"),
    _acting(
        "blocked", "blocked", "Actions that were not possible and changed nothing, % of all.", "blocked", "actions"
    ),
    _acting("useful", "useful", "Actions that led nearer to success, % of all actions tried.", "useful", "actions"),
    _acting("revisit", "revisits", "States that had been met before, % of all states met.", "revisits", "visits"),
    _acting("loop", "loops", "Episodes with one action tried three times or more in one state, % of all.", "looped"),
    _acting(
        "repeat",
        "repeats a bump",
        "The same action again right after it was blocked, % of all actions right after a blocked one.",
        "repeated",
        "after_blocked",
    ),
    _acting(
        "dead_end", "dead ends", "Episodes with a done action that put success out of reach, % of all episodes.", "lost"
    ),
    _acting("coverage", "coverage", "Cells that were seen, % of those that can be reached.", "seen", "reachable"),
    _acting(
        "explorer",
        "explorer ratio",
        "Of solved episodes E / max(E, actions), E the actions of the scripted explorer in the same view, of others 0, "
        "%.",
        "explorer_ratio",
    ),
)

_SOLVED = (
    Metric(
        "act", "SR", "Solved acting step by step, with a picture each turn (SR), % of all episodes.", "act", "solved"
    ),
    Metric(
        name="act_symbolic",
        title="SR, text",
        about="Solved acting step by step, with the state as text each turn, % of all episodes.",
        condition="act-symbolic",
        column="solved",
    ),
    Metric(
        name="act_stale",
        title="SR, first picture",
        about="Solved acting step by step, with the first picture again each turn, % of all episodes.",
        condition="act-stale",
        column="solved",
        gated=False,
    ),
    Metric(
        name="act_blind",
        title="SR, no picture",
        about="Solved acting step by step, with no picture after the first, % of all episodes.",
        condition="act-blind",
        column="solved",
        gated=False,
    ),
)

ACTING: dict[str, Metric] = {metric.name.removeprefix("act_"): metric for metric in _ACTING}
"""What else is shown of every condition in which a model acts step by step, by short names, as of ``act``."""

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_ALL, *_SOLVED, *_ACTING)}
"""Every metric by name."""

GATED: tuple[str, ...] = tuple(name for name, metric in METRICS.items() if metric.gated)
"""Names of the metrics that policies and tables may ask for."""

OTHER_NAMES = {"state": "state_f1", "perceive": "perceive_f1"}
"""What ``--measure`` and the configurations of tables call some metrics too."""

HEADLINE: dict[Condition, str] = {
    "visual": "e2e",
    "symbolic": "plan_on_gt",
    "perceive": "perceive_f1",
    "direct": "direct",
    "act": "act",
    "act-symbolic": "act_symbolic",
    "act-stale": "act_stale",
    "act-blind": "act_blind",
}
"""The metric that a condition is asked for."""
