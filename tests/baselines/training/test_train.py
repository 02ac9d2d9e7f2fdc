"""Whole trainings of a recipe, on the tiny model."""

from __future__ import annotations

import json
import shutil
import signal
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from mgsd_baselines.recipe import Recipe
from mgsd_baselines.recipe_file import load_recipe
from mgsd_baselines.training.models import ADAPTER, load_model, load_processor
from mgsd_baselines.training.sft import StepSampler
from mgsd_baselines.training.train import _claim, last_checkpoint, train
from mgsd_bench.errors import UserError
from support.killing import mgsd_killed_at

pytestmark = pytest.mark.train

QUICK = [
    "data.levels={frozenlake: [3], maze: [3], minibehaviour: [5]}",
    "data.count=16",
    "stages.cold-start.data.count=16",
    "stages.self-distill.data.count=16",
    "validation={count: 1, max_tokens: 16}",
    *(
        f"stages.{stage}.{key}"
        for stage in ("pretrain", "cold-start", "self-distill")
        for key in ("batch=4", "micro_batch=4", "validation.every=2", "trainer.max_steps=4", "trainer.logging_steps=2")
    ),
    "stages.self-distill.max_completion=16",
]
EXACT = ["precision=fp32", "attention=sdpa"]
LORA = "{lora: {rank: 4, alpha: 8, dropout: 0.1}}"


def smoke(*overrides: str) -> Recipe:
    return load_recipe("tiny-smoke", [*QUICK, *overrides])


def losses(folder: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("train") / "smoke"
    assert train(smoke(), out, report=lambda line: None) == out / "self-distill"
    return out


def test_all_stages_leave_checkpoints(finished: Path) -> None:
    recipe = smoke()
    for stage in recipe.stages:
        folder = finished / stage.name
        record = json.loads((folder / "training.json").read_text())
        assert record["recipe"] == recipe.to_json()
        assert record["steps"] == stage.trainer["max_steps"]
        assert len(record["data"]["digest"]) == 64
        assert record["provenance"]["versions"]["trl"]
        assert {"eval_macro", "loss"} <= record["metrics"].keys()
        assert not (folder / "checkpoints").exists()
        model = load_model(str(folder), dtype=torch.float32, attention="sdpa")
        assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
        assert load_processor(str(folder)).tokenizer("size: ").input_ids


def test_metrics_of_self_distillation(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "self-distill" / "metrics.jsonl").read_text().splitlines()]
    logged = next(row for row in rows if "loss" in row)
    assert {
        "loss",
        "kl/reverse",
        "kl/state",
        "kl/decile_0",
        "entropy",
        "teacher_entropy",
        "top1_agreement",
        "completions/mean_length",
        "completions/clipped_ratio",
        "rollouts/valid",
        "rollouts/solved",
        "rollouts/state_exact",
        "peak_memory_gib",
    } <= logged.keys()
    assert any("tokens_per_second" in row for row in rows)


def test_a_finished_training_is_not_run_again(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    said: list[str] = []
    assert train(smoke(), finished, resume=True, report=said.append) == finished / "self-distill"
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert all("finished before" in line for line in said)


def test_a_training_of_release_0_1_is_gone_on_with(finished: Path, tmp_path: Path) -> None:
    """Its recipe says nothing of what a split keeps apart: it was states."""
    folder = shutil.copytree(finished, tmp_path / "old")
    stored = json.loads((folder / "recipe.json").read_text())
    for part in (stored, *stored["stages"]):
        assert part["data"].pop("split_by") == "state"
    (folder / "recipe.json").write_text(json.dumps(stored))
    assert train(smoke(), folder, resume=True, report=lambda line: None) == folder / "self-distill"
    with pytest.raises(UserError, match="another recipe"):
        train(smoke("data.split_by=orbit"), folder, resume=True)


def test_another_folder_or_recipe_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="add resume=True"):
        train(smoke(), finished)
    with pytest.raises(UserError, match="another recipe"):
        train(smoke("seed=7"), finished, resume=True)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        train(smoke(), tmp_path)


def test_an_adapter_goes_on_in_the_next_stage(tmp_path: Path) -> None:
    """Stage 2 trains stage 1's adapter; its teacher is the base, and both folders hold merged weights."""
    recipe = smoke(
        *EXACT,
        "stages.pretrain=null",
        f"stages.cold-start.tuning={LORA}",
        f"stages.self-distill.tuning={LORA}",
        "stages.self-distill.teacher.model=null",
        "stages.cold-start.trainer.learning_rate=0.01",
    )
    train(recipe, tmp_path / "out", report=lambda line: None)
    base = load_model(str(tmp_path / "out" / "tiny"), dtype=torch.float32, attention="sdpa").state_dict()
    tensors = []
    for stage in recipe.stages:
        folder = tmp_path / "out" / stage.name
        assert (folder / ADAPTER / "adapter_model.safetensors").is_file()
        merged = load_model(str(folder), dtype=torch.float32, attention="sdpa").state_dict()
        changed = {name for name, tensor in merged.items() if not torch.equal(tensor, base[name])}
        assert changed
        assert all("language_model" in name and "_proj" in name for name in changed)
        tensors.append(merged["model.language_model.layers.0.mlp.up_proj.weight"])
    assert not torch.equal(*tensors)


