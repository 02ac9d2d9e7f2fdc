"""One training by two processes, which is that of one process."""

from __future__ import annotations

import json
import re
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from support.launching import launch, trainers
from support.parallel_cases import CASES, apart, folder_of, losses, run, run_all, weights

pytestmark = pytest.mark.train

STEPS = 2
DATA_PARALLEL = ("cold-start", "adapter", "direct-sft", "grpo")
SHARDED = ("cold-start, sharded", "self-distill, sharded")


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return trainers()


@pytest.fixture(scope="module")
def two(context: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, each trained by two processes."""
    out = tmp_path_factory.mktemp("two")
    assert launch(context, run_all, (*DATA_PARALLEL, *SHARDED), out, STEPS) == [0, 0]
    return out


@pytest.mark.parametrize("name", [*DATA_PARALLEL, *SHARDED])
def test_two_processes_train_as_one(name: str, two: Path, tmp_path: Path) -> None:
    run(name, tmp_path, STEPS)
    for stage in CASES[name].stages:
        one, other = (out / folder_of(name) / stage for out in (tmp_path, two))
        assert len(losses(other)) == STEPS
        assert max(apart(one, other)) < 1e-5
        record = json.loads((other / "training.json").read_text())
        assert (record["processes"], record["sharded"]) == (2, CASES[name].sharded)


@pytest.mark.parametrize("name", SHARDED)
def test_each_process_holds_half_of_every_weight(name: str, two: Path) -> None:
    models = [json.loads((two / folder_of(name) / f"shards-{rank}.json").read_text()) for rank in (0, 1)]
    assert ("teacher" in models[0]) == name.startswith("self-distill")
    for model in models[0]:
        assert models[0][model].keys() == models[1][model].keys()
        for weight, (whole, first) in models[0][model].items():
            if model == "teacher at last" and not re.search(r"\.(layers|blocks)\.", weight):
                continue  # once it has scored, its output layer and what is outside of all layers stay whole
            _, second = models[1][model][weight]
            assert first[0] == -(-whole[0] // 2), weight
            assert first[0] + second[0] == whole[0], weight
            assert first[1:] == second[1:] == whole[1:]


def test_killed_and_resumed_ends_as_if_never_killed(context: ForkServerContext, tmp_path: Path) -> None:
    """The last process is killed, without which the other cannot go on; each samples from a stream of its own."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert launch(context, run, "sampled", whole, 4) == [0, 0]
    codes = launch(context, _killed, killed)
    assert codes[1] == -signal.SIGKILL
    assert codes[0] != 0
    assert (killed / "sampled" / "self-distill" / "checkpoints" / "checkpoint-2" / "rng_state_1.pth").is_file()
    assert launch(context, _resumed, killed) == [0, 0]
    one, other = (out / "sampled" / "self-distill" for out in (whole, killed))
    assert losses(one) == losses(other)
    left, right = weights(one), weights(other)
    assert all(torch.equal(left[name], right[name]) for name in left)


def _killed(out: Path) -> None:
    run("sampled", out, 4, killed_at=3)


def _resumed(out: Path) -> None:
    run("sampled", out, 4, resume=True)
