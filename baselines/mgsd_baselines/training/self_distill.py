"""Stage 2, on-policy self-distillation: a student that sees the picture learns from a teacher that is told the state.

The student answers its own prompt, text and picture. The teacher, text only, reads its own prompt, which says more, and
scores the student's tokens; the loss draws the student's next-token distributions towards the teacher's. MGSD
(arXiv 2606.06076) takes KL(student || teacher) at each token; its released code the one-token estimate of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from peft import PeftModel
from torch import Tensor
from transformers import ProcessorMixin
from trl import DistillationConfig, DistillationTrainer
from trl.trainer.utils import RepeatSampler, pad

from mgsd_baselines.data.spans import SPANS, TokenLabeller
from mgsd_baselines.training import distill_metrics as tally
from mgsd_baselines.training.adapters import KeptWeights, without_adapter
from mgsd_baselines.training.divergence import Head, compare, divergence, head_of, sampled_divergence

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Stage

Batch = dict[str, Any]

_PICTURE_KEYS = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
_VISION_IDS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
_LOGIT_CHANGES = (
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "final_logit_softcapping",
)


class SelfDistillTrainer(DistillationTrainer):  # type: ignore[misc]
    """TRL's distillation with a teacher that has a prompt of its own, without pictures.

    Rows have ``prompt`` (and ``images``), the student's, and ``teacher_prompt``, messages of text. Two more columns are
    used where rows have them: ``privileged``, text that the student's prompt must not hold, and ``episode``, canonical
    JSON, by which answers are scored in the simulator.

    Each optimiser step samples fresh answers for all its rows; ``per_device_train_batch_size`` times
    ``gradient_accumulation_steps`` counts answers. A run that is resumed samples the answers that it would have sampled
    without the break, unless vLLM samples them.

    Args:
        model: the student.
        teacher_model: a frozen model over the same vocabulary. None is the student without its adapter, one copy of the
            weights in memory.
        objective: ``full``, :func:`~mgsd_baselines.training.divergence.divergence` with ``args.beta``, or ``sampled``,
            :func:`~mgsd_baselines.training.divergence.sampled_divergence`.
        token_weights: weight of the loss by part of the answer, 1 where not named. The loss is the weighted mean over
            all tokens of an optimiser step.
        rollouts: answers sampled for each prompt, side by side in a batch.
        metrics_every: optimiser steps between two measurements of what only the log needs.
        args: the other settings, among them ``beta``, ``temperature`` and ``max_completion_length``.
        options: as for the parent class.

    Raises:
        ValueError: settings that contradict each other, or rows that break the promises above, at the first step that
            meets them.
    """

    def __init__(
        self,
        model: Any,
        teacher_model: Any = None,
        *,
        args: DistillationConfig,
        objective: Literal["full", "sampled"] = "full",
        token_weights: Mapping[str, float] | None = None,
        rollouts: int = 1,
        metrics_every: int = 1,
        **options: Any,
    ) -> None:
        weights = dict.fromkeys(SPANS, 1.0) | dict(token_weights or {})
        _check_settings(args, objective, weights, rollouts)
        if teacher_model is None and not isinstance(model, PeftModel) and options.get("peft_config") is None:
            raise ValueError("without an adapter the student cannot be its own teacher: pass teacher_model")
        self._rollouts = rollouts
        super().__init__(model, teacher_model, args=args, **options)
        self._objective = objective
        self._weights = torch.tensor([float(weights[name]) for name in SPANS])
        self._metrics_every = metrics_every
        self._label = TokenLabeller(self._tokenizer)
        self._tallies = {"train": tally.Tally(), "eval": tally.Tally()}
        self._header = self._generation_header()
        vllm_merges = self.use_vllm and isinstance(self.model, PeftModel)
        self._kept = KeptWeights(self.model) if vllm_merges else None
        for scored in (self.model, self.teacher_model):
            _check_plain_logits(scored)

    def _get_train_sampler(self, dataset: Any = None) -> _Rows:
        steps = self.args.gradient_accumulation_steps
        answers = self.args.per_device_train_batch_size * self.accelerator.num_processes * steps
        if answers % self._rollouts:
            raise ValueError(f"{answers} answers a step do not divide into rollouts of {self._rollouts} for a prompt")
        return _Rows(
            data_source=self.train_dataset if dataset is None else dataset,
            mini_repeat_count=self._rollouts,
            batch_size=answers // self._rollouts,
            repeat_count=steps,
            shuffle=self.shuffle_dataset,
            seed=self.args.seed,
        )

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> list[list[int]]:
        ids: list[list[int]] = super()._generate_single_turn(*args, **kwargs)
        if self._kept is not None:
            self._kept.restore()
        return ids

    def _generate_and_score_completions(self, inputs: Sequence[Mapping[str, Any]]) -> Batch:
        batch: Batch = super()._generate_and_score_completions(inputs)
        mode = "train" if self.model.training else "eval"
        device = batch["prompt_ids"].device
        ids = self._teacher_ids(inputs)
        tensors = [torch.tensor(row) for row in ids]
        batch["teacher_prompt_ids"] = pad(tensors, self._tokenizer.pad_token_id, "left").to(device)
        batch["teacher_prompt_mask"] = pad([torch.ones_like(row) for row in tensors], 0, "left").to(device)
        self._check_prompts(inputs, batch)

        mask = batch["completion_mask"]
        answers = [
            row[: int(length)].tolist() for row, length in zip(batch["completion_ids"], mask.sum(1), strict=True)
        ]
        batch["spans"] = torch.zeros_like(batch["completion_ids"])
        for row, answer in zip(batch["spans"], answers, strict=True):
            row[: len(answer)] = torch.tensor(self._label(answer))
        weights = self._weights.to(device)[batch["spans"]] * mask
        # the mean weight of a step's tokens is made 1, so that TRL's division by their number gives the weighted mean
        total = self.accelerator.gather(weights.sum()).sum()
        scale = batch["num_items_in_batch"] / total if total > 0 else 0.0
        batch["weights"] = weights * scale
        if "episode" in inputs[0]:
            texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
            for name, values in tally.judge([row["episode"] for row in inputs], texts).items():
                self._tallies[mode].add(name, torch.tensor(values, device=device))
        return batch

    def _compute_loss(
        self, student: Any, inputs: Batch, num_items_in_batch: Tensor | float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mask = inputs["completion_mask"].bool()
        ids = inputs["completion_ids"][mask]
        mode = "train" if self.model.training else "eval"
        # called past the model's own forward, which is where accelerate would switch to bf16
        with self.accelerator.autocast():
            # the teacher goes first: switching the adapter must not come between the student's two passes
            teacher, teacher_head = self._teacher_states(student, inputs)
            pictures = {key: inputs[key] for key in _PICTURE_KEYS if key in inputs}
            states = self._states(student, inputs, "prompt", **pictures)
            head = head_of(student)
            states, teacher = states[mask].to(head.weight.device), teacher[mask].to(head.weight.device)
            if self._objective == "full":
                losses, entropy = divergence(states, head, teacher, teacher_head, self.beta, self.temperature)
            else:
                losses, entropy = sampled_divergence(states, head, teacher, teacher_head, ids, self.temperature)
            if mode == "eval" or self.state.global_step % self._metrics_every == 0:
                found = compare(states.detach(), head, teacher, teacher_head, ids, self.temperature)
                tenths = tally.deciles(inputs["completion_mask"])[mask]
                self._tallies[mode].add_tokens(found, inputs["spans"][mask], tenths)
        count = mask.sum()
        loss = (losses * inputs["weights"][mask]).sum() / (count if num_items_in_batch is None else num_items_in_batch)
        return loss, entropy.detach().sum(), count

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what was counted since the last log, and log."""
        mode = "train" if self.model.training else "eval"
        for name, value in self._tallies[mode].read(self.accelerator.gather).items():
            self._metrics[mode][name].append(value)
        super().log(logs, start_time)

    def _states(self, model: Any, inputs: Batch, prompt: str, **pictures: Tensor) -> Tensor:
        """Last hidden states (B, C, H) at the positions that predict the answer's tokens after one of the prompts."""
        answer, mask = inputs["completion_ids"], inputs["completion_mask"]
        states: Tensor = self._get_last_hidden_state(
            model,
            torch.cat([inputs[f"{prompt}_ids"], answer], dim=1),
            torch.cat([inputs[f"{prompt}_mask"], mask], dim=1),
            answer.size(1),
            **pictures,
        )
        return states

    def _teacher_states(self, student: Any, inputs: Batch) -> tuple[Tensor, Head]:
        if self.teacher_model is None:
            with torch.no_grad(), without_adapter(student):
                return self._states(student, inputs, "teacher_prompt"), head_of(student)
        teacher = self.accelerator.unwrap_model(self.teacher_model.eval())
        with torch.no_grad():
            states = self._forward_redirection(
                self.teacher_model, teacher, self._states, teacher, inputs, "teacher_prompt"
            )
            return states, head_of(teacher)

    def _teacher_ids(self, inputs: Sequence[Mapping[str, Any]]) -> list[list[int]]:
        if any("teacher_prompt" not in row for row in inputs):
            raise ValueError("rows need the column teacher_prompt")
        ids, images, _ = self._tokenize_prompts([row["teacher_prompt"] for row in inputs])
        if images is not None:
            raise ValueError("teacher_prompt holds a picture; the teacher is text only")
        result: list[list[int]] = ids
        return result

    def _check_prompts(self, inputs: Sequence[Mapping[str, Any]], batch: Batch) -> None:
        config = self.accelerator.unwrap_model(self.model).config
        vision = torch.tensor([i for name in _VISION_IDS if (i := getattr(config, name, None)) is not None])
        header = torch.tensor(self._header)
        student, teacher = batch["prompt_ids"].cpu(), batch["teacher_prompt_ids"].cpu()
        for side, ids in (("prompt", student), ("teacher_prompt", teacher)):
            if not ids[:, -len(header) :].equal(header.expand(len(ids), -1)):
                raise ValueError(f"{side} does not end with the chat template's generation header")
        if torch.isin(teacher, vision).any():
            raise ValueError("teacher_prompt holds image or video tokens; the teacher is text only")
        if bool(torch.isin(student, vision).any()) != ("pixel_values" in batch):
            raise ValueError("prompt has image tokens but no picture, or a picture but no image tokens")
        for row in inputs:
            secret = row.get("privileged")
            if secret and secret.strip() in _text_of(row["prompt"]):
                raise ValueError("the student's prompt holds what only the teacher is to be told")

    def _generation_header(self) -> list[int]:
        """The tokens that open an answer: what the chat template adds for a generation prompt."""
        told: Any = [{"type": "text", "text": "?"}] if isinstance(self.processing_class, ProcessorMixin) else "?"
        closed, opened = (
            self.processing_class.apply_chat_template(
                [{"role": "user", "content": told}],
                tokenize=False,
                add_generation_prompt=opened,
                **self.chat_template_kwargs,
            )
            for opened in (False, True)
        )
        if not opened.startswith(closed) or opened == closed:
            raise ValueError(
                "the chat template has no generation header: add_generation_prompt adds nothing to its end"
            )
        ids: list[int] = self._tokenizer(opened.removeprefix(closed), add_special_tokens=False)["input_ids"]
        return ids


