"""The engine's own noise: how much two runs of one checkpoint differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from mgsd_bench.analysis import comparable
from mgsd_bench.analysis.metrics import GATED, METRICS
from mgsd_bench.analysis.run import Run
from mgsd_bench.digests import short_digest
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.asked import Asked
from mgsd_bench.evaluation.evaluate import Blocks, Evaluation, evaluate
from mgsd_bench.gating.measurement import paired
from mgsd_bench.records import Stored, to_json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class MetricNoise:
    """How much one metric differs. Shares are from 0 to 1.

    Attributes:
        metric: its name.
        title: its name in headings.
        n: episodes.
        first: value of the first run.
        second: value of the second run.
        change: second minus first.
        discordance: weighted share of the episodes whose value differs.
        differing: number of those episodes.
        texts: share of the answers whose texts differ.
    """

    metric: str
    title: str
    n: int
    first: float
    second: float
    change: float
    discordance: float
    differing: int
    texts: float


@dataclass(frozen=True, slots=True)
class Noise(Stored):
    """How much two runs of one checkpoint differ: the content of ``noise.json``.

    Attributes:
        model: name of the model.
        suite: name of the suite.
        episodes_digest: digest of the episodes.
        metrics: a row for each metric that both runs have.
        notes: what was let through although the runs differ in it, a line each.
        format: version of the JSON form.
    """

    model: str
    suite: str
    episodes_digest: str
    metrics: tuple[MetricNoise, ...]
    notes: tuple[str, ...] = ()
    format: int = 1

    def to_pandas(self) -> pd.DataFrame:
        """One row a metric, with the fields of :class:`MetricNoise`."""
        import pandas as pd

        return pd.DataFrame([to_json(row) for row in self.metrics])


def run_twice(job: Evaluation, console: Console) -> tuple[Path, Path]:
    """Evaluate one model twice, the second time with the episodes in reverse order, so that its batches are others.

    Returns:
        The two run folders, ``first`` and ``second`` below the job's.

    Raises:
        UserError: as :func:`mgsd_bench.evaluation.evaluate.evaluate`, or (``ENGINE``) requests failed.
    """
    ids = Asked.of(job).episodes.ids
    folders = job.out / "first", job.out / "second"
    for folder, order in zip(folders, (ids, ids[::-1]), strict=True):
        _, code = evaluate(replace(job, out=folder), console, Blocks([order]))
        if code:
            raise UserError(f"{folder}: requests failed; run the same command again to retry them", Exit.ENGINE)
    return folders


def noise(first: Run, second: Run, allow: Iterable[str] = ()) -> Noise:
    """What differs between two runs of one checkpoint, for each metric that both have.

    Args:
        first: a run.
        second: another of the same checkpoint.
        allow: aspects in which the two may differ; see :mod:`mgsd_bench.analysis.comparable`.

    Raises:
        UserError: the runs may not be set side by side, or have failed requests (``NOT_COMPARABLE``).
    """
    conditions = set(first.conditions()) & set(second.conditions())
    notes = comparable.check([first, second], comparable.Question.REPEATS, sorted(conditions), allow)
    for run in (first, second):
        if failed := int((run.frame["outcome"] == "error").sum()):
            raise UserError(
                f"{run.path}: {failed} requests failed; run its command again to retry them", Exit.NOT_COMPARABLE
            )
    texts = [_texts(run) for run in (first, second)]
    rows = []
    for name in GATED:
        condition = METRICS[name].condition
        if condition not in conditions:
            continue
        pairs = paired(first, second, name)
        change = pairs.change()
        ours, theirs = (of_run[condition] for of_run in texts)
        rows.append(
            MetricNoise(
                metric=name,
                title=METRICS[name].title,
                n=len(change.values),
                first=pairs.before.estimate().value,
                second=pairs.after.estimate().value,
                change=change.mean,
                discordance=change.discordance,
                differing=int(np.count_nonzero(change.values)),
                texts=sum(theirs.get(key) != text for key, text in ours.items()) / len(ours),
            )
        )
    identity = first.identity
    return Noise(first.model, identity["suite"], identity["episodes_digest"], tuple(rows), tuple(notes))


def _texts(run: Run) -> dict[str, dict[int, int]]:
    """By condition and question what was answered, each as a digest: a million texts would be too much to hold."""
    found: dict[str, dict[int, int]] = {}
    for sample in run.read_samples():  # of a question that was asked again the last answer stays
        found.setdefault(sample.condition, {})[short_digest(sample.key)] = short_digest(sample.text)
    return found
