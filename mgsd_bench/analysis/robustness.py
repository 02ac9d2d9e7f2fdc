"""What every look costs: the same episodes perturbed and not, as a typed result; docs/robustness.md says how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.groups import Groups
from mgsd_bench.analysis.look_arms import Arm, Arms, contrast, mean_of
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.prompts import CLOSED_LOOP, WITH_FACTS, WITH_IMAGE
from mgsd_bench.records import OMIT_NONE, Stored
from mgsd_bench.runs.stored import FINISHED
from mgsd_bench.statistics.intervals import Estimate, holm
from mgsd_envs import Look

if TYPE_CHECKING:
    import pandas as pd

    from mgsd_bench.analysis.run import Run

LOWEST_CLEAN = 0.1
"""Ratios to the clean accuracy are formed where its interval lies above this share."""
POWER = 2.8
"""Quantiles of 5 % two-sided and of 80 % power together."""


@dataclass(frozen=True, slots=True)
class LookCell:
    """One look beside the first. Shares are from 0 to 1; changes are paired by episode.

    Attributes:
        look: the look.
        severity: of its perturbation; 0 of a theme.
        solved: macro average of what is solved.
        change: ``solved`` minus that of the first look.
        broken: episodes that are solved less often than in the first look.
        repaired: episodes that are solved more often.
        mid_p: two-sided p-value of no change.
        state_f1: how well the stated facts agree with the true ones; None where no state was asked for.
        detectable: the drop that a comparison with so many changed answers finds in four of five cases.
    """

    look: str
    severity: int
    solved: Estimate
    change: Estimate
    broken: int
    repaired: int
    mid_p: float
    state_f1: Estimate | None
    detectable: float


@dataclass(frozen=True, slots=True)
class AxisResult:
    """One axis of perturbations; an episode counts by its mean over the severities.

    Attributes:
        name: name of the perturbation.
        cells: its severities, lowest first.
        solved: macro average of what is solved, mean over the severities.
        drop: what is lost of the clean accuracy; above 0 is a loss.
        p: two-sided p-value of no drop.
        holm_p: the same adjusted over the axes (Holm 1979).
        flipped: share of answers that differ from the clean one.
        effect: whether ``flipped`` is above what differs between two clean arms, with a two-sided p-value of 5 % at
            most; None without a second one.
        retention: ``solved`` as a share of the clean accuracy; None where that is too low to divide by.
        slope: change of accuracy a step of severity, by least squares from the clean pictures (0) on.
        half_at: the first severity at which no more than half of the clean accuracy is left; None if there is none.
        state_f1: change of State F1; None where no state was asked for.
        misplanned: change of the share of plans that fail in the stated world, over the episodes that have such plans
            in both arms; None without any. Pictures cannot change how one plans in a stated world.
        planning_moved: whether its p-value, times the number of axes (Bonferroni), is below 5 %.
        causes: change of the share of answers that fail by each cause; empty where causes are not known.
    """

    name: str
    cells: tuple[LookCell, ...]
    solved: Estimate
    drop: Estimate
    p: float
    holm_p: float
    flipped: Estimate
    effect: bool | None
    retention: Estimate | None
    slope: Estimate
    half_at: int | None
    state_f1: Estimate | None
    misplanned: Estimate | None
    planning_moved: bool
    causes: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Combined:
    """Two axes at once.

    Attributes:
        cell: the arm beside the clean one.
        beyond_sum: its accuracy minus what the two single changes of each episode add up to; below 0 they hurt more
            together. None where the run lacks the single arms.
    """

    cell: LookCell
    beyond_sum: Estimate | None


@dataclass(frozen=True, slots=True)
class Robustness(Stored):
    """How a model bears other looks of the same episodes. Shares are from 0 to 1.

    Attributes:
        model: name of the model.
        suite: name of the suite.
        digest: digest of the episodes.
        condition: the condition.
        first: the look that others are compared with.
        n: episodes.
        clean: solved in the first look.
        straight: solved by the plan that sees no obstacle.
        again: share of answers that differ between two arms in the first look; None without a second one.
        axes: the ordered axes.
        mean_drop: mean of their drops; None without any.
        worst: the axis with the largest drop; None without any.
        combined: two axes at once; None where that was not asked.
        others: themes, categorical looks and images of the state, each apart.
        consistent: share of episodes whose answers come to the same for the state and all its images, solved or not;
            None where images were not asked.
        format: version of the JSON form.
    """

    model: str
    suite: str
    digest: str
    condition: str
    first: str
    n: int
    clean: Estimate
    straight: Estimate
    again: Estimate | None
    axes: tuple[AxisResult, ...]
    mean_drop: Estimate | None
    worst: str | None
    combined: Combined | None
    others: tuple[LookCell, ...]
    consistent: Estimate | None = field(default=None, metadata=OMIT_NONE)
    format: int = 1

    @property
    def blind(self) -> float | None:
        """What the plan that sees no obstacle solves, as a share of the clean accuracy; beside retention."""
        return self.straight.value / self.clean.value if self.clean.low > LOWEST_CLEAN else None

    def cells(self) -> list[LookCell]:
        """Every look but the first."""
        of_axes = [cell for axis in self.axes for cell in axis.cells]
        return [*of_axes, *([self.combined.cell] if self.combined else []), *self.others]

    def to_pandas(self) -> pd.DataFrame:
        """One row a look: look, perturbation, severity, n, solved, change, their intervals, broken, repaired, p."""
        import pandas as pd

        columns = (
            *("look", "perturbation", "severity", "n", "solved", "solved_low", "solved_high", "change", "change_low"),
            *("change_high", "broken", "repaired", "mid_p", "state_f1", "detectable"),
        )
        rows = [
            (c.look, Look.parse(c.look).perturbation, c.severity, c.solved.n, c.solved.value, c.solved.low,
             c.solved.high, c.change.value, c.change.low, c.change.high, c.broken, c.repaired, c.mid_p,
             c.state_f1 and c.state_f1.value, c.detectable)
            for c in self.cells()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns))


def robustness(run: Run, condition: str = "visual") -> Robustness:
    """What every look of a run costs.

    Args:
        run: a finished run of a suite with several looks.
        condition: whose answers; one that shows the picture.

    Raises:
        UserError: the condition shows no picture or was not asked, the run is not finished, or its episodes were asked
            in one look.
    """
    if condition not in WITH_IMAGE:
        known = sorted(WITH_IMAGE, key=lambda name: (name in CLOSED_LOOP, name))
        raise UserError(f"{option('condition', condition)}: needs a picture; choose from {', '.join(known)}")
    if condition not in run.conditions():
        raise UserError(f"{run.path}: has no answers under {condition}, but under {', '.join(run.conditions())}")
    if run.status not in FINISHED:
        raise UserError(f"{run.path}: is not finished; run its command again first", Exit.NOT_COMPARABLE)
    frame = run.diagnostic_frame
    arms = Arms.of(frame[frame["condition"] == condition], run.look, facts=condition in WITH_FACTS)
    if len(arms.by_look) < 2:
        raise UserError(
            f"{run.path}: its episodes were asked in one look under {condition}; ask a suite with several, such as "
            "mgsd-p1-quick",
            Exit.NOT_COMPARABLE,
        )
    found = measure(arms)
    keys = {name: episode for name, episode in run.episodes.items() if "@" not in name}
    if found.combined:
        found = replace(found, combined=replace(found.combined, beyond_sum=arms.beyond_sum(keys)))
    identity = run.identity
    return replace(
        found,
        model=run.model,
        suite=identity["suite"],
        digest=identity["episodes_digest"],
        condition=condition,
    )


def measure(arms: Arms) -> Robustness:
    """The figures of arms that are known to be complete; names are left empty."""
    clean, again = arms.first, arms.again
    axes = [_axis(name, of_axis, arms) for name, of_axis in arms.axes().items()]
    adjusted = holm({axis.name: axis.p for axis in axes})
    combined, looks = arms.combined, arms.others()
    drops = None
    if axes:
        mean = mean_of([mean_of([arm.solved for arm in of_axis]) for of_axis in arms.axes().values()])
        drops = mean.paired(clean.solved).difference()
    return Robustness(
        model="",
        suite="",
        digest="",
        condition="visual",
        first=clean.look,
        n=clean.solved.n,
        clean=clean.solved.estimate(),
        straight=clean.straight.estimate(),
        again=None if again is None else clean.flips(again).estimate(),
        axes=tuple(replace(axis, holm_p=adjusted[axis.name]) for axis in axes),
        mean_drop=drops,
        worst=max(axes, key=lambda axis: axis.drop.value).name if axes else None,
        combined=None if combined is None else Combined(_cell(combined, clean), None),
        others=tuple(_cell(arm, clean) for arm in looks),
        consistent=None if (same := arms.consistent()) is None else same.estimate(),
    )


def _cell(arm: Arm, clean: Arm) -> LookCell:
    pairs = clean.solved.paired(arm.solved)
    broken, repaired = pairs.only()
    flipped = clean.flips(arm).estimate().value
    return LookCell(
        look=arm.look,
        severity=Look.parse(arm.look).severity,
        solved=arm.solved.estimate(),
        change=pairs.difference(),
        broken=broken,
        repaired=repaired,
        mid_p=pairs.p(),
        state_f1=arm.state.estimate() if arm.state else None,
        detectable=POWER * math.sqrt(flipped / arm.solved.n),
    )


def _axis(name: str, of_axis: list[Arm], arms: Arms) -> AxisResult:
    clean = arms.first
    solved = mean_of([arm.solved for arm in of_axis])
    pairs = solved.paired(clean.solved)
    flips = mean_of([clean.flips(arm) for arm in of_axis])
    effect = None
    if arms.again is not None:
        beyond = clean.flips(arms.again).paired(flips)
        effect = beyond.change().mean > 0 and beyond.p() <= _ALPHA
    cells = tuple(_cell(arm, clean) for arm in of_axis)
    accuracy = clean.solved.estimate()
    divides = accuracy.low > LOWEST_CLEAN
    misplanned = arms.misplanned(of_axis)
    return AxisResult(
        name=name,
        cells=cells,
        solved=solved.estimate(),
        drop=pairs.difference(),
        p=pairs.p(),
        holm_p=math.nan,
        flipped=flips.estimate(),
        effect=effect,
        retention=_ratio(solved.estimate(), contrast([clean.solved, solved], _ratio_weights(solved, clean)), accuracy)
        if divides
        else None,
        slope=contrast([clean.solved, *(arm.solved for arm in of_axis)], _steps([0, *(c.severity for c in cells)])),
        half_at=next((c.severity for c in cells if divides and c.solved.value <= accuracy.value / 2), None),
        state_f1=arms.state_change(of_axis),
        misplanned=misplanned.difference() if misplanned else None,
        planning_moved=misplanned is not None and misplanned.p() * len(arms.axes()) < _ALPHA,
        causes={cause.value: arms.cause_change(of_axis, cause) for cause in Attribution} if clean.has_causes else {},
    )


_ALPHA = 0.05


def _ratio_weights(solved: Groups, clean: Arm) -> list[float]:
    """What makes of (clean, perturbed) the residual whose variance is that of the ratio (delta method)."""
    return [-solved.estimate().value / clean.solved.estimate().value, 1.0]


def _ratio(top: Estimate, residual: Estimate, bottom: Estimate) -> Estimate:
    value = top.value / bottom.value
    low, high = (value + end / bottom.value for end in (residual.low, residual.high))
    return Estimate(value, max(0.0, low), high, top.n)


def _steps(severities: list[int]) -> list[float]:
    """The weights by which least squares makes a slope out of one value a severity."""
    middle = sum(severities) / len(severities)
    spread = sum((severity - middle) ** 2 for severity in severities)
    return [(severity - middle) / spread for severity in severities]