class _Rows(RepeatSampler):  # type: ignore[misc]
    """TRL's order of rows, drawn anew for each epoch from the seed and the epoch alone, so that resuming finds it."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            self.generator.manual_seed(self.seed + self.epoch)
        return iter(super().__iter__())


def build(
    stage: Stage,
    model: Any,
    teacher: Any,
    processor: Any,
    dataset: Any,
    config: Mapping[str, Any],
    callbacks: Sequence[Any],
    trainer: type[SelfDistillTrainer] = SelfDistillTrainer,
    **extra: Any,
) -> SelfDistillTrainer:
    """The trainer of a ``distill`` stage.

    Args:
        stage: the stage, with ``distill`` set.
        model: the student.
        teacher: a frozen model, or None for the student without its adapter.
        processor: the processor of both.
        dataset: rows as :class:`SelfDistillTrainer` takes them.
        config: fields of ``DistillationConfig``; those that the stage's own settings decide are overruled.
        callbacks: callbacks for the trainer.
        trainer: the class to make.
        extra: further arguments of that class, such as ``eval_dataset``.

    Raises:
        ValueError: as :class:`SelfDistillTrainer`.
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
    return trainer(
        model,
        teacher,
        args=DistillationConfig(**{**config, **own}),
        objective=chosen.objective,
        token_weights=chosen.token_weights,
        rollouts=chosen.rollouts,
        train_dataset=dataset,
        processing_class=processor,
        callbacks=list(callbacks),
        **extra,
    )


