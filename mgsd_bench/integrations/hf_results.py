"""Figures of a run as evaluation results of the Hugging Face hub: a YAML file for ``.eval_results`` of a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mgsd_bench.analysis.frame import SampleTable
from mgsd_bench.analysis.groups import group
from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.errors import UserError, option
from mgsd_bench.files import write_whole
from mgsd_bench.integrations.about_run import WITH_SAMPLING, times_of
from mgsd_bench.integrations.finished import FinishedRun
from mgsd_bench.suites.dataset_card import FRAMEWORK, LEADERBOARDS
from mgsd_envs.files import well_formed
from mgsd_envs.looks import id_without_look

FOLDER = ".eval_results"
TASK_IDS = tuple(LEADERBOARDS)
"""The tasks of the benchmark on the hub, each with a leaderboard: metrics by the names that they have here."""

_USUAL: dict[str, Any] = {"temperature": 0.0, "max_tokens": 4096}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Where the suite is on the hub, and where the answers can be seen.

    Attributes:
        dataset: name of the data set, ``OWNER/NAME``.
        revision: its commit.
        source: URL of the answers or of a paper.
    """

    dataset: str
    revision: str | None = None
    source: str | None = None


def write_hf_results(finished: FinishedRun, out: Path, benchmark: Benchmark) -> tuple[Path, dict[str, float]]:
    """Write the figures that a run has of :data:`TASK_IDS`, macro averages in percent.

    Args:
        finished: the run.
        out: folder of the model's files.
        benchmark: where the suite is.

    Returns:
        The file, and the figures by task.

    Raises:
        UserError: the run has none of them, is of a part of its suite, was asked with other prompts than its set's, or
            is damaged.
        OSError: the file cannot be written.
    """
    run = finished.run
    names = [name for name in TASK_IDS if METRICS[name].condition in finished.conditions]
    if not names:
        raise UserError(
            f"{run.path}: has no figure of {', '.join(TASK_IDS)}, which are of the conditions visual and symbolic; ask "
            f"under one with {option('conditions', 'visual')}"
        )
    if finished.is_part or run.identity.get("limit") is not None:
        raise UserError(
            f"{run.path}: is of {len(finished.asked)} episodes of {run.identity['suite']}, and a leaderboard is of "
            "all; ask about the whole suite"
        )
    if others := sorted({episode.split for episode in finished.asked.values()} - {"test"}):
        raise UserError(f"{run.path}: has episodes of the split {others[0]}, and a leaderboard is of test")
    finished.check_prompts()
    table = SampleTable(finished.asked, finished.run.origin, brief=True)
    for sample in finished.samples(texts=False):
        if id_without_look(sample.episode) == sample.episode:
            table.append(sample)
    frame = table.frame()
    errors = int((frame["outcome"] == "error").sum())
    values = {name: round(100 * group(frame, METRICS[name]).estimate().value, 2) for name in names}
    notes, scope = _notes(finished, errors), [] if finished.suite is not None else [_scope(finished)]
    about = {
        "date": times_of(run)[1].date().isoformat(),
        **({} if benchmark.source is None else {"source": {"url": benchmark.source, "name": "mgsd-bench run"}}),
        "evaluation_framework": FRAMEWORK,
        **({"notes": "; ".join([*scope, *notes])} if scope or notes else {}),
    }
    revision = {} if benchmark.revision is None else {"revision": benchmark.revision}
    entries = [
        {"dataset": {"id": benchmark.dataset, "task_id": name, **revision}, "value": value, **about}
        for name, value in values.items()
    ]
    path = out / FOLDER / f"{_file_name(str(run.identity['suite']), notes)}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump(entries, sort_keys=False, allow_unicode=True))
    return path, values


def _notes(finished: FinishedRun, errors: int) -> list[str]:
    """In what the run differs from how a model is usually asked; nothing where in nothing."""
    identity = finished.run.identity
    notes = []
    if finished.prompt_set != "default":
        notes.append(f"prompts {finished.prompt_set}")
    sampling = identity.get("sampling")
    if identity.get("backend") in WITH_SAMPLING and isinstance(sampling, dict):
        notes += [f"{name} {sampling.get(name)}" for name, usual in _USUAL.items() if sampling.get(name) != usual]
    if identity["repeats"] > 1:
        notes.append(f"mean of {identity['repeats']} repeats")
    if finished.run.look != ("classic" if finished.suite is None else finished.suite.theme):
        notes.append(f"look {finished.run.look}")
    if errors:
        notes.append(f"{errors} requests failed and count as not solved")
    return [well_formed(note) for note in notes]


def _scope(finished: FinishedRun) -> str:
    """What a suite that does not come with the project is of."""
    tasks = ", ".join(sorted({episode.task for episode in finished.asked.values()}))
    return f"{len(finished.asked)} episodes of {tasks}, digest {finished.run.identity['episodes_digest'][:12]}"


def _file_name(suite: str, notes: list[str]) -> str:
    """A file a variant, as is usual on the hub."""
    words = "-".join([suite, *notes])
    return re.sub(r"[^\w.]+", "-", words, flags=re.ASCII).strip("-.")[:80] or "mgsd-bench"
