"""The losses of both stages as one would write them down, over whole tables of logits, to compare with."""

from __future__ import annotations

from typing import Any

from mgsd_bench.backends.torchvision_compat import patch_torchvision

patch_torchvision()

from torch import Tensor  # noqa: E402
from torch.nn.functional import cross_entropy, linear  # noqa: E402

from mgsd_baselines.training import self_distill as distill  # noqa: E402
from mgsd_baselines.training import sft  # noqa: E402


class PlainSFT(sft.SortedSFTTrainer):
    """The same loss over logits of all tokens, prompt and padding included."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Cross-entropy of the answers' tokens."""
        labels = inputs.pop("labels")[:, 1:]
        logits = model(**inputs, use_cache=False).logits[:, :-1].float()
        total = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
        return total / ((labels != -100).sum() if num_items_in_batch is None else num_items_in_batch)


class PlainDistill(distill.SelfDistillTrainer):
    """KL(student || teacher) from two whole tables of logits, and none of the measurements for the log."""

    def _compute_loss(self, student: Any, inputs: Any, num_items_in_batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        mask = inputs["completion_mask"].bool()
        pictures = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
        with self.accelerator.autocast():
            teacher, teacher_head = self._teacher_states(student, inputs)
            states = self._states(student, inputs, "prompt", **{key: inputs[key] for key in pictures if key in inputs})
            s = (linear(states[mask], *distill.head_of(student)).float() / self.temperature).log_softmax(-1)
            t = (linear(teacher[mask], *teacher_head).float() / self.temperature).log_softmax(-1)
        kl = (s.exp() * (s - t)).sum(-1)
        loss = (kl * inputs["weights"][mask]).sum() / (mask.sum() if num_items_in_batch is None else num_items_in_batch)
        return loss, -(s.exp() * s).sum().detach(), mask.sum()