def test_another_rank_cannot_go_on(tmp_path: Path) -> None:
    recipe = smoke("stages.pretrain=null", f"stages.cold-start.tuning={LORA}", "stages.self-distill=null")
    finished = train(recipe, tmp_path / "one", report=lambda line: None)
    other = smoke(
        f"start={finished}",
        "stages.pretrain=null",
        "stages.self-distill=null",
        "stages.cold-start.tuning={lora: {rank: 8, alpha: 8}}",
    )
    with pytest.raises(UserError, match="same rank"):
        train(other, tmp_path / "two", report=lambda line: None)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model nowhere: no such folder, nor the name of a model"):
        train(smoke("start=nowhere"), tmp_path / "out", report=lambda line: None)


def test_no_validation(tmp_path: Path) -> None:
    recipe = smoke("validation.count=0", "stages.pretrain=null", "stages.self-distill=null")
    finished = train(recipe, tmp_path / "out", report=lambda line: None)
    assert json.loads((finished / "training.json").read_text())["best"]["macro"] is None


@pytest.fixture(scope="module")
def trainers() -> ForkServerContext:
    """Processes of their own that need not import TRL each."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["mgsd_baselines.training.sft", "mgsd_baselines.training.self_distill"])
    return context


@pytest.mark.parametrize("stage", ["cold-start", "self-distill"])
def test_killed_and_resumed_ends_as_if_never_killed(stage: str, trainers: ForkServerContext, tmp_path: Path) -> None:
    others = [f"stages.{name}=null" for name in ("pretrain", "cold-start", "self-distill") if name != stage]
    teacher = ["stages.self-distill.teacher.model=null"] if stage == "self-distill" else []
    changes = [
        *EXACT,
        *others,
        *teacher,
        f"stages.{stage}.trainer.max_steps=8",
        f"stages.{stage}.trainer.logging_steps=1",
    ]
    train(smoke(*changes), tmp_path / "whole", report=lambda line: None)

    out = tmp_path / "killed"
    sets = [word for change in (*QUICK, *changes) for word in ("--set", change)]
    process = trainers.Process(target=mgsd_killed_at, args=(5, "train", "tiny-smoke", "--out", str(out), *sets))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (out / stage / "checkpoints" / "checkpoint-4" / "trainer_state.json").is_file()
    assert not (out / stage / "training.json").is_file()

    train(smoke(*changes), out, resume=True, report=lambda line: None)
    assert losses(out / stage) == losses(tmp_path / "whole" / stage)
    weights = [
        load_model(str(tmp_path / run / stage), dtype=torch.float32, attention="sdpa") for run in ("whole", "killed")
    ]
    for (name, one), other in zip(weights[0].state_dict().items(), weights[1].state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    for step, state in ((2, "{}"), (10, "{}"), (12, '{"global_step'), (14, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-best").mkdir()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


def test_what_a_process_killed_at_either_end_has_left_is_no_obstacle(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "out")
    (folder / "recipe.json").rename(folder / ".recipe.json.tmp")
    with pytest.raises(UserError, match="not empty"):
        train(smoke(), folder, resume=True)
    (folder / ".recipe.json.tmp").rename(folder / "recipe.json")
    (folder / "self-distill" / "checkpoints").mkdir()
    train(smoke(), folder, resume=True, report=lambda line: None)
    assert not (folder / "self-distill" / "checkpoints").exists()
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / ".recipe.json.tmp").write_text("{")
    _claim(smoke(), begun, resume=True)
    assert [path.name for path in begun.iterdir()] == ["recipe.json"]


def test_steps_see_the_same_rows_sorted() -> None:
    lengths = [5, 3, 9, 1, 7, 7, 2, 8, 4, 6]
    sampler = StepSampler(lengths, step=4, seed=1)
    epochs: list[list[int]] = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert order == list(sampler)
        assert sorted(order) == list(range(10))
        assert len(sampler) == 10
        for first in range(0, 10, 4):
            step = [lengths[i] for i in order[first : first + 4]]
            assert step == sorted(step)
        epochs.append(order)
    assert epochs[0] != epochs[1]
