"""The weights under an adapter as a second model: switched to without side effects, and kept as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer


@contextmanager
def without_adapter(model: Any) -> Iterator[None]:
    """The weights under the adapter, in eval mode; leaves mode and ``requires_grad`` of every parameter as they were.

    (PEFT's own switch makes every active adapter trainable on the way back, frozen ones too.)

    Args:
        model: a ``PeftModel``.
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


class KeptWeights:
    """A copy, in host memory, of the weights that an adapter is put on.

    To hand a model to vLLM, TRL adds the adapter to the weights and takes it off again, which in bf16 leaves rounding
    errors each time: a frozen base that drifts.

    Args:
        model: a ``PeftModel``, its adapter not merged.
    """

    def __init__(self, model: Any) -> None:
        layers = [module.get_base_layer() for module in model.modules() if isinstance(module, BaseTunerLayer)]
        self._kept = [(layer.weight, layer.weight.detach().to("cpu", copy=True)) for layer in layers]

    def restore(self) -> None:
        """Make the weights again what they were, bit for bit."""
        with torch.no_grad():
            for weight, kept in self._kept:
                weight.copy_(kept)
