"""Stage 2, on-policy self-distillation: a student that sees the picture learns from a teacher that is told the state.

The student answers its own prompt, text and picture. The teacher, text only, reads its own prompt, which says more, and
scores the student's tokens; the loss draws the student's next-token distributions towards the teacher's. MGSD
(arXiv 2606.06076) takes KL(student || teacher) at each token; its released code the one-token estimate of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from peft import PeftModel
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import ProcessorMixin
from trl import DistillationConfig, DistillationTrainer, prepare_multimodal_messages

from mgsd_baselines.training.divergence import (
    Head,
    check_plain_logits,
    compare,
    divergence,
    head_of,
    sampled_divergence,
)
from mgsd_baselines.training.models import KeptWeights
from mgsd_baselines.training.rollouts import SPANS, MetricAccumulator, TokenLabeller, deciles, score_rollouts
from mgsd_baselines.training.trl_adapter import RepeatSampler, call_through

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Batch = dict[str, Tensor]
Row = Mapping[str, Any]
Model: TypeAlias = "PreTrainedModel | PeftModel"

_PICTURE_KEYS = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
_VISION_IDS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")


class SelfDistillTrainer(DistillationTrainer):  # type: ignore[misc]
    """TRL's distillation with a teacher that has a prompt of its own, without pictures.

    One optimiser step: the student samples an answer of at most C tokens to each prompt of B rows; student and teacher
    read it after their own prompts, of P tokens (with the picture) and T tokens (text alone), each token of the answer
    with one hidden state (B, C, width); over the N tokens that answers really have, the loss is the weighted mean of
    the divergence, in nats. The teacher's weights never change. Training ends after ``args.max_steps`` steps or
    ``args.num_train_epochs`` epochs.

    Rows have ``prompt`` (and ``images``), the student's, and ``teacher_prompt``, messages of text. More columns are
    used where rows have them: ``privileged``, text that the student's prompt must not hold, and ``episode`` and
    ``tried``, canonical JSON, by which answers are scored in the simulator.

    ``per_device_train_batch_size`` times ``gradient_accumulation_steps`` counts answers. A run that is resumed samples
    the answers that it would have sampled without the break, unless vLLM samples them.

    Args:
        model: the student.
        teacher_model: a frozen model over the same vocabulary. None is the student without its adapter, one copy of the
            weights in memory.
        teacher_sees: whether the teacher reads the student's own prompt, with the picture, in the place of
            ``teacher_prompt``: nothing is told to it that the student is not.
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
        model: Model,
        teacher_model: PreTrainedModel | None = None,
        *,
        args: DistillationConfig,
        teacher_sees: bool = False,
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
        self._rollouts, self._teacher_sees = rollouts, teacher_sees
        super().__init__(model, teacher_model, args=args, **options)
        if teacher_model is not None and self.is_fsdp_enabled:
            # TRL leaves it whole, and where it is; frozen, it also keeps its precision
            self.teacher_model = fsdp2_prepare_model(self.accelerator, teacher_model.requires_grad_(False))
        self._objective = objective
        self._weights = torch.tensor([float(weights[name]) for name in SPANS])
        self._metrics_every = metrics_every
        self._text_tokenizer: PreTrainedTokenizerBase = getattr(
            self.processing_class, "tokenizer", self.processing_class
        )
        self._label = TokenLabeller(self._text_tokenizer)
        self._means = {"train": MetricAccumulator(), "eval": MetricAccumulator()}
        self._entropies: dict[str, list[float]] = {"train": [], "eval": []}
        self._header = self._generation_header()
        vllm_merges = self.use_vllm and isinstance(self.model, PeftModel)
        self._kept = KeptWeights(self.model) if vllm_merges else None
        for scored in (self.model, self.teacher_model):
            if scored is not None:
                check_plain_logits(scored)

    def _get_train_sampler(self, dataset: Dataset | None = None) -> _Rows:
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

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], list[list[Any]] | None, Batch]:
        ids, images, fields = super()._tokenize_prompts(prompts)
        # a row without pictures has none: TRL says None, which processors do not take
        return ids, images and [shown or [] for shown in images], fields

    def _generate_and_score_completions(self, inputs: Sequence[Row]) -> Batch:
        batch: Batch = super()._generate_and_score_completions(inputs)
        if self._kept is not None:
            self._kept.restore()
        device = batch["prompt_ids"].device
        if not self._teacher_sees:
            tensors = [torch.tensor(row) for row in self._teacher_ids(inputs)]
            left = partial(pad_sequence, batch_first=True, padding_side="left")
            batch["teacher_prompt_ids"] = left(tensors, padding_value=self._text_tokenizer.pad_token_id).to(device)
            batch["teacher_prompt_mask"] = left([torch.ones_like(row) for row in tensors]).to(device)
            self._check_prompts(inputs, batch)

        mask = batch["completion_mask"]
        answers = [
            row[: int(length)].tolist() for row, length in zip(batch["completion_ids"], mask.sum(1), strict=True)
        ]
        batch["spans"] = torch.zeros_like(batch["completion_ids"])
        for row, answer in zip(batch["spans"], answers, strict=True):
            row[: len(answer)] = torch.tensor(self._label(answer))
        weights = self._weights.to(device)[batch["spans"]] * mask
        # the mean weight of a step's tokens is made 1, so that dividing by their number gives the weighted mean
        total = self.accelerator.gather(weights.sum()).sum()
        scale = batch["num_items_in_batch"] / total if total > 0 else 0.0
        batch["weights"] = weights * scale
        if "episode" in inputs[0]:
            texts = self._text_tokenizer.batch_decode(answers, skip_special_tokens=True)
            episodes, tried, conditions = (
                [row[name] for row in inputs] if name in inputs[0] else None
                for name in ("episode", "tried", "condition")
            )
            for name, values in score_rollouts(episodes or [], texts, tried, conditions).items():
                self._means[self._mode].add(name, torch.tensor(values, device=device))
        return batch

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, None]:
        """What a micro-batch of B answers adds to the loss, a scalar in nats.

        In training, all micro-batches of an optimiser step and all processes together make the weighted mean over the
        step's tokens; in evaluation it is the mean over the micro-batch.
        """
        mode, student = self._mode, self.accelerator.unwrap_model(model)
        # gradients are averaged over processes
        tokens = inputs["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes
        loss, *sums = call_through(model, student, self._loss, student, inputs, tokens if mode == "train" else None)
        # gathered outside the model's forward, in which processes must not wait for each other
        entropy, count = (self.accelerator.gather_for_metrics(part).sum() for part in sums)
        self._entropies[mode].append((entropy / count).item() if count > 0 else 0.0)
        return (loss, None) if return_outputs else loss

    def _loss(self, student: Model, inputs: Batch, tokens: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The summed losses / ``tokens`` (by default the answers' own), the summed entropy and the number of tokens."""
        mask = inputs["completion_mask"].bool()
        ids = inputs["completion_ids"][mask]
        mode = self._mode
        # called past the model's own forward, which is where accelerate would switch to bf16
        with self.accelerator.autocast():
            # the teacher goes first: switching the adapter must not come between the student's two passes
            pictures = {key: inputs[key] for key in _PICTURE_KEYS if key in inputs}
            teacher, teacher_head = self._teacher_states(student, inputs, pictures)
            states = self._states(student, inputs, "prompt", **pictures)
            head = head_of(student)
            states, teacher = states[mask].to(head.weight.device), teacher[mask].to(head.weight.device)
            if self._objective == "full":
                losses, entropy = divergence(states, head, teacher, teacher_head, self.beta, self.temperature)
            else:
                losses, entropy = sampled_divergence(states, head, teacher, teacher_head, ids, self.temperature)
            if mode == "eval" or self.state.global_step % self._metrics_every == 0:
                comparison = compare(states.detach(), head, teacher, teacher_head, ids, self.temperature)
                tenths = deciles(inputs["completion_mask"])[mask]
                self._means[mode].add_tokens(comparison, inputs["spans"][mask], tenths)
        count = mask.sum()
        loss = (losses * inputs["weights"][mask]).sum() / (count if tokens is None else tokens)
        return loss, entropy.detach().sum(), count

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what was counted since the last log, and log."""
        mode, prefix = self._mode, "" if self.model.training else "eval_"
        means = self._means[mode].read(self.accelerator.gather)
        if entropies := self._entropies[mode]:
            means["entropy"] = sum(entropies) / len(entropies)
            self._entropies[mode] = []
        logs.update({f"{prefix}{name}": value for name, value in means.items()})
        super().log(logs, start_time)

    @property
    def _mode(self) -> Literal["train", "eval"]:
        return "train" if self.model.training else "eval"

    def _states(self, model: Model, inputs: Batch, prompt: str, **pictures: Tensor) -> Tensor:
        """Last hidden states (B, C, H) at the positions that predict the answer's tokens after one of the prompts."""
        answer, mask = inputs["completion_ids"], inputs["completion_mask"]
        ids = torch.cat([inputs[f"{prompt}_ids"], answer], dim=1)
        mask = torch.cat([inputs[f"{prompt}_mask"], mask], dim=1)
        return self._hidden_states(model, ids, mask, answer.size(1), **pictures)

    def _hidden_states(self, model: Model, ids: Tensor, mask: Tensor, kept: int, **pictures: Tensor) -> Tensor:
        """What the output layer would read (B, kept, H) at the ``kept`` positions before the last."""
        backbone = (model.get_base_model() if isinstance(model, PeftModel) else model).base_model
        states: Tensor = backbone(input_ids=ids, attention_mask=mask, use_cache=False, **pictures).last_hidden_state
        return states[:, -1 - kept : -1]

    def _teacher_states(self, student: Model, inputs: Batch, pictures: Batch) -> tuple[Tensor, Head]:
        prompt, seen = ("prompt", pictures) if self._teacher_sees else ("teacher_prompt", {})
        if self.teacher_model is None:
            with torch.no_grad(), without_adapter(student):
                return self._states(student, inputs, prompt, **seen), head_of(student)
        teacher = self.accelerator.unwrap_model(self.teacher_model.eval())
        with torch.no_grad():
            states = call_through(self.teacher_model, teacher, self._states, teacher, inputs, prompt, **seen)
            return states, head_of(teacher)

    def _teacher_ids(self, inputs: Sequence[Row]) -> list[list[int]]:
        if any("teacher_prompt" not in row for row in inputs):
            raise ValueError("rows need the column teacher_prompt")
        prompts = [row["teacher_prompt"] for row in inputs]
        if any(part["type"] == "image" for prompt in prompts for part in _parts(prompt)):
            raise ValueError("teacher_prompt holds a picture; the teacher is text only")
        if isinstance(self.processing_class, ProcessorMixin):  # it reads no message whose content is a plain string
            prompts = [prepare_multimodal_messages(prompt) for prompt in prompts]
        ids: list[list[int]] = self.processing_class.apply_chat_template(
            prompts, add_generation_prompt=True, tokenize=True, return_dict=True, **self.chat_template_kwargs
        )["input_ids"]
        return ids

    def _check_prompts(self, inputs: Sequence[Row], batch: Batch) -> None:
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
            shown = "\n".join(part["text"] for part in _parts(row["prompt"]) if part.get("text"))
            if secret and secret.strip() in shown:
                raise ValueError("the student's prompt holds what only the teacher is to be told")

    def _generation_header(self) -> list[int]:
        """The tokens that open an answer: what the chat template adds for a generation prompt."""
        content = [{"type": "text", "text": "?"}] if isinstance(self.processing_class, ProcessorMixin) else "?"
        closed, opened = (
            self.processing_class.apply_chat_template(
                [{"role": "user", "content": content}],
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
        ids: list[int] = self._text_tokenizer(opened.removeprefix(closed), add_special_tokens=False)["input_ids"]
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


@contextmanager
def without_adapter(model: PeftModel) -> Iterator[None]:
    """The weights under the adapter, in eval mode; leaves mode and ``requires_grad`` of every parameter as they were.

    (PEFT's own switch makes every active adapter trainable on the way back, frozen ones too.)
    """
    training = model.training
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval()
    model.base_model.disable_adapter_layers()
    try:
        yield
    finally:
        model.base_model.enable_adapter_layers()
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        model.train(training)


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


def _parts(messages: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """What the messages of a conversation hold, one text or picture after the other."""
    for message in messages:
        content = message["content"]
        yield from content if isinstance(content, list) else [{"type": "text", "text": content}]
