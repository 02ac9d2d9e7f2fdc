"""The same small trainings by one process and by several.

A process samples from a random stream of its own, so that several cannot sample what one would. Here answers are a
function of their place in the step instead, which leaves everything else of a training as it is.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Recipe

ANSWERS = (
    "size: 3\nRoute: (0,0) R (0,1).\n<answer>RD</answer>",
    "size: 2",
    "goal: (1,2)\n<answer>DDR</answer>",
    "Route: up, up",
)
FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "Qwen3VLTextDecoderLayer,Qwen3VLVisionBlock",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
}
"""What ``accelerate launch`` makes of ``accelerate-fsdp-8gpu.yaml``."""

LORA = "{lora: {rank: 4, alpha: 8}}"


@dataclass(frozen=True, slots=True)
class Case:
    """One training.

    Attributes:
        recipe: name of a recipe.
        stages: those of it that run.
        changes: what else it says.
        sharded: whether several processes spread the weights.
        sampled: whether answers are sampled, which several processes do otherwise than one.
    """

    recipe: str
    stages: tuple[str, ...]
    changes: tuple[str, ...] = ()
    sharded: bool = False
    sampled: bool = False

    def load(self, steps: int) -> Recipe:
        """The recipe, exact and short."""
        from mgsd_baselines.recipe_file import load_recipe

        known = [stage.name for stage in load_recipe(self.recipe).stages]
        changes = [
            "precision=fp32",
            "attention=sdpa",
            "data.levels={frozenlake: [3], maze: [3], minibehaviour: [5]}",
            "data.count=16",
            "data.image_size=64",
            "validation={count: 0, max_tokens: 16}",
        ]
        for name in known:
            if name not in self.stages:
                changes.append(f"stages.{name}=null")
                continue
            wanted = {
                "batch": 8,
                "micro_batch": 2,
                "validation.every": 2,
                "trainer.max_steps": steps,
                "trainer.logging_steps": 1,
                "trainer.learning_rate": 1e-4,
                "data.count": 16,
            }
            changes += [f"stages.{name}.{key}={value}" for key, value in wanted.items()]
        return load_recipe(self.recipe, [*changes, *self.changes])


_DISTILL = ("stages.self-distill.max_completion=16", "start=null")
_GRPO = (
    "stages.grpo.max_completion=16",
    "stages.grpo.group=2",
    "stages.grpo.rewards={success: 1, format: 1}",
    "start=null",
    "base=tiny",
)
_OWN_TEACHER = ("stages.self-distill.teacher.model=null",)
_PICTURES = (
    "validation.count=1",
    "stages.cold-start.rows={questions: 1}",
    "stages.cold-start.validation.conditions=[visual]",
)
CASES: dict[str, Case] = {
    "cold-start": Case("tiny-smoke", ("cold-start",), ("validation.count=1",)),
    "self-distill": Case("tiny-smoke", ("self-distill",), (*_DISTILL, *_OWN_TEACHER)),
    "adapter": Case(
        "tiny-smoke",
        ("cold-start", "self-distill"),
        (*_DISTILL, *_OWN_TEACHER, *(f"stages.{name}.tuning={LORA}" for name in ("cold-start", "self-distill"))),
    ),
    "direct-sft": Case("tiny-direct-sft", ("direct-sft",), ("base=tiny",)),
    "grpo": Case("tiny-grpo", ("grpo",), _GRPO),
    "cold-start, sharded": Case("tiny-smoke", ("cold-start",), _PICTURES, sharded=True),
    "self-distill, sharded": Case("tiny-smoke", ("self-distill",), (*_DISTILL, *_OWN_TEACHER), sharded=True),
    "grpo, sharded": Case("tiny-grpo", ("grpo",), _GRPO, sharded=True),
    "sampled": Case("tiny-smoke", ("self-distill",), (*_DISTILL, *_OWN_TEACHER), sampled=True),
    "sampled, sharded": Case("tiny-smoke", ("self-distill",), (*_DISTILL, *_OWN_TEACHER), sharded=True, sampled=True),
}


@contextmanager
def answers_by_place() -> Iterator[None]:
    """Within it, trainers take fixed answers for sampled ones."""
    from trl import DistillationTrainer, GRPOTrainer

    def ids(trainer: Any, count: int) -> list[list[int]]:
        tokenizer = trainer.processing_class.tokenizer
        first = trainer.accelerator.process_index * count
        texts = [ANSWERS[(first + i) % len(ANSWERS)] for i in range(count)]
        return [tokenizer(text, add_special_tokens=False)["input_ids"][:16] for text in texts]

    def distill(self: Any, prompt_ids: Sequence[Any], *_: Any, **__: Any) -> list[list[int]]:
        return ids(self, len(prompt_ids))

    def grpo(self: Any, prompt_ids: Sequence[Any], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        return ids(self, len(prompt_ids)), None

    with (
        patch.object(DistillationTrainer, "_generate_single_turn", distill),
        patch.object(GRPOTrainer, "_generate_single_turn", grpo),
    ):
        yield


@contextmanager
def shards_written(out: Path) -> Iterator[None]:
    """Within it, each process writes what it holds of each weight: ``out/shards-RANK.json``, whole and own shape.

    Of the student and a separate teacher before the first micro-batch, and of the teacher before the last one.
    """
    from mgsd_baselines.training import train as module

    made = module.stage_trainer

    def shapes(model: Any) -> dict[str, Any]:
        return {
            name: (list(weight.shape), list(getattr(weight, "_local_tensor", weight).shape))
            for name, weight in model.named_parameters()
        }

    def stage_trainer(*args: Any, **kwargs: Any) -> Any:
        trainer = made(*args, **kwargs)
        step = trainer.training_step
        found: dict[str, Any] = {}

        def training_step(*args: Any, **kwargs: Any) -> Any:
            found.setdefault("student", shapes(trainer.model))
            if getattr(trainer, "teacher_model", None) is not None:
                found["teacher at last"] = shapes(trainer.teacher_model)
                found.setdefault("teacher", found["teacher at last"])
            (out / f"shards-{trainer.accelerator.process_index}.json").write_text(json.dumps(found))
            return step(*args, **kwargs)

        trainer.training_step = training_step
        return trainer

    with patch.object(module, "stage_trainer", stage_trainer):
        yield


def run(name: str, out: Path, steps: int, *, resume: bool = False, killed_at: int | None = None) -> None:
    """Train a case in the process that this is, or in all that were launched, into ``out/NAME``.

    Args:
        name: of the case.
        out: where all cases go.
        steps: optimiser steps.
        resume: whether it was begun before.
        killed_at: the step in which the last process ends as by ``kill -9``.
    """
    from transformers import Trainer

    from mgsd_baselines.training.train import train

    case, folder = CASES[name], out / folder_of(name)
    last = int(os.environ.get("WORLD_SIZE", "1")) - 1
    whole = Trainer.training_step

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == killed_at and self.accelerator.process_index == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *args, **kwargs)

    with (
        patch.dict(os.environ, FSDP if case.sharded and last else {}),
        nullcontext() if case.sampled else answers_by_place(),
        shards_written(folder) if case.sharded and last else nullcontext(),
        patch.object(Trainer, "training_step", training_step),
    ):
        train(case.load(steps), folder, resume=resume, report=lambda line: None)


def run_all(names: Sequence[str], out: Path, steps: int) -> None:
    """Train cases, one after the other."""
    for name in names:
        run(name, out, steps)


def folder_of(name: str) -> str:
    """The folder of a case's training."""
    return name.replace(", ", "-")


def losses(folder: Path) -> list[float]:
    """The losses that a stage has written, step by step."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def weights(folder: Path) -> Mapping[str, Any]:
    """The weights that a stage has left, loaded as anybody loads them."""
    import torch

    from mgsd_baselines.training.models import load_model

    found: Mapping[str, Any] = load_model(str(folder), dtype=torch.float32, attention="sdpa").state_dict()
    return found


def apart(one: Path, other: Path) -> tuple[float, float]:
    """How far two trainings of the same stage are apart at most: in losses, and in weights."""
    pairs = zip(losses(one), losses(other), strict=True)
    left, right = weights(one), weights(other)
    assert left.keys() == right.keys()
    return max(abs(a - b) for a, b in pairs), max(float((left[name] - right[name]).abs().max()) for name in left)
