"""A tiny student to distill, its rows, and what is looked at while it trains."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import TrainerCallback
from trl import DistillationConfig

from mgsd_baselines.recipe import LORA_TARGETS
from mgsd_baselines.training.self_distill import SelfDistillTrainer

Row = dict[str, Any]

ANSWERS = (
    "size: 3\nRoute: down.\n<answer>DDR</answer>",
    "size: 2",
    "goal: (1,2)\n<answer>R</answer>",
    "Route: up, up",
)

_OWN = ("teacher_sees", "objective", "token_weights", "rollouts", "metrics_every", "callbacks", "optimizers")


def lora(base: Any, seed: int | None = 1) -> Any:
    """The base under an adapter: one that changes it, or, without a seed, one that does not yet."""
    torch.manual_seed(0)
    model = get_peft_model(copy.deepcopy(base), LoraConfig(r=4, lora_alpha=8, target_modules=LORA_TARGETS))
    if seed is not None:
        disturb([p for name, p in model.named_parameters() if "lora_B" in name], seed, 0.05)
    return model


def disturb(parameters: Sequence[Any], seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))


def rows_of(count: int) -> list[Row]:
    rng = np.random.default_rng(5)
    return [
        {
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "Plan" + "!" * i}, {"type": "image"}]}],
            "images": [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)],
            "teacher_prompt": [{"role": "user", "content": [{"type": "text", "text": f"Secret {i}" + "?" * (3 * i)}]}],
            "privileged": f"Secret {i}",
        }
        for i in range(count)
    ]


def config_of(out: Path, **fields: Any) -> dict[str, Any]:
    return {
        "output_dir": str(out),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_completion_length": 12,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "bf16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "beta": 1.0,
        **fields,
    }


def trainer_of(
    processor: Any, out: Path, model: Any, teacher: Any = None, *, rows: Sequence[Row] = (), **settings: Any
) -> SelfDistillTrainer:
    own = {name: settings.pop(name) for name in list(settings) if name in _OWN}
    return SelfDistillTrainer(
        model,
        teacher,
        args=DistillationConfig(**config_of(out, **settings)),
        train_dataset=list(rows or rows_of(4)),
        processing_class=processor,
        **own,
    )


def ids_of(processor: Any, text: str) -> list[int]:
    ids: list[int] = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def answer_with(trainer: SelfDistillTrainer, processor: Any, texts: Sequence[str] = ANSWERS) -> dict[str, Any]:
    """Let the student answer with fixed texts; what it was asked and answered is in the dictionary afterwards."""
    seen: dict[str, Any] = {}
    score = trainer._generate_and_score_completions

    def record(inputs: Any) -> Any:
        seen["rows"], seen["batch"] = inputs, score(inputs)
        return dict(seen["batch"])

    trainer._generate_single_turn = lambda ids, *_, **__: [ids_of(processor, texts[i % 4]) for i in range(len(ids))]
    trainer._generate_and_score_completions = record
    return seen


class Gradients(TrainerCallback):
    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
