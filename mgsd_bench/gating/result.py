"""What a gate found, with what a reader wants to see beside it; every format is made from it alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mgsd_bench.analysis.groups import Pairs
from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import Exit
from mgsd_bench.gating.decision import Decision, FloorDecision, MetricDecision, Status
from mgsd_bench.gating.measurement import check, decide_part, paired
from mgsd_bench.gating.policy import Floor, MetricRule, Policy, Verdict
from mgsd_bench.records import from_json, to_json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs.

    Attributes:
        model: name of its model.
        run: its folder.
    """

    model: str
    run: str


@dataclass(frozen=True, slots=True)
class TaskChange:
    """A metric of one task in both runs. Shares are from 0 to 1.

    Attributes:
        task: name of the task.
        n: episodes.
        baseline: the baseline's value.
        candidate: the candidate's.
        worse: episodes with a lower value than before.
        better: episodes with a higher one.
    """

    task: str
    n: int
    baseline: float
    candidate: float
    worse: int
    better: int


@dataclass(frozen=True, slots=True)
class LevelLoss:
    """A level in which fewer episodes are solved than before.

    Attributes:
        metric: name of the metric.
        task: name of the task.
        level: grid size.
        n: episodes.
        drop: by how much, as a share.
        lost: ids of the episodes that were lost.
    """

    metric: str
    task: str
    level: int
    n: int
    drop: float
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A decision and what it rests on.

    Attributes:
        decision: what was decided.
        policy: what was asked.
        baseline: the run that was compared with.
        candidate: the new run.
        suite: name of the suite.
        episodes_digest: digest of the episodes.
        tasks: for each primary metric a row a task.
        regressions: the levels that lost most, the worst first.
    """

    decision: Decision
    policy: Policy
    baseline: Side
    candidate: Side
    suite: str
    episodes_digest: str
    tasks: Mapping[str, tuple[TaskChange, ...]]
    regressions: tuple[LevelLoss, ...]

    @property
    def verdict(self) -> Verdict:
        """Pass, fail or inconclusive."""
        return self.decision.verdict

    @property
    def metrics(self) -> tuple[MetricDecision, ...]:
        """One decision a primary metric."""
        return self.decision.metrics

    @property
    def floors(self) -> tuple[FloorDecision, ...]:
        """One decision a floor."""
        return self.decision.floors

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know beside the figures."""
        return self.decision.notes

    @property
    def exit_code(self) -> Exit:
        """0 pass, 1 fail, 4 inconclusive (or what the policy counts that as)."""
        return self.decision.exit_code(self.policy)

    def to_json(self) -> dict[str, Any]:
        """The content of ``verdict.json``; docs/gate.md describes it."""
        return {
            "format": 1,
            "verdict": self.verdict.value,
            "exit_code": int(self.exit_code),
            "episodes_needed": self.decision.episodes_needed,
            "baseline": to_json(self.baseline),
            "candidate": to_json(self.candidate),
            "suite": self.suite,
            "episodes_digest": self.episodes_digest,
            "policy": self.policy.to_json(),
            "metrics": [row.to_json() for row in self.metrics],
            "floors": [row.to_json() for row in self.floors],
            "tasks": to_json(self.tasks),
            "regressions": to_json(self.regressions),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: the data is no verdict.
        """
        try:
            metrics = tuple(_metric(row) for row in data["metrics"])
            floors = tuple(_floor_decision(row) for row in data["floors"])
            return cls(
                decision=Decision(Verdict(data["verdict"]), metrics, floors, tuple(map(str, data["notes"]))),
                policy=Policy.from_json(data["policy"]),
                baseline=from_json(Side, data["baseline"]),
                candidate=from_json(Side, data["candidate"]),
                suite=str(data["suite"]),
                episodes_digest=str(data["episodes_digest"]),
                tasks={str(k): tuple(from_json(TaskChange, row) for row in v) for k, v in data["tasks"].items()},
                regressions=tuple(from_json(LevelLoss, row) for row in data["regressions"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a verdict of a gate ({type(error).__name__}: {error})") from error

    def to_pandas(self) -> pd.DataFrame:
        """One row a primary metric: metric, n, baseline, candidate, change, low, high, margin, status, p-values."""
        import pandas as pd

        columns = ("metric", "n", "baseline", "candidate", "change", "low", "high", "margin", "discordance",
                   "p_margin", "p_drop", "status")  # fmt: skip
        rows = [
            (m.rule.metric, m.n, m.baseline, m.candidate, m.change, m.low, m.high, m.rule.margin, m.discordance,
             m.p_margin, m.p_drop, m.status.value)
            for m in self.metrics
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)


def gate(baseline: Run, candidate: Run, policy: Policy, allow: Iterable[str] = ()) -> GateDecision:
    """Check that two runs can be compared, and decide.

    Raises:
        UserError: they cannot (exit code ``NOT_COMPARABLE``), or have too few episodes (``INCONCLUSIVE``).
    """
    notes = check(baseline, candidate, policy, allow)
    return gate_decision(baseline, candidate, policy, decide_part(baseline, candidate, policy, notes))


def gate_decision(baseline: Run, candidate: Run, policy: Policy, decision: Decision) -> GateDecision:
    """Gather what a decision rests on; of a run that stopped early, the episodes that both have."""
    ours, theirs = (frozenset(run.frame["episode"].cat.categories) for run in (baseline, candidate))
    pairs = {rule.metric: paired(baseline, candidate, rule.metric, ours & theirs) for rule in policy.metrics}
    losses = [loss for name, of in pairs.items() if not METRICS[name].of_facts for loss in _losses(name, of)]
    return GateDecision(
        decision=decision,
        policy=policy,
        baseline=Side(baseline.model, str(baseline.path)),
        candidate=Side(candidate.model, str(candidate.path)),
        suite=baseline.identity["suite"],
        episodes_digest=baseline.identity["episodes_digest"],
        tasks={name: tuple(_change(task, of.at(task)) for task in of.before.tasks) for name, of in pairs.items()},
        regressions=tuple(sorted(losses, key=lambda loss: -loss.drop)),
    )


def _change(task: str, pairs: Pairs) -> TaskChange:
    worse, better = pairs.only()
    before, after = pairs.before.estimate().value, pairs.after.estimate().value
    return TaskChange(task, pairs.before.n, before, after, worse, better)


def _losses(metric: str, pairs: Pairs) -> Sequence[LevelLoss]:
    """The levels in which fewer episodes are solved than before, the worst first."""
    found = []
    for stratum in pairs.before.strata:
        level = pairs.at(stratum.task, stratum.level)
        drop = -level.change().mean
        if drop > 0:
            lost = tuple(level.lower_after())
            found.append(LevelLoss(metric, stratum.task, stratum.level, len(stratum.episodes), drop, lost))
    return sorted(found, key=lambda loss: (-loss.drop, loss.task, loss.level))


def _metric(row: Mapping[str, Any]) -> MetricDecision:
    rule = MetricRule(str(row["metric"]), float(row["margin"]), float(row["tolerance"]))
    shares = ("baseline", "candidate", "change", "low", "high", "discordance", "p_margin", "p_drop")
    return MetricDecision(
        rule=rule,
        n=int(row["n"]),
        status=Status(row["status"]),
        episodes_needed=int(row["episodes_needed"]),
        **{name: float(row[name]) for name in shares},
    )


def _floor_decision(row: Mapping[str, Any]) -> FloorDecision:
    level = None if row["level"] is None else int(row["level"])
    floor = Floor(str(row["metric"]), float(row["min"]), row["task"], level)
    return FloorDecision(floor, float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]))
