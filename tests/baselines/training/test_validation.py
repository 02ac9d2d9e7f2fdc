"""Validation of a live model, and what a training writes about itself."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from mgsd_baselines.data.dataset import val_episodes
from mgsd_baselines.data.examples import make_example
from mgsd_baselines.recipe import DataSpec, Validation
from mgsd_baselines.training.validation import Validated, Validator, make_validator
from mgsd_bench.backends import BackendConfig, Request, Response, Sampling, generate, open_backend
from mgsd_bench.backends.hf import TransformersBackend
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import load_prompts
from mgsd_envs import get_task

pytestmark = pytest.mark.train

DATA = DataSpec("s", {"frozenlake": (3, 4), "maze": (3,)}, 4)
SPEC = Validation(every=2, count=2, max_tokens=4)


@pytest.fixture
def processor(tiny: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(tiny)


@pytest.fixture
def model(tiny: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(tiny, dtype="float32")


def validator(**changes: Any) -> Validator:
    found = make_validator(replace(SPEC, **changes), val_episodes(DATA, SPEC.count), "compact", batch_size=6)
    assert found is not None
    return found


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's answers replaced by right ones, but for level 4 and for one bad request."""

    def answer(_: Any, batch: list[Request]) -> Iterator[Response]:
        with open_backend("scripted", BackendConfig("oracle", Sampling())) as scripted:
            for request in batch:
                if request.episode.level == 4:
                    yield Response(request.key, "Well.", "stop", 1, 3)
                else:
                    yield from generate(scripted, [request])

    monkeypatch.setattr(TransformersBackend, "answer", answer)


def test_episodes_are_of_the_val_split_and_another_stream() -> None:
    episodes = val_episodes(DATA, 2)
    assert [(e.task, e.level) for e in episodes] == [("frozenlake", 3)] * 2 + [("frozenlake", 4)] * 2 + [
        ("maze", 3)
    ] * 2
    assert {episode.split for episode in episodes} == {"val"}
    assert episodes == val_episodes(replace(DATA, count=100), 2)
    assert make_validator(SPEC, val_episodes(DATA, 0), "compact") is None


def test_a_live_model_is_asked(model: Any, processor: Any) -> None:
    asked = validator()
    found = asked.summary(asked.answers(model, processor))
    assert found["errors"] == 0
    assert 0 <= found["macro"] <= 1
    assert found["visual/tokens"] == 4
    again = replace(asked, batch_size=2)
    assert again.summary(again.answers(model, processor)) == found


def test_figures(oracle: None, model: Any, processor: Any) -> None:
    asked = validator(conditions=("visual", "symbolic", "perceive"))
    found = asked.summary(asked.answers(model, processor))
    assert found["visual/frozenlake/3"] == found["visual/maze"] == found["visual/maze/3"] == 1
    assert found["visual/frozenlake/4"] == 0
    assert found["visual/frozenlake"] == 0.5
    assert found["macro"] == found["visual/macro"] == 0.75
    assert found["visual/valid"] == pytest.approx(4 / 6)
    assert found["visual/maze/f1"] == 1
    facts = {n: [get_task(e.task).facts(e.state) for e in asked.episodes if (e.task, e.level) == n] for n in
             (("frozenlake", 3), ("frozenlake", 4))}  # fmt: skip
    tp, fn = (sum(map(len, facts[n])) for n in facts)
    assert found["visual/frozenlake/f1"] == pytest.approx(2 * tp / (2 * tp + fn), abs=1e-6)
    assert found["perceive/f1"] == fmean([found["perceive/frozenlake/f1"], found["perceive/maze/f1"]])
    assert "symbolic/f1" not in found


def test_without_plans_state_f1_decides(oracle: None, model: Any, processor: Any) -> None:
    asked = validator(conditions=("perceive",))
    found = asked.summary(asked.answers(model, processor))
    assert found["macro"] == found["perceive/f1"] > found["perceive/macro"]


