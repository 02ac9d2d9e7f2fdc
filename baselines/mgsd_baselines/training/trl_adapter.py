"""The names of TRL that are not part of its documented interface: all that are used, tried with trl>=1.16,<1.17.

A version that moves one is met here, and the range in ``pyproject.toml`` widened. :data:`HOOKS` cannot be imported:
they are methods that TRL calls by these names, overridden by the trainers of this package.
"""

from __future__ import annotations

from collections.abc import Mapping

from trl.kernels.chunked_divergence import ChunkedDivergenceFunction
from trl.models.utils import _ForwardRedirection
from trl.trainer.utils import RepeatSampler, maybe_gather_lm_head_ctx

__all__ = ["HOOKS", "ChunkedDivergenceFunction", "RepeatSampler", "call_through", "maybe_gather_lm_head_ctx"]

call_through = _ForwardRedirection()
"""``call_through(wrapper, model, method, *args)`` calls a method inside the forward of what DDP or FSDP put around its
model, so that sharded weights are there and gradients are reduced."""

HOOKS: Mapping[str, tuple[str, ...]] = {
    "DistillationTrainer": ("_generate_and_score_completions", "_get_train_sampler", "_tokenize_prompts"),
    "SFTTrainer": ("_get_train_sampler",),
}