def _check_settings(args: DistillationConfig, objective: str, weights: Mapping[str, float], rollouts: int) -> None:
    if objective not in ("full", "sampled"):
        raise ValueError(f"objective {objective!r}: choose full or sampled")
    if objective == "sampled" and args.beta != 1:
        raise ValueError(f"objective sampled estimates KL(student || teacher), beta 1, not beta {args.beta}")
    if unknown := sorted(weights.keys() - set(SPANS)):
        raise ValueError(f"token_weights {', '.join(unknown)}: the parts of an answer are {', '.join(SPANS)}")
    if min(weights.values()) < 0 or max(weights.values()) == 0:
        raise ValueError("token_weights must not be negative, nor all zero")
    if rollouts < 1:
        raise ValueError(f"rollouts {rollouts}: at least 1 is needed")


def _check_plain_logits(model: Any) -> None:
    """Refuse models whose logits are more than hidden state times output layer."""
    if model is None:
        return
    config = model.config.get_text_config()
    if changes := [name for name in _LOGIT_CHANGES if getattr(config, name, None) is not None]:
        raise ValueError(f"{config.model_type}: models with {', '.join(changes)} are not supported")


def _text_of(messages: Any) -> str:
    """All text of a conversation."""
    if isinstance(messages, str):
        return messages
    contents = [message["content"] for message in messages]
    parts = [content if isinstance(content, list) else [{"text": content}] for content in contents]
    return "\n".join(part["text"] for content in parts for part in content if part.get("text"))