def test_shares_of_several_processes_are_the_whole(oracle: None, model: Any, processor: Any) -> None:
    asked = validator(conditions=("visual", "symbolic"))
    shares = [asked.answers(model, processor, part, 5) for part in range(5)]
    assert {len(share) for share in shares} == {3}
    parts = [sample for share in shares for sample in share]
    assert len({sample.key for sample in parts}) == 12
    assert asked.summary(parts) == asked.summary(asked.answers(model, processor))


def test_no_answer_at_all_is_an_error(model: Any, processor: Any) -> None:
    processor.image_processor = None
    asked = validator()
    with pytest.raises(UserError, match="not one question was answered"):
        asked.summary(asked.answers(model, processor))


def dataset(count: int) -> Any:
    from datasets import Dataset

    episodes = val_episodes(DATA, count)
    prompts = load_prompts("compact", episodes, ["visual"])
    rows = [make_example("visual", episode, prompts).to_trl(64) for episode in episodes]
    return Dataset.from_list(rows).remove_columns("episode")


def test_the_best_checkpoint_is_kept(
    model: Any, processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With TRL's trainer for supervised fine-tuning, and the callbacks beside it."""
    import torch
    from safetensors.torch import load_file
    from trl import SFTConfig, SFTTrainer

    from mgsd_baselines.training.callbacks import MetricsFile, Progress, Throughput, quiet

    class Trainer(Validated, SFTTrainer):  # type: ignore[misc]
        pass

    macros = iter([0.2, 0.7, 0.5])
    summary = Validator.summary
    monkeypatch.setattr(Validator, "summary", lambda *args: {**summary(*args), "macro": next(macros)})
    config = SFTConfig(
        output_dir=str(tmp_path / "run"),
        max_steps=6,
        per_device_train_batch_size=2,
        learning_rate=1e-3,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        save_steps=2,
        save_total_limit=1,
        metric_for_best_model="eval_macro",
        greater_is_better=True,
        load_best_model_at_end=True,
        max_length=None,
        gradient_checkpointing=True,
        bf16=False,
        report_to=[],
        use_cpu=True,
    )
    shown = io.StringIO()
    trainer = Trainer(
        model=model,
        args=config,
        train_dataset=dataset(1),
        processing_class=processor,
        callbacks=[
            Throughput(),
            MetricsFile(tmp_path / "metrics.jsonl"),
            Progress("cold-start", console=Console(file=shown)),
        ],
        validate=validator(),
    )
    quiet(trainer)
    trainer.train()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["eval_macro"]) for row in rows if "eval_macro" in row] == [(2, 0.2), (4, 0.7), (6, 0.5)]
    losses = [row for row in rows if "loss" in row]
    assert [row["step"] for row in losses] == [1, 2, 3, 4, 5, 6]
    assert all(row["seconds_per_step"] > 0 and row["peak_memory_gib"] > 0 for row in losses)
    assert all(row["tokens_per_second"] > 0 for row in losses)
    assert not any(
        key.startswith("eval_eval") or "num_tokens" in key for row in rows if "eval_macro" in row for key in row
    )
    assert trainer.state.best_metric == 0.7
    best = load_file(Path(trainer.state.best_model_checkpoint) / "model.safetensors")
    assert all(torch.equal(value, trainer.model.state_dict()[name]) for name, value in best.items())
    assert shown.getvalue().splitlines()[-1] == f"cold-start: 6/6 steps, loss {losses[-1]['loss']:.4f}, macro 50.0 %"
    assert capsys.readouterr().out == ""


