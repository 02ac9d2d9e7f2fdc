"""What can end a training before its time, said in one line: numbers that are none, and disks that take no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from transformers import Trainer

from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.files import OF_DRIVES

if TYPE_CHECKING:
    from torch.nn import Module

_TORCH_WRITES = ("PytorchStreamWriter", "unexpected pos")
"""Words of the errors in which torch says, without a number, that a file could not be written."""


class DivergedError(ArithmeticError):
    """The gradient of an optimiser step is infinite, or no number; the weights are as they were before it.

    Args:
        step: number of the step, from 1.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class Finite(Trainer):  # type: ignore[misc]
    """Put before a trainer, stops it before a gradient that is not finite reaches the weights.

    Trainers go on with what such a step leaves, leave its loss out of the mean that they log, and may keep the
    checkpoint after it and remove the last good one.
    """

    def _get_grad_norm(self, model: Module, grad_norm: float | None = None) -> float | None:
        norm: float | None = super()._get_grad_norm(model, grad_norm=grad_norm)
        if norm is not None and not math.isfinite(norm):
            raise DivergedError(self.state.global_step + 1)
        return norm


@contextmanager
def told(stage: str, out: Path, kept: Callable[[], str | None]) -> Iterator[None]:
    """Say in one line what ends a stage, and which checkpoint is whole.

    Args:
        stage: name of the stage.
        out: folder of the training.
        kept: the last whole checkpoint of the stage, if there is one.

    Raises:
        UserError: the training diverged, or a file could not be written.
    """
    try:
        yield
    except DivergedError as error:
        raise UserError(
            f"stages.{stage}: the gradient of step {error.step} is not finite, and was not applied; {_said(kept())}; "
            f"lower stages.{stage}.trainer.learning_rate or max_grad_norm, and train into another folder",
            Exit.ENGINE,
        ) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _is_of_disk(error):
            raise
        why = getattr(error, "strerror", None) or "the disk is full or fails"
        raise UserError(
            f"{option('out', out)}: {stage} cannot be written ({why}); {_said(kept())}; free some space and go on with "
            f"{option('resume', True)}",
            Exit.ENGINE,
        ) from error


def _said(checkpoint: str | None) -> str:
    return f"{checkpoint} is the last good checkpoint" if checkpoint else "no checkpoint had been written"


def _is_of_disk(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in OF_DRIVES
    text = str(error)
    return any(f"(os error {number})" in text for number in OF_DRIVES) or any(word in text for word in _TORCH_WRITES)
