"""Metrics of a run, from its samples alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from mgsd_bench.runs.sample import Sample, ordered
from mgsd_bench.runs.scoring import Outcome
from mgsd_bench.statistics.intervals import Estimate, macro, proportion

Json = dict[str, Any]


def summarise(samples: Iterable[Sample]) -> Json:
    """Everything that is reported of a run.

    Accuracy is the share of solved questions among *all* that were asked, whatever became of the others; optimal
    accuracy the share solved with as few actions as possible (MGSD, arXiv 2606.06076, evaluation). The macro average
    is the equal-weight mean of the tasks. The result depends on the samples only, not on their order.

    Returns:
        ``{"conditions": {name: {"levels": [...], "tasks": [...], "macro": {...}}}, "samples": n}`` as JSON values.
    """
    by_condition: dict[str, list[Sample]] = {}
    everything = ordered(samples)
    for sample in everything:
        by_condition.setdefault(sample.condition, []).append(sample)
    return {
        "samples": len(everything),
        "errors": sum(sample.outcome == Outcome.ERROR for sample in everything),
        "conditions": {condition: _condition(of_it) for condition, of_it in by_condition.items()},
    }


def _condition(samples: list[Sample]) -> Json:
    tasks: dict[str, dict[int, list[Sample]]] = {}
    for sample in samples:
        tasks.setdefault(sample.task, {}).setdefault(sample.level, []).append(sample)
    return {
        "levels": [
            {"task": task, "level": level, **_row([levels[level]])}
            for task, levels in tasks.items()
            for level in sorted(levels)
        ],
        "tasks": [{"task": task, **_row(list(levels.values()))} for task, levels in tasks.items()],
        "macro": {
            "tasks": list(tasks),
            "accuracy": _macro(tasks, "accuracy"),
            "optimal_accuracy": _macro(tasks, "optimal"),
        },
    }


def _row(strata: list[list[Sample]]) -> Json:
    samples = [sample for stratum in strata for sample in stratum]
    counts = Counter(sample.outcome for sample in samples)
    answered = sum(sample.plan is not None for sample in samples)
    solved = counts[Outcome.SOLVED]
    return {
        "n": len({sample.episode for sample in samples}),
        "samples": len(samples),
        "accuracy": _share(strata, "accuracy").to_json(),
        "optimal_accuracy": _share(strata, "optimal").to_json(),
        "accuracy_answered": proportion(solved, answered).to_json() if answered else None,
        "outcomes": {outcome.value: counts[outcome] for outcome in Outcome},
        "illegal_rules": dict(sorted(Counter(s.illegal for s in samples if s.illegal).items())),
    }


def per_episode(samples: Iterable[Sample], of: str = "accuracy") -> list[tuple[Sample, float]]:
    """The first sample of each episode, with the mean over its repeats, which are not new episodes.

    Args:
        samples: samples of one condition.
        of: ``accuracy`` (solved) or ``optimal``.
    """
    tries: dict[str, list[Sample]] = {}
    for sample in ordered(samples):
        tries.setdefault(sample.episode, []).append(sample)
    return [(of_one[0], sum(_value(sample, of) for sample in of_one) / len(of_one)) for of_one in tries.values()]


def _value(sample: Sample, of: str) -> bool:
    return sample.optimal if of == "optimal" else sample.outcome == Outcome.SOLVED


def _share(strata: list[list[Sample]], of: str) -> Estimate:
    values = [[value for _, value in per_episode(stratum, of)] for stratum in strata]
    if len(values) == 1 and all(value in (0.0, 1.0) for value in values[0]):
        return proportion(int(sum(values[0])), len(values[0]))
    return macro([values])


def _macro(tasks: dict[str, dict[int, list[Sample]]], of: str) -> Json:
    groups = [
        [[value for _, value in per_episode(samples, of)] for samples in levels.values()] for levels in tasks.values()
    ]
    return macro(groups).to_json()