def test_validation_does_not_change_training(tiny: Path, processor: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText
    from trl import SFTConfig, SFTTrainer

    class Trainer(Validated, SFTTrainer):  # type: ignore[misc]
        pass

    def losses(**settings: Any) -> list[float]:
        config = SFTConfig(
            output_dir=str(tmp_path / "run"),
            max_steps=4,
            per_device_train_batch_size=2,
            learning_rate=1e-3,
            logging_steps=1,
            save_strategy="no",
            max_length=None,
            bf16=False,
            report_to=[],
            use_cpu=True,
            **settings,
        )
        model = AutoModelForImageTextToText.from_pretrained(tiny, dtype="float32")
        asked = validator(temperature=1.0) if settings else None
        trainer = Trainer(
            model=model, args=config, train_dataset=dataset(1), processing_class=processor, validate=asked
        )
        trainer.train()
        return [row["loss"] for row in trainer.state.log_history if "loss" in row]

    assert losses() == losses(eval_strategy="steps", eval_steps=1)


def state(step: int, most: int = 10) -> Any:
    return SimpleNamespace(
        global_step=step, epoch=step / 10, max_steps=most, is_world_process_zero=True, num_input_tokens_seen=0
    )


def test_metrics_file_goes_on_where_training_does(tmp_path: Path) -> None:
    from mgsd_baselines.training.callbacks import MetricsFile

    path = tmp_path / "of" / "run" / "metrics.jsonl"
    file = MetricsFile(path)
    file.on_train_begin(None, state(0), None)
    for step in range(1, 5):
        file.on_log(None, state(step), None, logs={"loss": float("nan") if step == 1 else step / 2, "step": 99})
    with path.open("a") as torn:
        torn.write('{"step": 5, "lo')
    file.on_train_begin(None, state(3), None)
    file.on_log(None, state(4), None, logs={"loss": 7.0})
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(1, None), (2, 1.0), (3, 1.5), (4, 7.0)]
    helper = state(4)
    helper.is_world_process_zero = False
    file.on_log(None, helper, None, logs={"loss": 1.0})
    assert len(path.read_text().splitlines()) == 4
    file.on_train_begin(None, state(0), None)
    assert path.read_text() == ""


def test_throughput_leaves_validation_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from mgsd_baselines.training import callbacks

    clock = 0.0
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock)
    throughput = callbacks.Throughput()
    throughput.on_train_begin(None, state(0), None)
    logs: dict[str, Any] = {}
    for step in range(1, 5):
        clock += 2
        throughput.on_step_end(None, state(step), None)
        if step % 2 == 0:
            logs = {"loss": 1.0, "num_tokens": 1000 * step}
            throughput.on_log(None, state(step), None, logs=logs)
            clock += 100
            throughput.on_evaluate(None, state(step), None)
    assert logs["seconds_per_step"] == 2
    assert logs["tokens_per_second"] == 2000 / 4
    evaluation = {"eval_macro": 1.0}
    throughput.on_log(None, state(4), None, logs=evaluation)
    assert evaluation == {"eval_macro": 1.0}


def test_progress_is_sparse_where_it_is_piped(monkeypatch: pytest.MonkeyPatch) -> None:
    from mgsd_baselines.training import callbacks

    clock = 0.0
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock)
    shown = io.StringIO()
    line = callbacks.Progress("stage", console=Console(file=shown))
    line.on_train_begin(None, state(0, 30), None)
    for step in range(1, 31):
        clock += 1
        line.on_log(None, state(step, 30), None, logs={"loss": 1 / step})
        line.on_step_end(None, state(step, 30), None)
    line.on_train_end(None, state(30, 30), None)
    lines = shown.getvalue().splitlines()
    assert lines[0] == "stage: 10/30 steps, loss 0.1000, 20 s left"
    assert lines[-1] == "stage: 30/30 steps, loss 0.0333"
    assert len(lines) == 3


def test_progress_on_a_terminal() -> None:
    from mgsd_baselines.training.callbacks import Progress

    shown = io.StringIO()
    line = Progress("stage", console=Console(file=shown, force_terminal=True, width=100))
    line.on_train_begin(None, state(0), None)
    line.on_log(None, state(1), None, logs={"loss": 0.5})
    line.on_step_end(None, state(1), None)
    line.on_train_end(None, state(10), None)
    assert "10/10 steps, loss 0.5000" in shown.getvalue()
