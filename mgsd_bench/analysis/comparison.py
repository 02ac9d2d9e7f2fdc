"""Several runs side by side, and two runs question by question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mgsd_bench.analysis.metrics import per_episode, summarise
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.runs.run import Run, read_run
from mgsd_bench.statistics.intervals import holm, macro, paired_difference
from mgsd_bench.statistics.paired import two_sided_p

Json = dict[str, Any]


def read_comparable(paths: Sequence[Path], condition: str) -> list[Run]:
    """Runs that can be compared under a condition.

    Raises:
        UserError: a run is missing, unfinished or damaged, lacks the condition, or (exit code ``NOT_COMPARABLE``) saw
            other episodes or prompts than the first, or was scored by another version.
    """
    runs = [read_run(path) for path in paths]
    first = _asked(runs[0], condition)
    for run in runs:
        if run.record["status"] not in ("complete", "errors"):
            raise UserError(f"{run.path}: this run is not finished ({run.record['status']}); run its command again")
        asked = _asked(run, condition)
        if not asked:
            has = ", ".join(sorted({sample.condition for sample in run.samples}))
            raise UserError(f"{run.path}: has no answers under {option('conditions', condition)}; it has {has}")
        digests = [other.record["identity"]["episodes_digest"][:12] for other in (run, runs[0])]
        if digests[0] != digests[1]:
            raise UserError(
                f"{run.path}: other episodes than {paths[0]} (digest {digests[0]}, not {digests[1]})",
                Exit.NOT_COMPARABLE,
            )
        if asked != first:
            raise UserError(f"{run.path}: other prompts or images than {paths[0]}", Exit.NOT_COMPARABLE)
        scorers = [other.record["identity"]["scorer"] for other in (run, runs[0])]
        if scorers[0] != scorers[1]:
            raise UserError(
                f"{run.path}: scored by version {scorers[0]}, {paths[0]} by {scorers[1]}; score both alike, with "
                "`mgsd-bench score --answers RUN/samples.jsonl`",
                Exit.NOT_COMPARABLE,
            )
    return runs


def _asked(run: Run, condition: str) -> dict[str, str]:
    """Digest of the prompt and the image that each episode was asked with."""
    return {sample.episode: sample.prompt_digest for sample in run.samples if sample.condition == condition}


def side_by_side(runs: Sequence[Run]) -> list[tuple[str, Json]]:
    """Name of the model and metrics of each run, computed anew from its samples."""
    return [(run.model, summarise(run.samples)) for run in runs]


def compare(a: Run, b: Run, condition: str) -> Json:
    """What changed from run a to run b, paired by episode.

    Returns:
        JSON values: for each task and for the macro average the accuracies, their difference (b minus a) with its
        interval, the episodes that only one of the two solved, the p-value of no change
        (:func:`mgsd_bench.statistics.paired.two_sided_p`) and, over the tasks, Holm's adjusted p; and the ids of the
        episodes that regressed and improved. With repeats an episode counts by its mean.
    """
    values_a, values_b = (_by_task(run, condition) for run in (a, b))
    rows = [_row(task, [values_a[task]], [values_b[task]]) for task in values_a]
    adjusted = holm({row["task"]: row["mid_p"] for row in rows})
    for row in rows:
        row["holm_p"] = round(adjusted[row["task"]], 6)
    return {
        "format": 1,
        "a": a.model,
        "b": b.model,
        "condition": condition,
        "tasks": rows,
        "macro": _row("macro", list(values_a.values()), list(values_b.values())),
        "regressed": _changed(values_a, values_b),
        "improved": _changed(values_b, values_a),
    }


ByLevel = dict[int, dict[str, float]]


def _by_task(run: Run, condition: str) -> dict[str, ByLevel]:
    tasks: dict[str, ByLevel] = {}
    for sample, value in per_episode([sample for sample in run.samples if sample.condition == condition]):
        tasks.setdefault(sample.task, {}).setdefault(sample.level, {})[sample.episode] = value
    return tasks


def _row(task: str, a: list[ByLevel], b: list[ByLevel]) -> Json:
    groups_a, groups_b = ([[list(of_level.values()) for of_level in levels.values()] for levels in x] for x in (a, b))
    pairs = [
        (of_level[episode], levels_b[level][episode])
        for levels, levels_b in zip(a, b, strict=True)
        for level, of_level in levels.items()
        for episode in of_level
    ]
    only_a, only_b = sum(x > y for x, y in pairs), sum(y > x for x, y in pairs)
    return {
        "task": task,
        "n": len(pairs),
        "a": macro(groups_a).to_json(),
        "b": macro(groups_b).to_json(),
        "difference": paired_difference(groups_a, groups_b).to_json(),
        "only_a": only_a,
        "only_b": only_b,
        "mid_p": round(two_sided_p(groups_a, groups_b), 6),
    }


def _changed(better: dict[str, ByLevel], worse: dict[str, ByLevel]) -> list[str]:
    return [
        episode
        for task, levels in better.items()
        for level, of_level in levels.items()
        for episode, value in of_level.items()
        if value > worse[task][level][episode]
    ]
