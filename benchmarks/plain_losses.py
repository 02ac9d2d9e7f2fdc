"""The losses of both stages as one would write them down, over whole tables of logits, to compare with."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from mgsd_baselines.training.divergence import head_of
from mgsd_baselines.training.self_distill import SelfDistillTrainer
from mgsd_baselines.training.sft import SortedSFTTrainer


class PlainSFT(SortedSFTTrainer):
    """The same loss over logits of all tokens, prompt and padding included."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Cross-entropy of the answers' tokens."""
        labels = inputs.pop("labels")[:, 1:]
        logits = model(**inputs, use_cache=False).logits[:, :-1].float()
        total = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
        return total / ((labels != -100).sum() if num_items_in_batch is None else num_items_in_batch)


class PlainDistill(SelfDistillTrainer):
    """KL(student || teacher) from two whole tables of logits, and none of the measurements for the log."""

    def _loss(self, student: Any, inputs: Any, tokens: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        mask = inputs["completion_mask"].bool()
        names = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
        pictures = {name: inputs[name] for name in names if name in inputs}
        with self.accelerator.autocast():
            teacher, teacher_head = self._teacher_states(student, inputs, pictures)
            states = self._states(student, inputs, "prompt", **pictures)
            s = (linear(states[mask], *head_of(student)).float() / self.temperature).log_softmax(-1)
            t = (linear(teacher[mask], *teacher_head).float() / self.temperature).log_softmax(-1)
        kl = (s.exp() * (s - t)).sum(-1)
        loss = (kl * inputs["weights"][mask]).sum() / (mask.sum() if tokens is None else tokens)
        return loss, -(s.exp() * s).sum().detach(), mask.sum()
