"""Per-token divergences between a student's and a teacher's next-token distributions, from hidden states.

Logits are made for a block of positions at a time and never kept, so memory does not grow with the number of tokens
times the size of the vocabulary. Everything is computed in float32, whatever the precision of the hidden states.

Shapes: N positions, H width of a model, V size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from mgsd_baselines.training.trl_adapter import ChunkedDivergenceFunction, maybe_gather_lm_head_ctx

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BLOCK_ELEMENTS = 2**24  # of one float32 block of logits: 64 MiB
_LOGIT_CHANGES = (
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "final_logit_softcapping",
)


class Head(NamedTuple):
    """A language model's output layer: ``weight`` (V, H) and, if it has one, ``bias`` (V,)."""

    weight: Tensor
    bias: Tensor | None = None


def head_of(model: PreTrainedModel) -> Head:
    """The output layer of a model; whole, if FSDP has it sharded over devices."""
    layer = model.get_output_embeddings()
    return Head(_whole(layer.weight), None if layer.bias is None else _whole(layer.bias))


def check_plain_logits(model: PreTrainedModel) -> None:
    """Refuse a model whose logits are more than hidden state times output layer, which is all that is computed here.

    Raises:
        ValueError: its configuration scales or caps the logits.
    """
    config = model.config.get_text_config()
    if changes := [name for name in _LOGIT_CHANGES if getattr(config, name, None) is not None]:
        raise ValueError(f"{config.model_type}: models with {', '.join(changes)} are not supported")


def divergence(
    student: Tensor, student_head: Head, teacher: Tensor, teacher_head: Head, beta: float, temperature: float
) -> tuple[Tensor, Tensor]:
    """The exact divergence over the whole vocabulary.

    With s and t the softmax of logits / temperature: KL(t || s) for ``beta`` 0, KL(s || t) for 1, and between them
    the generalised Jensen-Shannon divergence beta KL(t || m) + (1 - beta) KL(s || m) with m = beta t + (1 - beta) s
    (arXiv 2306.13649).

    Args:
        student: hidden states (N, H).
        student_head: the student's output layer.
        teacher: hidden states of the teacher (N, its width).
        teacher_head: the teacher's output layer, over the same vocabulary.
        beta: from 0 to 1.
        temperature: above 0.

    Returns:
        Divergence (N,), differentiable in the student's tensors, and the student's entropy (N,); both in nats.
    """
    result: tuple[Tensor, Tensor] = ChunkedDivergenceFunction.apply(
        student, *student_head, teacher, *teacher_head, beta, temperature
    )
    return result


