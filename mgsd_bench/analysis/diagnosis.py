"""The diagnosis of a model: what it sees, how it plans, and why it fails; from run folders alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import product
from math import comb
from random import Random
from statistics import fmean
from typing import Any, TypeVar

from mgsd_bench.analysis.attribution import (
    Attribution,
    Counts,
    attribute,
    count_by_kind,
    count_facts,
    misplanned,
    misread_cells,
    solved_if_planned_well,
    stated_facts,
)
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.runs.run import Run
from mgsd_bench.runs.sample import Sample, ordered
from mgsd_bench.runs.scoring import Outcome
from mgsd_bench.statistics.intervals import Estimate, Measure, f1, macro, paired_difference
from mgsd_bench.statistics.paired import two_sided_p
from mgsd_envs import Episode, get_task, random_plan, rollout

Json = dict[str, Any]
T = TypeVar("T")
U = TypeVar("U")

_MEASURES: tuple[Measure, ...] = ("precision", "recall", "f1")
RANDOM_TRIES = 20
"""Random plans an episode, from which the random baseline is estimated."""


def diagnose(runs: Sequence[Run]) -> Json:
    """Everything that is reported of how a model fails.

    Args:
        runs: finished runs of one model on the same episodes, which between them hold the condition ``visual`` and,
            for what depends on them, ``symbolic``, ``perceive`` and ``direct``.

    Returns:
        JSON values: ``macro`` and, by task, ``tasks`` hold the same figures; see ``docs/diagnosis.md`` for each.

    Raises:
        UserError: the runs belong to different models or episodes, are not finished, or none is visual.
    """
    first = _check(runs)
    episodes = first.episodes()
    cases = _cases(runs, episodes)
    tasks = {task: [case for case in cases if case.episode.task == task] for task in _in_order(cases)}
    identity = first.record["identity"]
    return {
        "format": 1,
        "model": first.model,
        "suite": identity["suite"],
        "digest": identity["episodes_digest"],
        "conditions": sorted({sample.condition for run in runs for sample in run.samples}),
        "macro": _scope(list(tasks.values())),
        "tasks": {task: _task(of_task) for task, of_task in tasks.items()},
    }


@dataclass(frozen=True)
class Case:
    """One try at one episode: its visual sample, and its samples under the other conditions where there are any."""

    episode: Episode
    samples: dict[str, Sample]

    @cached_property
    def visual(self) -> Sample:
        """The sample from the picture."""
        return self.samples["visual"]

    @cached_property
    def attribution(self) -> Attribution:
        """Why the visual answer failed."""
        return attribute(self.episode, self.visual)

    def counts(self, condition: str) -> Counts:
        """Facts right and wrong under a condition."""
        return count_facts(get_task(self.episode.task).facts(self.episode.state), stated_facts(self.samples[condition]))

    def solved(self, condition: str) -> float:
        """1 if solved under a condition, else 0."""
        return float(self.samples[condition].outcome == Outcome.SOLVED)

    @cached_property
    def misread(self) -> Counts:
        """Facts read right and wrong in the picture, the size left out."""
        true = get_task(self.episode.task).facts(self.episode.state)
        true, stated = (frozenset(f for f in facts if f[0] != "size") for facts in (true, stated_facts(self.visual)))
        return count_facts(true, stated)

    @cached_property
    def misplanned(self) -> bool | None:
        """Whether the visual plan fails in the world that its own answer states."""
        return misplanned(self.episode, self.visual)

    @cached_property
    def random_share(self) -> float:
        """Share of random plans that solve the episode."""
        rng = Random(sha256(self.episode.id.encode()).digest())
        task = get_task(self.episode.task)
        plans = (random_plan(task, self.episode.level, rng) for _ in range(RANDOM_TRIES))
        return sum(rollout(task, self.episode.state, plan).outcome == "solved" for plan in plans) / RANDOM_TRIES


Cases = list[Case]


def _check(runs: Sequence[Run]) -> Run:
    first = runs[0]
    for run in runs:
        identity = run.record["identity"]
        for key, what in (
            ("episodes_digest", "other episodes"),
            ("model", "another model"),
            ("scorer", "another scorer"),
        ):
            if identity[key] != first.record["identity"][key]:
                raise UserError(f"{run.path}: {what} than {first.path}", Exit.NOT_COMPARABLE)
        if run.record["status"] not in ("complete", "errors"):
            raise UserError(f"{run.path}: this run is not finished ({run.record['status']}); run its command again")
    if not any(sample.condition == "visual" for run in runs for sample in run.samples):
        raise UserError(f"{first.path}: a diagnosis needs answers under the condition visual; run it first")
    return first


def _cases(runs: Sequence[Run], episodes: dict[str, Episode]) -> Cases:
    by_try: dict[tuple[str, int], dict[str, Sample]] = {}
    for sample in ordered(sample for run in runs for sample in run.samples):
        by_try.setdefault((sample.episode, sample.repeat), {})[sample.condition] = sample
    return [Case(episodes[name], samples) for (name, _), samples in by_try.items() if "visual" in samples]


def _in_order(cases: Cases) -> list[str]:
    return list(dict.fromkeys(case.episode.task for case in cases))


def _levels(cases: Cases) -> dict[int, Cases]:
    levels: dict[int, Cases] = {}
    for case in sorted(cases, key=lambda case: case.episode.level):
        levels.setdefault(case.episode.level, []).append(case)
    return levels


def _task(cases: Cases) -> Json:
    return {
        **_scope([cases]),
        "facts": _facts(cases),
        "levels": [{"level": level, **_scope([of_level])} for level, of_level in _levels(cases).items()],
        "lengths": _lengths(cases),
        "misread": {str(level): _misread(of_level, level) for level, of_level in _levels(cases).items()},
    }


def _scope(tasks: list[Cases]) -> Json:
    """The figures of one task, one level, or (as equal-weight means) of several tasks."""
    everything = [case for cases in tasks for case in cases]
    has = {condition for condition in ("symbolic", "perceive", "direct") if _all_have(everything, condition)}
    paths = {
        name: [part for cases in tasks if (part := [case for case in cases if case.episode.straight == straight])]
        for name, straight in (("straight", True), ("blocked", False))
    }
    return {
        "n": len({case.episode.id for case in everything}),
        "e2e": _mean(tasks, lambda case: case.solved("visual")),
        "optimal": _mean(tasks, lambda case: float(case.visual.optimal)),
        "straight": _mean(tasks, lambda case: float(case.episode.straight)),
        "random": _mean(tasks, lambda case: case.random_share),
        "by_path": {
            name: _mean(parts, lambda case: case.solved("visual")) if parts else None for name, parts in paths.items()
        },
        "state": _state(tasks, "visual"),
        "perceive": _state(tasks, "perceive") if "perceive" in has else None,
        "plan_on_gt": _mean(tasks, lambda case: case.solved("symbolic")) if "symbolic" in has else None,
        "direct": _mean(tasks, lambda case: case.solved("direct")) if "direct" in has else None,
        "gap": _gap(tasks) if "symbolic" in has else None,
        "faults": faults(tasks),
        "attribution": _attribution(everything),
        "if_planned_well": _mean(tasks, lambda case: float(solved_if_planned_well(case.episode, case.visual))),
        "joint": _joint(everything) if "symbolic" in has else None,
        "repeats": _repeats(tasks),
    }


def _all_have(cases: Cases, condition: str) -> bool:
    return all(condition in case.samples for case in cases)


def _grouped(tasks: list[Cases], value: Callable[[Case], T], join: Callable[[list[T]], U]) -> list[list[list[U]]]:
    """For each task its levels, for each level one value an episode, joined from those of its repeats."""
    groups = []
    for cases in tasks:
        levels = []
        for of_level in _levels(cases).values():
            by_episode: dict[str, list[T]] = {}
            for case in of_level:
                by_episode.setdefault(case.episode.id, []).append(value(case))
            levels.append([join(tries) for tries in by_episode.values()])
        groups.append(levels)
    return groups


def _values(tasks: list[Cases], value: Callable[[Case], float]) -> list[list[list[float]]]:
    return _grouped(tasks, value, fmean)


def _mean(tasks: list[Cases], value: Callable[[Case], float]) -> Json:
    return macro(_values(tasks, value)).to_json()


def _counts(tasks: list[Cases], count: Callable[[Case], Counts]) -> list[list[list[list[int]]]]:
    return _grouped(tasks, count, lambda tries: [sum(column) for column in zip(*tries, strict=True)])


def _state(tasks: list[Cases], condition: str) -> Json:
    counts = _counts(tasks, lambda case: case.counts(condition))
    measures: Json = {measure: f1(counts, measure).to_json() for measure in _MEASURES}
    return {**measures, "exact": _mean(tasks, lambda case: float(case.counts(condition).exact))}


def faults(tasks: list[Cases]) -> Json:
    """How often the model misreads a fact, misplans in the world that it believes in, and says no plan.

    ``misread`` is the share of true facts (the size left out) that are not stated; ``misplanned`` the share of plans
    that fail in the world that was stated, among those that have a way there; ``unreadable`` the share of answers
    without a plan.
    """
    recall = f1(_counts(tasks, lambda case: case.misread), "recall")
    planned = [[case for case in cases if case.misplanned is not None] for cases in tasks]
    return {
        "misread": Estimate(1 - recall.value, 1 - recall.high, 1 - recall.low, recall.n).to_json(),
        "misplanned": _mean(planned, lambda case: float(bool(case.misplanned))) if all(planned) else None,
        "unreadable": _mean(tasks, lambda case: float(case.visual.plan is None)),
    }


def _gap(tasks: list[Cases]) -> Json:
    """The modality gap: symbolic minus visual accuracy on the same episodes (MGSD, arXiv 2606.06076)."""
    visual = _values(tasks, lambda case: case.solved("visual"))
    symbolic = _values(tasks, lambda case: case.solved("symbolic"))
    difference: Estimate = paired_difference(visual, symbolic)
    pairs = [
        (seen, told)
        for of_visual, of_symbolic in zip(visual, symbolic, strict=True)
        for level_visual, level_symbolic in zip(of_visual, of_symbolic, strict=True)
        for seen, told in zip(level_visual, level_symbolic, strict=True)
    ]
    only_visual, only_symbolic = sum(seen > told for seen, told in pairs), sum(told > seen for seen, told in pairs)
    return {
        "difference": difference.to_json(),
        "only_visual": only_visual,
        "only_symbolic": only_symbolic,
        "mid_p": round(two_sided_p(visual, symbolic), 6),
    }


def _attribution(cases: Cases) -> dict[str, int]:
    counts = Counter(case.attribution for case in cases)
    return {kind.value: counts[kind] for kind in Attribution}


def _joint(cases: Cases) -> Json:
    """State exact, Plan-on-GT and E2E together: how often each combination occurs, beside independence."""
    counts = Counter(
        "".join(
            str(int(right)) for right in (case.counts("visual").exact, case.solved("symbolic"), case.solved("visual"))
        )
        for case in cases
    )
    n = len(cases)
    exact, planned, solved = (
        sum(count for key, count in counts.items() if key[place] == "1") / n for place in range(3)
    )
    return {
        "counts": {"".join(key): counts["".join(key)] for key in product("10", repeat=3)},
        "observed": round(solved, 6),
        "independent": round(exact * planned, 6),
    }


def _repeats(tasks: list[Cases]) -> Json | None:
    """Reliability: for k = 1, 2, ... tries, the share of episodes solved at least once (pass@k) and every time.

    With c of n tries solved, k drawn without replacement hold at least one success with probability
    1 - C(n - c, k) / C(n, k), and k successes with C(c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374). None
    without repeats, or where episodes have different numbers of tries.
    """
    tries = _tries([case for cases in tasks for case in cases])
    counts = {len(values) for values in tries.values()}
    if len(counts) != 1 or (n := counts.pop()) < 2:
        return None

    def share(successes: Callable[[int, int], float], k: int) -> Json:
        return _mean(tasks, lambda case: successes(int(sum(tries[case.episode.id])), k))

    ks = range(1, n + 1)
    return {
        "tries": n,
        "at_least_once": [share(lambda c, k: 1 - comb(n - c, k) / comb(n, k), k) for k in ks],
        "every_time": [share(lambda c, k: comb(c, k) / comb(n, k), k) for k in ks],
    }


def _tries(cases: Cases) -> dict[str, list[float]]:
    """For each episode whether each of its tries was solved."""
    tries: dict[str, list[float]] = {}
    for case in cases:
        tries.setdefault(case.episode.id, []).append(case.solved("visual"))
    return tries


def _facts(cases: Cases) -> dict[str, Json]:
    totals: dict[str, list[int]] = {}
    for case in cases:
        true = get_task(case.episode.task).facts(case.episode.state)
        for kind, counts in count_by_kind(true, stated_facts(case.visual)).items():
            row = totals.setdefault(kind, [0, 0, 0])
            for place, count in enumerate(counts):
                row[place] += count
    return {
        kind: {"tp": tp, "fp": fp, "fn": fn, "f1": round(2 * tp / (2 * tp + fp + fn), 6)}
        for kind, (tp, fp, fn) in sorted(totals.items())
    }


def _lengths(cases: Cases) -> list[Json]:
    rows = []
    for length in sorted({case.episode.shortest for case in cases}):
        of_length = [case for case in cases if case.episode.shortest == length]
        symbolic = _all_have(of_length, "symbolic")
        rows.append(
            {
                "shortest": length,
                "n": len({case.episode.id for case in of_length}),
                "e2e": _mean([of_length], lambda case: case.solved("visual")),
                "plan_on_gt": _mean([of_length], lambda case: case.solved("symbolic")) if symbolic else None,
            }
        )
    return rows


def _misread(cases: Cases, level: int) -> list[list[float]]:
    """Misread facts an episode, by the cell that they are about."""
    counts: Counter[tuple[int, int]] = Counter()
    for case in cases:
        true = get_task(case.episode.task).facts(case.episode.state)
        counts.update(misread_cells(true, stated_facts(case.visual), level))
    return [[round(counts[row, column] / len(cases), 6) for column in range(level)] for row in range(level)]
