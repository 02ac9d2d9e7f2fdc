"""A cure for broken sets of wheels: CUDA builds of torchvision, torchaudio and torchcodec beside a CPU torch.

Package registries carry these three as CUDA builds, and installers put them beside ``torch+cpu`` without a
word. Their compiled operators then do not load: ``import torchvision`` ends in "operator torchvision::nms
does not exist", the other two in "Could not load this library", and transformers and vLLM, which import them,
go down with them. Image processors need only the Python half of torchvision, which imports once the operators
that it decorates at import time are declared; nothing here needs the other two.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: Any = None  # torch.library.Library; the declarations last as long as this object


def patch_torchvision() -> bool:
    """Make torchvision importable, and torchaudio and torchcodec harmless, where they are broken by a CPU torch.

    Call it before anything imports torchvision, transformers or vLLM; further calls cost nothing. Packages that
    import are left alone, and so is everything beside a torch with a GPU runtime: there, what does not load is for
    the user to see.

    Returns:
        True if torchvision needed the cure, in this call or an earlier one.
    """
    global _library
    if _library is not None:
        return True
    if find_spec("torch") is None:
        return False
    import torch

    if torch.version.cuda or torch.version.hip:
        return False
    for package in ("torchaudio", "torchcodec"):
        if _is_broken(package):
            # An empty module rather than None, which reads as "not installed": transformers may already have
            # looked, and would import what it has found.
            empty = ModuleType(package, f"Stands in for {package}, whose CUDA build does not load here.")
            empty.__spec__ = find_spec(package)
            sys.modules[package] = empty
            if package == "torchcodec":  # datasets asks of every object whether it is one of these
                decoders: Any = ModuleType("torchcodec.decoders")
                decoders.AudioDecoder = decoders.VideoDecoder = type("Decoder", (), {})
                sys.modules["torchcodec.decoders"] = decoders
    if not _is_broken("torchvision"):
        return False
    _library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        _library.define(schema)
    return True


def vllm_plugin() -> None:
    """Cure every process that vLLM starts; for the entry point group ``vllm.platform_plugins``.

    vLLM inspects model classes, and may run its engine, in processes that import transformers before any code
    of ours. Platform plugins are what it loads first, in each of them. None: this plugin brings no platform.
    """
    patch_torchvision()


def _is_broken(package: str) -> bool:
    if find_spec(package) is None:
        return False
    try:
        import_module(package)
    except Exception:  # OSError and RuntimeError today; whatever it is, nobody else could import it either
        return True
    return False
