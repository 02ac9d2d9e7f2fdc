"""Small runs of scripted models to be gated, and the command as a function."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from typer.testing import CliRunner

from mgsd_bench.backends import BackendConfig, Sampling
from mgsd_bench.cli import app
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import select

LOOSE = "metrics: {e2e: 10, plan_on_gt: 10}\nlimits: {min_episodes: 1}\n"


def make(folder: Path, model: str, limit: int = 25, **changes: Any) -> Path:
    """A run of a scripted model on lakes and mazes."""
    suite = select(find_suite("mgsd-v1"), ["frozenlake", "maze"], [3, 4])
    config = BackendConfig(
        model, Sampling(seed=changes.pop("seed", 0), max_tokens=changes.pop("max_tokens", 4096)),
        max_pixels=changes.pop("max_pixels", 262_144),
    )  # fmt: skip
    job = Evaluation(suite, limit, ["visual", "symbolic"], 1, "default", "scripted", config, folder)
    evaluate(replace(job, **changes), Console(quiet=True))
    return folder


def call(*words: object, code: int = 0) -> str:
    """Run a command in this process; its output, or the one line of its refusal."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, UserError):
        assert int(done.exception.code) == code, done.exception
        assert "\n" not in str(done.exception)
        return str(done.exception)
    assert done.exit_code == code, done.output + repr(done.exception)
    return done.output


def copy(run: Path, to: Path) -> Path:
    shutil.copytree(run, to)
    return to


def edit(run: Path, **identity: Any) -> Path:
    record = json.loads((run / "run.json").read_text())
    record["identity"].update(identity)
    (run / "run.json").write_text(json.dumps(record))
    return run
