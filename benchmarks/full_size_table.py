"""What a stage took at full size, and the line of a Markdown table that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CARD_GIB = 79.0
"""What torch can have of a card of 80 GB."""

TOLERANCE = 0.25

HEAD = (
    "model",
    "stage",
    "memory, GiB (reserved)",
    "estimate",
    "80 GB",
    "s/step (sampling)",
    "estimate",
    "tokens/s",
    "of peak",
    "plain loss: memory",
    "time",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What one stage of one size took; figures of a step are medians without the first step.

    Attributes:
        size: of the model.
        stage: name of the stage.
        allocated: GiB that tensors took at the worst moment; None without a GPU.
        reserved: GiB that torch held.
        estimated_gib: the estimate of the former, without what the GPU's libraries take.
        seconds: of a step.
        sampling: of these for sampling answers.
        estimated_seconds: the estimate of a step.
        tokens_per_second: tokens of prompts and answers, padding left out.
        teraflops: work of a step by the formulas of the estimate, recomputation included.
        share: part of the device's peak FLOP/s; None for a device that is not in the table.
        plain: the same for the plain loss, ``None`` where it ran out of memory.
        losses: of each step.
        tokenizer: what the tokens are.
    """

    size: str
    stage: str
    allocated: float | None
    reserved: float | None
    estimated_gib: float
    seconds: float
    sampling: float
    estimated_seconds: float
    tokens_per_second: float
    teraflops: float
    share: float | None
    plain: dict[str, Any] | None
    losses: list[float]
    tokenizer: str


def cells(row: Found) -> tuple[str, ...]:
    """One line of the table; the plain loss as multiples, in time without the sampling."""
    memory = fits = "-"
    if row.allocated is not None and row.reserved is not None:
        memory = f"{row.allocated:.1f} ({row.reserved:.1f})"
        fits = "fits" if row.reserved < CARD_GIB else "does not fit"
    plain = ("out of memory", "-")
    if row.plain is not None:
        times = row.plain["memory"]
        plain = ("-" if times is None else f"{times:.2f}x", f"{row.plain['speed']:.2f}x")
    return (
        row.size,
        row.stage,
        memory,
        f"{row.estimated_gib:.1f}{_ratio(row.allocated, row.estimated_gib)}",
        fits,
        f"{row.seconds:.2f} ({row.sampling:.2f})",
        f"{row.estimated_seconds:.2f}{_ratio(row.seconds, row.estimated_seconds)}",
        f"{row.tokens_per_second:,.0f}",
        "-" if row.share is None else f"{row.share:.1%}",
        *plain,
    )


def _ratio(measured_value: float | None, estimated: float) -> str:
    if measured_value is None:
        return ""
    ratio = measured_value / estimated
    return f", {ratio:.2f}x" + (" (!)" if abs(ratio - 1) > TOLERANCE else "")
