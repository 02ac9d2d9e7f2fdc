"""What trainer a stage gets, and how the stage's settings become TRL's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trl import DistillationConfig, GRPOConfig, GRPOTrainer, SFTConfig

from mgsd_baselines.data.examples import TEXT_KINDS
from mgsd_baselines.training.launch import Sharding, accumulation, processes, uses_gpu
from mgsd_baselines.training.safety import Finite
from mgsd_baselines.training.self_distill import SelfDistillTrainer
from mgsd_baselines.training.sft import SortedSFTTrainer
from mgsd_baselines.training.validation import Validated
from mgsd_bench.integrations.rewards import REWARDS

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftModel
    from transformers import PreTrainedModel, ProcessorMixin, Trainer, TrainerCallback

    from mgsd_baselines.recipe import Precision, Recipe, Stage
    from mgsd_baselines.training.validation import Validator

_VALIDATED = {
    "eval_strategy": "steps",
    "load_best_model_at_end": True,
    "metric_for_best_model": "eval_macro",
    "greater_is_better": True,
}


class ValidatedSFT(Validated, Finite, Sharding, SortedSFTTrainer):
    """Supervised fine-tuning that keeps the checkpoint which answers best."""


class ValidatedDistill(Validated, Finite, Sharding, SelfDistillTrainer):
    """Self-distillation that keeps the checkpoint which answers best."""


class ValidatedGRPO(Validated, Finite, Sharding, GRPOTrainer):  # type: ignore[misc]
    """GRPO that keeps the checkpoint which answers best."""


@dataclass(frozen=True, slots=True)
class TrainerParts:
    """What every trainer is made of.

    Attributes:
        model: the model, with its adapter if it has one.
        processor: tokenizer and image processor, padding on the left.
        dataset: rows as :meth:`mgsd_baselines.data.examples.Example.to_trl` gives them.
        config: fields of TRL's configuration for the method; those that a stage's own settings decide are overruled.
        callbacks: told of steps and logs.
    """

    model: PreTrainedModel | PeftModel
    processor: ProcessorMixin
    dataset: Dataset
    config: Mapping[str, Any]
    callbacks: Sequence[TrainerCallback] = ()


def stage_trainer(
    stage: Stage,
    parts: TrainerParts,
    *,
    lengths: Sequence[int],
    teacher: PreTrainedModel | None,
    validator: Validator | None,
) -> Trainer:
    """The trainer of a stage.

    Args:
        stage: its method and settings.
        parts: what it is made of.
        lengths: length of each row, in any unit.
        teacher: the separate teacher of ``distill``, if it has one.
        validator: what it asks as it trains, by which it keeps the best checkpoint; None keeps the last.
    """
    match stage.method:
        case "sft":
            return sft_trainer(parts, lengths, kind=ValidatedSFT, validate=validator)
        case "distill":
            return distill_trainer(stage, parts, teacher, kind=ValidatedDistill, validate=validator)
        case "grpo":
            return grpo_trainer(stage, parts, kind=ValidatedGRPO, validate=validator)


def trainer_config(recipe: Recipe, stage: Stage, folder: Path, precision: Precision) -> dict[str, Any]:
    """Fields of TRL's configuration that every method has, the recipe's own ``trainer`` fields last.

    Args:
        recipe: the seed.
        stage: sizes of batches, and steps between validations, which checkpoints are written for.
        folder: of the stage; checkpoints go to ``folder / "checkpoints"``.
        precision: of the forward and backward pass.

    Raises:
        UserError: the batch cannot be shared out among micro-batches and processes.
    """
    gpu = uses_gpu()
    every = stage.validation.every
    return {
        "output_dir": str(folder / "checkpoints"),
        "per_device_train_batch_size": stage.micro_batch,
        "gradient_accumulation_steps": accumulation(recipe, stage, processes().num_processes),
        "bf16": precision == "bf16",
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "gradient_checkpointing": gpu,
        # rows without pictures leave the vision tower out of a step
        "ddp_find_unused_parameters": stage.tuning is None and not stage.rows.keys().isdisjoint(TEXT_KINDS),
        "seed": recipe.seed,
        "logging_steps": 10,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        **(_VALIDATED | {"eval_steps": every} if stage.validation.count else {}),
        **stage.trainer,
    }


def sft_trainer(
    parts: TrainerParts,
    lengths: Sequence[int] | None = None,
    *,
    kind: type[SortedSFTTrainer] = SortedSFTTrainer,
    **extra: Any,
) -> SortedSFTTrainer:
    """The trainer of an ``sft`` stage: rows with a prompt and a completion, the loss over the completion alone.

    Args:
        parts: what it is made of.
        lengths: length of each row; None leaves the rows of a step as they come.
        kind: the class to make.
        extra: further arguments of that class.
    """
    own = {
        "max_length": None,  # a cut would go through the middle of the picture's tokens
        "completion_only_loss": True,
        "remove_unused_columns": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},  # rows are drawn when they are needed
    }
    return kind(args=SFTConfig(**{**parts.config, **own}), lengths=lengths, **_arguments(parts), **extra)


def distill_trainer(
    stage: Stage,
    parts: TrainerParts,
    teacher: PreTrainedModel | None,
    *,
    kind: type[SelfDistillTrainer] = SelfDistillTrainer,
    **extra: Any,
) -> SelfDistillTrainer:
    """The trainer of a ``distill`` stage.

    Args:
        stage: the stage; ``stage.batch`` counts answers.
        parts: what it is made of, rows of the kind ``distill`` among it.
        teacher: a frozen model, or None for the student without its adapter.
        kind: the class to make.
        extra: further arguments of that class.

    Raises:
        ValueError: the stage has another method; also as :class:`SelfDistillTrainer`.
    """
    if stage.distill is None:
        raise ValueError(f"stage {stage.name} has the method {stage.method}, not distill")
    chosen = stage.distill
    own = {
        "beta": chosen.beta,
        "temperature": chosen.temperature,
        "max_completion_length": chosen.max_completion,
        "use_vllm": chosen.vllm,
        "remove_unused_columns": False,
    }
    return kind(
        teacher_model=teacher,
        args=DistillationConfig(**{**parts.config, **own}),
        teacher_sees=chosen.teacher.context == "picture",
        objective=chosen.objective,
        token_weights=chosen.token_weights,
        rollouts=chosen.rollouts,
        **_arguments(parts),
        **extra,
    )


def grpo_trainer(
    stage: Stage, parts: TrainerParts, *, kind: type[GRPOTrainer] = GRPOTrainer, **extra: Any
) -> GRPOTrainer:
    """The trainer of a ``grpo`` stage.

    The divergence that ``grpo.kl`` weighs is from the model as it is now, its adapter included.

    Args:
        stage: the stage; ``stage.batch`` counts answers.
        parts: what it is made of, rows of the kind ``distill`` among it.
        kind: the class to make.
        extra: further arguments of that class.

    Raises:
        ValueError: the stage has another method.
    """
    if stage.grpo is None:
        raise ValueError(f"stage {stage.name} has the method {stage.method}, not grpo")
    chosen = stage.grpo
    weights = {name: weight for name, weight in chosen.rewards.items() if weight}
    own = {
        "num_generations": chosen.group,
        "num_generations_eval": 1,
        "max_completion_length": chosen.max_completion,
        "temperature": chosen.temperature,
        "beta": chosen.kl,
        "reward_weights": list(weights.values()),
        "use_vllm": chosen.vllm,
        "remove_unused_columns": False,
    }
    return kind(
        reward_funcs=[REWARDS[name] for name in weights],
        args=GRPOConfig(**{**parts.config, **own}),
        **_arguments(parts),
        **extra,
    )


def _arguments(parts: TrainerParts) -> dict[str, Any]:
    return {
        "model": parts.model,
        "train_dataset": parts.dataset,
        "processing_class": parts.processor,
        "callbacks": list(parts.callbacks),
    }
