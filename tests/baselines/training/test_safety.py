"""What ends a training before its time: gradients that are no numbers, a full disk, arithmetic that a CPU lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer

from mgsd_baselines.recipe_file import load_recipe
from mgsd_baselines.training.models import load_model, native_precision
from mgsd_baselines.training.train import train
from mgsd_bench.errors import Exit, UserError

pytestmark = pytest.mark.train

FEW = [
    "data={levels: {frozenlake: [3]}, count: 16}",
    "validation={count: 1, max_tokens: 16, every: 2}",
    "stages.pretrain=null",
    *(
        f"stages.{stage}.{key}"
        for stage in ("cold-start", "self-distill")
        for key in ("batch=4", "micro_batch=4", "trainer.max_steps=4")
    ),
    "stages.self-distill.max_completion=16",
    "stages.self-distill.teacher.model=null",
]
ONE = [*FEW, "stages.self-distill=null"]


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The third step of a training has a gradient that is no number."""
    whole = Trainer.training_step

    def training_step(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        loss = whole(self, model, *args, **kwargs)
        if self.state.global_step == 2:
            next(p.grad for p in model.parameters() if p.grad is not None).view(-1)[0] = torch.nan
        return loss

    monkeypatch.setattr(Trainer, "training_step", training_step)
    return monkeypatch


def test_a_training_that_diverges_stops_before_the_weights_take_it(
    poisoned: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe, out = load_recipe("tiny-smoke", ONE), tmp_path / "out"
    with pytest.raises(UserError) as caught:
        train(recipe, out, report=lambda line: None)
    kept = out / "cold-start" / "checkpoints" / "checkpoint-2"
    assert caught.value.code is Exit.ENGINE
    assert str(caught.value).startswith(
        f"stages.cold-start: the gradient of step 3 is not finite, and was not applied; {kept} is the last good"
    )
    poisoned.undo()
    finished = train(recipe, out, resume=True, report=lambda line: None)
    weights = load_model(str(finished), dtype=torch.float32, attention="sdpa").state_dict()
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert "missing keys" not in capfd.readouterr().err


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """From the fourth step of a training on, the kernel takes no file that is larger than 1 MiB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole = Trainer.training_step

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", training_step)
    yield monkeypatch
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_loses_no_checkpoint(full: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import resource

    recipe, out = load_recipe("tiny-smoke", ONE), tmp_path / "out"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(UserError) as caught:
        train(recipe, out, report=lambda line: None)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    full.undo()
    kept = out / "cold-start" / "checkpoints" / "checkpoint-2"
    assert caught.value.code is Exit.ENGINE
    assert f"cold-start cannot be written (the disk is full or fails); {kept} is the last good" in str(caught.value)
    finished = train(recipe, out, resume=True, report=lambda line: None)
    whole = train(recipe, tmp_path / "whole", report=lambda line: None)
    for name in ("model.safetensors", "config.json"):
        assert (finished / name).read_bytes() == (whole / name).read_bytes()


def test_bf16_is_left_to_cpus_that_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False}, raising=False)
    said: list[str] = []
    finished = train(load_recipe("tiny-smoke", [*ONE, "validation.count=0"]), tmp_path / "out", report=said.append)
    assert "cold-start: trains in fp32, since this CPU has no bf16 arithmetic of its own" in said
    assert json.loads((finished / "training.json").read_text())["precision"] == "fp32"
    assert load_model(str(finished), dtype="auto", attention="sdpa").dtype is torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert native_precision("bf16") == "bf16"
    assert native_precision("fp32") == "fp32"


def test_rows_of_text_hold_the_student_to_its_base(tmp_path: Path) -> None:
    """Rows with and without pictures in one batch, scored as each was asked."""
    recipe = load_recipe(
        "tiny-smoke", [*FEW, "stages.cold-start=null", "stages.self-distill.rows={distill: 0.5, distill-symbolic: 0.5}"]
    )
    finished = train(recipe, tmp_path / "out", report=lambda line: None)
    record = json.loads((finished / "training.json").read_text())
    assert {"frozenlake/3/distill", "frozenlake/3/distill-symbolic"} == record["data"]["counts"].keys()
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert any("rollouts/state_exact" in row and "rollouts/valid" in row for row in rows)