def sampled_divergence(
    student: Tensor, student_head: Head, teacher: Tensor, teacher_head: Head, ids: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """The estimate of KL(student || teacher) from one sampled token a position.

    Its value is log s(y) - log t(y) at the sampled token y, and its gradient that of the policy-gradient loss
    -(log t(y) - log s(y)) log s(y) with the bracket held constant. Where y is drawn from the student, both are
    unbiased. (The gradient of the value itself has mean zero and does not contain the teacher.)

    Args:
        student: hidden states (N, H).
        student_head: the student's output layer.
        teacher: hidden states of the teacher (N, its width).
        teacher_head: the teacher's output layer, over the same vocabulary.
        ids: the sampled tokens (N,).
        temperature: above 0.

    Returns:
        Estimate (N,), differentiable in the student's tensors, and the student's entropy (N,); both in nats.
    """
    s, entropy = _TokenLogProb.apply(_cast(student), *student_head, ids, temperature)
    with torch.no_grad():
        t, _ = _TokenLogProb.apply(_cast(teacher), *teacher_head, ids, temperature)
        advantage = t - s
    return -advantage * (1 + s - s.detach()), entropy


class Comparison(NamedTuple):
    """Student and teacher side by side at each position; every field (N,), float32, distances in nats.

    Attributes:
        reverse_kl: KL(student || teacher).
        teacher_entropy: entropy of the teacher.
        agreement: 1 where both find the same token most likely.
        k1: log student - log teacher at the sampled token.
    """

    reverse_kl: Tensor
    teacher_entropy: Tensor
    agreement: Tensor
    k1: Tensor


def compare(
    student: Tensor, student_head: Head, teacher: Tensor, teacher_head: Head, ids: Tensor, temperature: float
) -> Comparison:
    """Compare student and teacher over the whole vocabulary, without gradients: what the log says, not the loss.

    Args:
        student: hidden states (N, H).
        student_head: the student's output layer.
        teacher: hidden states of the teacher (N, its width).
        teacher_head: the teacher's output layer, over the same vocabulary.
        ids: the sampled tokens (N,).
        temperature: above 0; logits are divided by it, as for the loss.

    Returns:
        Four figures a position, in nats but for the agreement.
    """
    parts = []
    student, teacher = _cast(student), _cast(teacher)
    with torch.no_grad(), _gathered(student_head), _gathered(teacher_head):
        for block in _blocks(len(ids), len(student_head.weight)):
            s = _logits(student[block], student_head, temperature).log_softmax(-1)
            t = _logits(teacher[block], teacher_head, temperature).log_softmax(-1)
            agreement = (s.argmax(-1) == t.argmax(-1)).float()
            k1 = (s - t).gather(-1, ids[block, None])[:, 0]
            p = s.exp()
            reverse_kl = (p * (s - t)).sum(-1)
            torch.exp(t, out=p)
            parts.append((reverse_kl, -(p * t).sum(-1), agreement, k1))
    return Comparison(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


class _TokenLogProb(torch.autograd.Function):  # type: ignore[misc]
    """Log-probability of given tokens, and the entropy there; logits are made anew in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        chosen, entropy = (
            hidden.new_empty(len(ids), dtype=torch.float32),
            hidden.new_empty(len(ids), dtype=torch.float32),
        )
        with _gathered(Head(weight, bias)):
            for block in _blocks(len(ids), len(weight)):
                log_p = _logits(hidden[block], Head(weight, bias), temperature).log_softmax(-1)
                chosen[block] = log_p.gather(-1, ids[block, None])[:, 0]
                entropy[block] = -(log_p.exp() * log_p).sum(-1)
        ctx.save_for_backward(hidden, weight, bias, ids)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(entropy)
        return chosen, entropy

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, ids = ctx.saved_tensors
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        with _gathered(Head(weight, bias)):
            d_hidden = torch.zeros_like(hidden, dtype=torch.float32) if needs_hidden else None
            d_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
            d_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias else None
            for block in _blocks(len(ids), len(weight)):
                d = _logits(hidden[block], Head(weight, bias), ctx.temperature).softmax(-1).neg_()
                d.scatter_add_(-1, ids[block, None], torch.ones_like(d[:, :1]))
                d.mul_(grad[block, None] / ctx.temperature)
                if d_bias is not None:
                    d_bias += d.sum(0)
                d = d.to(hidden.dtype)
                if d_hidden is not None:
                    _add_product(d_hidden[block], d, weight.to(d.dtype))
                if d_weight is not None:
                    _add_product(d_weight, d.T, hidden[block])
        return (
            None if d_hidden is None else d_hidden.to(hidden.dtype),
            None if d_weight is None else d_weight.to(weight.dtype),
            None if d_bias is None else d_bias.to(bias.dtype),
            None,
            None,
        )


def _cast(hidden: Tensor) -> Tensor:
    """Hidden states in the precision that matrix products are to be taken in."""
    device = hidden.device.type
    return hidden.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else hidden


def _logits(hidden: Tensor, head: Head, temperature: float) -> Tensor:
    """Logits / temperature (n, V) in float32."""
    logits = torch.zeros((len(hidden), len(head.weight)), dtype=torch.float32, device=hidden.device)
    _add_product(logits, hidden, head.weight.to(hidden.dtype).T)
    if head.bias is not None:
        logits += head.bias.float()
    return logits.div_(temperature)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a matrix product to a float32 total, not rounded to the precision of its factors in between."""
    if total.is_cuda and left.dtype in (torch.float16, torch.bfloat16):
        torch.addmm(total, left, right, out_dtype=torch.float32, out=total)
    else:
        total.addmm_(left.float(), right.float())


def _blocks(positions: int, vocabulary: int) -> Iterator[slice]:
    step = max(1, _BLOCK_ELEMENTS // vocabulary)
    return (slice(start, min(start + step, positions)) for start in range(0, positions, step))


def _gathered(head: Head) -> AbstractContextManager[object]:
    """The head's weights whole, where DeepSpeed shards them."""
    gathered: AbstractContextManager[object] = maybe_gather_lm_head_ctx(*head)
    return gathered


def _whole(parameter: Tensor) -> Tensor:
    if isinstance(parameter, DTensor):
        return parameter.full_tensor()
    return parameter
