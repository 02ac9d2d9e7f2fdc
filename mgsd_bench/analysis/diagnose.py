"""From run folders to a diagnosis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import product
from math import comb
from random import Random
from typing import TYPE_CHECKING, Any, Self

from mgsd_bench.analysis import comparable
from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.diagnosis import (
    ByPath,
    DeadEnds,
    Diagnosis,
    FaultRates,
    Gap,
    Joint,
    Length,
    Level,
    Repeats,
    Scope,
    StateScores,
    TaskDiagnosis,
)
from mgsd_bench.analysis.facts import read_facts
from mgsd_bench.analysis.frame import concatenate
from mgsd_bench.analysis.groups import Pairs, group, group_column
from mgsd_bench.analysis.metrics import METRICS, Measure
from mgsd_bench.analysis.overlap import attribution_bounds
from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import UserError
from mgsd_bench.runs.sample import Sample, last_of_each
from mgsd_bench.statistics.intervals import Estimate, complement
from mgsd_envs import Episode, Irreversible, get_task, random_plan, rollout

if TYPE_CHECKING:
    import pandas as pd

RANDOM_TRIES = 20
"""Random plans an episode, from which the random baseline is estimated."""


def diagnose(runs: Sequence[Run], allow: Iterable[str] = ()) -> Diagnosis:
    """Why a model fails.

    Args:
        runs: finished runs of one model on the same episodes, asked alike, which between them hold the condition
            ``visual`` and, for what depends on them, ``symbolic``, ``perceive`` and ``direct``.
        allow: aspects in which the runs may differ; see :mod:`mgsd_bench.analysis.comparable`.

    Raises:
        UserError: none is visual, or (exit code ``NOT_COMPARABLE``) the runs may not be set side by side.
    """
    conditions = sorted({condition for run in runs for condition in run.conditions()})
    notes = comparable.check(runs, comparable.Question.GAP, conditions, allow) + runs[0].look_notes
    runs = [run.in_first_look() for run in runs]
    if "visual" not in conditions:
        raise UserError(f"{runs[0].path}: a diagnosis needs answers under the condition visual; run it first")
    first = runs[0]
    cases = Cases.of(concatenate([run.diagnostic_frame for run in runs]), first.episodes)
    facts = read_facts(_visual(runs), first.episodes)
    tasks = {
        task: TaskDiagnosis(
            **cases.figures(task),
            facts=facts[task].kinds,
            levels=tuple(Level(**cases.figures(task, level), level=level) for level in cases.levels(task)),
            lengths=cases.lengths(task),
            misread=facts[task].misread,
            missed=facts[task].missed,
            invented=facts[task].invented,
        )
        for task in cases.tasks
    }
    return Diagnosis(
        model=first.model,
        suite=first.identity["suite"],
        digest=first.identity["episodes_digest"],
        conditions=tuple(conditions),
        macro=Scope(**cases.figures()),
        tasks=tasks,
        notes=tuple(notes),
    )


class Cases:
    """The tries at episodes that have an answer from the picture, and what other conditions say of the same tries."""

    def __init__(self, frame: pd.DataFrame, by_condition: Mapping[str, pd.DataFrame]) -> None:
        self._frame = frame
        self._by_condition = by_condition
        self._groups = {
            **{m.name: group(by_condition[m.condition], m) for m in METRICS.values() if m.condition in by_condition},
            **{name: group_column(frame, name) for name in ("random", "unreadable", "misplanned", "if_planned_well")},
            "misread": group_column(frame, "misread", "recall"),
            "invented": group_column(frame, "misread", "precision"),
        }
        for condition in ("visual", "perceive"):
            if condition in by_condition:
                for measure in _MEASURES:
                    rows = by_condition[condition]
                    self._groups[f"{condition} {measure}"] = group_column(rows, "state", measure)

    @classmethod
    def of(cls, frame: pd.DataFrame, episodes: Mapping[str, Episode]) -> Self:
        """Keep the last sample of each try and condition, and only tries that have an answer from the picture."""
        again = frame.duplicated(["condition", "episode", "repeat"], keep="last")
        frame = frame[~again] if again.any() else frame
        visual = frame[frame["condition"] == "visual"].copy()
        shares = {name: _random_share(episodes[name]) for name in visual["episode"].unique()}
        visual["random"] = visual["episode"].astype(object).map(shares).astype(float)
        visual["unreadable"] = visual["plan"].isna()
        tries = visual[["episode", "repeat"]]
        others = {}
        for condition in ("symbolic", "perceive", "direct"):
            rows = frame[frame["condition"] == condition].merge(tries, on=["episode", "repeat"])
            if len(rows) == len(tries):
                others[condition] = rows
        if "symbolic" in others:
            told = others["symbolic"][["episode", "repeat", "solved"]].rename(columns={"solved": "told"})
            visual = visual.merge(told, on=["episode", "repeat"])
        return cls(visual, {"visual": visual, **others})

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return self._groups["e2e"].tasks

    def levels(self, task: str) -> list[int]:
        """Levels of a task, smallest first."""
        return [stratum.level for stratum in self._groups["e2e"].at(task).strata]

    def figures(self, task: str | None = None, level: int | None = None) -> dict[str, Any]:
        """The fields of a :class:`Scope`: of one level, one task, or all tasks."""

        def estimate(name: str) -> Estimate:
            return self._groups[name].at(task, level).estimate()

        def scores(condition: str) -> StateScores:
            return StateScores(*(estimate(f"{condition} {measure}") for measure in _MEASURES))

        rows = self._at(self._frame, task, level)
        counts = Counter(rows["attribution"].astype(str))
        has = self._by_condition
        return {
            "n": self._groups["e2e"].at(task, level).n,
            "e2e": estimate("e2e"),
            "e2e_asked": estimate("e2e_asked"),
            "optimal": estimate("optimal"),
            "straight": estimate("straight"),
            "random": estimate("random"),
            "by_path": ByPath(*(_solved(rows[rows["straight"] == straight]) for straight in (True, False))),
            "state": scores("visual"),
            "perceive": scores("perceive") if "perceive" in has else None,
            "plan_on_gt": estimate("plan_on_gt") if "symbolic" in has else None,
            "plan_on_gt_asked": estimate("plan_on_gt_asked") if "symbolic" in has else None,
            "direct": estimate("direct") if "direct" in has else None,
            "gap": self._gap(task, level) if "symbolic" in has else None,
            "faults": self.faults(task, level),
            "attribution": {kind.value: counts[kind] for kind in Attribution},
            "attribution_bounds": attribution_bounds(rows),
            "if_planned_well": estimate("if_planned_well"),
            "joint": self._joint(task, level) if "symbolic" in has else None,
            "repeats": _repeats(rows),
            "dead_ends": _dead_ends(rows),
            "dead_ends_on_gt": _dead_ends(self._at(has["symbolic"], task, level)) if "symbolic" in has else None,
        }

    def lengths(self, task: str) -> tuple[Length, ...]:
        """The episodes of a task by the length of the shortest plan."""
        visual = self._at(self._frame, task, None)
        symbolic = self._by_condition.get("symbolic")
        found = []
        for length in sorted(visual["shortest"].unique()):
            seen = group_column(visual[visual["shortest"] == length], "solved")
            told = None if symbolic is None else self._at(symbolic[symbolic["shortest"] == length], task, None)
            planned = None if told is None else group_column(told, "solved").estimate()
            found.append(Length(int(length), seen.n, seen.estimate(), planned))
        return tuple(found)

    @staticmethod
    def _at(frame: pd.DataFrame, task: str | None, level: int | None) -> pd.DataFrame:
        part = frame if task is None else frame[frame["task"] == task]
        return part if level is None else part[part["level"] == level]

    def _gap(self, task: str | None, level: int | None) -> Gap:
        pairs = Pairs(self._groups["e2e"].at(task, level), self._groups["plan_on_gt"].at(task, level))
        only_visual, only_symbolic = pairs.only()
        return Gap(pairs.difference(), only_visual, only_symbolic, pairs.p())

    def faults(self, task: str | None = None, level: int | None = None) -> FaultRates:
        """How often what goes wrong, in one level, one task, or all tasks."""
        planned, asked = self._groups["misplanned"].at(task, level), self._groups["e2e"].at(task, level)
        precision = self._groups["invented"].at(task, level)
        stated = all(any(s.values[:, :2].any() for s in precision.at(name).strata) for name in precision.tasks)
        return FaultRates(
            misread=complement(self._groups["misread"].at(task, level).estimate()),
            misplanned=planned.estimate() if planned.tasks == asked.tasks else None,
            unreadable=self._groups["unreadable"].at(task, level).estimate(),
            invented=complement(precision.estimate()) if stated else None,
        )

    def _joint(self, task: str | None, level: int | None) -> Joint:
        seen = self._at(self._frame, task, level)[["episode", "repeat", "state_exact", "solved"]]
        told = self._by_condition["symbolic"][["episode", "repeat", "solved"]].rename(columns={"solved": "planned"})
        both = seen.merge(told, on=["episode", "repeat"])
        columns = [both[name].astype(bool) for name in ("state_exact", "planned", "solved")]
        counts = Counter("".join("01"[bool(right)] for right in row) for row in zip(*columns, strict=True))
        exact, planned, solved = (float(column.mean()) for column in columns)
        keys = ["".join(key) for key in product("10", repeat=3)]
        return Joint({key: counts[key] for key in keys}, solved, exact * planned)


_MEASURES: tuple[Measure, ...] = ("precision", "recall", "f1", "exact")


def _solved(rows: pd.DataFrame) -> Estimate | None:
    groups = group_column(rows, "solved")
    return groups.estimate() if groups.strata else None


def _dead_ends(rows: pd.DataFrame) -> DeadEnds | None:
    """What became of failed plans of tasks that have dead ends; None where no task has."""
    having = [task for task in rows["task"].unique() if isinstance(get_task(task), Irreversible)]
    if not having:
        return None
    failed = rows[rows["task"].isin(having) & rows["outcome"].isin(["wrong", "illegal"])]
    steps = failed["dead_end"].dropna()
    groups = group_column(failed.assign(lost=failed["dead_end"].notna()), "lost")
    return DeadEnds(
        failed=len(failed),
        count=len(steps),
        share=groups.estimate() if groups.strata else None,
        mean_step=float(steps.mean()) if len(steps) else None,
    )


def _repeats(rows: pd.DataFrame) -> Repeats | None:
    by_episode = rows.groupby(["task", "level", "episode"], observed=True)["solved"].agg(["sum", "size"]).reset_index()
    sizes = by_episode["size"].unique()
    if len(sizes) != 1 or (n := int(sizes[0])) < 2:
        return None

    def share(successes: list[float]) -> Estimate:
        """The estimate of a number that depends on how many of the n tries were solved."""
        values = by_episode["sum"].map(dict(enumerate(successes)))
        return group_column(by_episode.assign(value=values), "value").estimate()

    ks, solved = range(1, n + 1), range(n + 1)
    return Repeats(
        tries=n,
        at_least_once=tuple(share([1 - comb(n - c, k) / comb(n, k) for c in solved]) for k in ks),
        every_time=tuple(share([comb(c, k) / comb(n, k) for c in solved]) for k in ks),
    )


@lru_cache(maxsize=8_192)  # of larger suites the episodes would be held
def _random_share(episode: Episode) -> float:
    """Share of random plans that solve the episode."""
    rng = Random(sha256(episode.id.encode()).digest())
    task = get_task(episode.task)
    plans = (random_plan(task, episode.level, rng) for _ in range(RANDOM_TRIES))
    return sum(rollout(task, episode.state, plan).outcome == "solved" for plan in plans) / RANDOM_TRIES


def _visual(runs: Sequence[Run]) -> Iterator[Sample]:
    """The last answer to each question from the picture, one after another."""
    for number, run in enumerate(runs):
        later = {row for other in runs[number + 1 :] for row in _tries(other)}
        from_picture = (sample for sample in run.read_samples(texts=False) if sample.condition == "visual")
        for sample in last_of_each(from_picture):
            if (sample.episode, sample.repeat) not in later:
                yield sample


def _tries(run: Run) -> Iterator[tuple[str, int]]:
    """Episodes and repeats that a run has an answer from the picture to."""
    rows = run.frame[run.frame["condition"] == "visual"]
    return zip(rows["episode"], rows["repeat"], strict=True)
