"""Trainings that are killed at a random moment and gone on with: are the weights those of one that never was?

::

    python benchmarks/training_kills.py [--kills 10] [--seed 0] [--out FILE]

For each method a few steps of the tiny model, its checkpoints written every two, in float32. Writes
`reports/reliability/training.md`; exits with 1 if a training ended with other weights, or did not end.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.survival import Trial, page, publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "training.md"
METHODS: Mapping[str, tuple[str, ...]] = {
    "sft": ("cold-start",),
    "distill": ("self-distill", "stages.self-distill.teacher.model=null", "stages.self-distill.max_completion=16"),
    "grpo": (
        "grpo",
        "stages.grpo={method: grpo, tuning: full, batch: 4, micro_batch: 4, group: 2, max_completion: 16, "
        "trainer: {max_steps: 8}}",
    ),
}
"""The stage that is trained with each method, and what else the recipe says."""


def words(method: str, out: Path) -> list[str]:
    """The command of a training."""
    stage, *more = METHODS[method]
    others = [f"stages.{name}=null" for name in ("pretrain", "cold-start", "self-distill") if name != stage]
    changes = ["data={levels: {frozenlake: [3]}, count: 16}", "validation={count: 1, max_tokens: 16, every: 2}"]
    changes += ["precision=fp32", "base=tiny-base", "start=tiny-mgsd", *others, *more]
    if stage != "grpo":
        changes += [f"stages.{stage}.{key}" for key in ("batch=4", "micro_batch=4", "trainer.max_steps=8")]
    sets = [word for change in changes for word in ("--set", change)]
    return [sys.executable, "-m", "mgsd_bench", "train", "tiny-smoke", "--out", str(out), "--resume", *sets]


def run(command: Sequence[str], seconds: float | None = None) -> int:
    """Run it, and kill it after so many seconds; its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def weights(out: Path, method: str) -> str:
    """Digest of the weights that a training left; empty if it left none."""
    file = out / METHODS[method][0] / "model.safetensors"
    return sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def kills(method: str, count: int, rng: random.Random, folder: Path) -> Iterator[Trial]:
    """Kill a training so often, each time from its beginning, and go on with it."""
    began = time.monotonic()
    whole = folder / f"{method}-whole"
    if run(words(method, whole)) or not (expected := weights(whole, method)):
        raise SystemExit(f"{method}: the training that nobody kills fails")
    took = time.monotonic() - began
    for number in range(count):
        out, seconds = folder / f"{method}-{number}", rng.uniform(0.3, 1.0) * took
        run(words(method, out), seconds)
        code = run(words(method, out))
        wrong = [f"exit code {code}"] if code else [] if weights(out, method) == expected else ["other weights"]
        yield Trial(method, f"killed after {seconds:.1f} s", wrong, {})


MEANINGS = {
    "sft": "supervised fine-tuning",
    "distill": "self-distillation, its answers sampled",
    "grpo": "GRPO, its answers sampled",
}
INTRODUCTION = """\
Eight optimiser steps of the tiny model with each method, in float32, a checkpoint every two, killed by `kill -9` at a
random moment and gone on with by the same command. Survived means: the weights are, to the last bit, those of a
training that nobody killed."""


def main() -> None:
    """Kill trainings and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=REPORT)
    given = parser.parse_args()
    done: list[Trial] = []
    with TemporaryDirectory() as folder:
        for method in METHODS:
            for each in kills(method, given.kills, random.Random(f"{given.seed}/{method}"), Path(folder)):
                done.append(each)
                print(f"{each.kind}, {each.name}: {'; '.join(each.faults) or 'same weights'}", flush=True)
    made_by = f"Made by `python benchmarks/training_kills.py --seed {given.seed}`."
    publish(page("Trainings that are killed", INTRODUCTION, MEANINGS, done, made_by), given.out)
    sys.exit(any(each.faults for each in done))


if __name__ == "__main__":
    main()
