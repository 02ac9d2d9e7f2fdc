"""The engine's own noise: how much two runs of one checkpoint differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.evaluate import Blocks, Evaluation, evaluate
from mgsd_bench.gate.measurement import METRICS, check, measure
from mgsd_bench.gate.policy import MetricRule, Policy
from mgsd_bench.runs.run import Run
from mgsd_bench.suites import suite as suites

Json = dict[str, Any]


def run_twice(job: Evaluation, console: Console) -> tuple[Path, Path]:
    """Evaluate one model twice, the second time with the episodes in reverse order, so that its batches are others.

    Returns:
        The two run folders, ``first`` and ``second`` below the job's.

    Raises:
        UserError: as :func:`mgsd_bench.evaluation.evaluate.evaluate`, or (``ENGINE``) requests failed.
    """
    episodes = suites.episodes(job.suite)
    if job.limit is not None:
        episodes = suites.subsample(episodes, job.limit)
    ids = [episode.id for episode in episodes]
    folders = job.out / "first", job.out / "second"
    for folder, order in zip(folders, (ids, ids[::-1]), strict=True):
        _, code = evaluate(replace(job, out=folder), console, Blocks([order]))
        if code:
            raise UserError(f"{folder}: requests failed; run the same command again to retry them", Exit.ENGINE)
    return folders


def noise(first: Run, second: Run) -> Json:
    """What differs between two runs of one checkpoint, for each metric that both have.

    Returns:
        JSON values: for each metric both values, the change, the weighted share of episodes whose value differs, their
        number, and the share of the answers whose texts differ.

    Raises:
        UserError: the runs cannot be compared, or are of different models (``NOT_COMPARABLE``).
    """
    models = [run.record["identity"]["model"] for run in (first, second)]
    if models[0] != models[1]:
        raise UserError(f"{second.path}: of model {models[1]}, not {models[0]}", Exit.NOT_COMPARABLE)
    conditions = {sample.condition for sample in first.samples} & {sample.condition for sample in second.samples}
    names = [name for name, metric in METRICS.items() if metric.condition in conditions]
    rules = tuple(MetricRule(name, 0.03, 0.015) for name in names)
    check(first, second, Policy(metrics=rules, max_truncated=1.0, max_errors=0.0, min_episodes=1))
    episodes, rows = first.episodes(), []
    for name in names:
        found = measure(first, second, name, episodes)
        texts = [
            {(s.episode, s.repeat): s.text for s in run.samples if s.condition == METRICS[name].condition}
            for run in (first, second)
        ]
        rows.append(
            {
                "metric": name,
                "title": METRICS[name].title,
                "n": len(found.change.values),
                "first": round(found.baseline, 6),
                "second": round(found.candidate, 6),
                "change": round(found.change.mean, 6),
                "discordance": round(found.change.discordance, 6),
                "differing": int(np.count_nonzero(found.change.values)),
                "texts": round(sum(texts[0][key] != texts[1][key] for key in texts[0]) / len(texts[0]), 6),
            }
        )
    return {
        "format": 1,
        "model": first.model,
        "suite": first.record["identity"]["suite"],
        "episodes_digest": first.record["identity"]["episodes_digest"],
        "metrics": rows,
    }
