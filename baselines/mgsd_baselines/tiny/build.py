"""Tiny Qwen3-VL checkpoints with random weights, built offline.

A tiny checkpoint has every part of a released one (architecture, M-RoPE, deepstack, special tokens, chat format,
image processor, file layout) at a size that a CPU starts in seconds. It stands in for a real model wherever
loading, prompting, decoding or training is to be exercised and not the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.errors import UserError
from mgsd_bench.files import whole_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

# In the order of the released vocabulary, where they follow the byte-pair tokens; the plain ones survive
# ``skip_special_tokens``.
_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_PLAIN = (
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)

_PATCH = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}  # one visual token is 32 x 32 pixels
_NORMALIZE = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def build_tiny(
    out: Path,
    *,
    seed: int = 0,
    hidden: int = 64,
    layers: int = 4,
    vision_hidden: int = 32,
    vision_layers: int = 3,
    phrases: Sequence[str] = (),
    max_length: int = 32_768,
    initializer_range: float = 0.2,
) -> Path:
    """Write a random Qwen3-VL that transformers and vLLM load as it is; the defaults make 0.4 million parameters.

    The same arguments give the same bytes of ``model.safetensors`` on the same versions of torch and
    transformers. Global random states are left as they were.

    Args:
        out: folder to write; it must not exist yet, or be empty.
        seed: seed of the weights.
        hidden: width of the language model, a multiple of 64; one attention head per 32.
        layers: its depth, at least 3, since the first layers take the deepstack features.
        vision_hidden: width of the vision tower, a multiple of 32; one attention head per 16.
        vision_layers: its depth, at least 3; the last three layers feed the deepstack.
        phrases: texts that are one token each, the longest match winning (:mod:`mgsd_baselines.tiny.vocabulary`).
            Without any, every byte is one token, and so is every printable ASCII character.
        max_length: most tokens of prompt and answer together.
        initializer_range: standard deviation of the weights. At the usual 0.02, a tied embedding of this width
            cannot reach logits that tell tokens apart, so neither greedy decoding nor LoRA have anything to work
            on.

    Returns:
        ``out``.

    Raises:
        UserError: ``out`` is not empty or cannot be written, or torch and transformers are not installed.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out}: already there; name a new or empty folder")
    for package in ("tokenizers", "torch", "transformers"):
        if find_spec(package) is None:
            raise UserError(f"{package} is not installed: pip install 'mgsd-bench[hf]'")
    patch_torchvision()
    tokenizer = _tokenizer(phrases)
    model = _model(tokenizer, seed, hidden, layers, vision_hidden, vision_layers, max_length, initializer_range)
    try:
        with whole_folder(out) as part:
            tokenizer.save_pretrained(part)
            with _no_progress_bar():
                model.save_pretrained(part)
            # written by hand, as the released checkpoints have them, since making the objects takes torchvision
            _write_json(part / "preprocessor_config.json", _image_processor())
            _write_json(part / "video_preprocessor_config.json", _video_processor())
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror or error})") from error
    return out


def widen_tiny(model: Path, out: Path, phrases: Sequence[str]) -> Path:
    """Write a tiny checkpoint with more phrases that are one token each; everything else stays as it is.

    A new token begins as the mean of the tokens that its text was until then. The same arguments give the same weights.

    Args:
        model: folder of a checkpoint that :func:`build_tiny` wrote, or that was trained from one.
        out: folder to write; it must not exist yet, or be empty.
        phrases: texts that are one token each; those that are already are left out.

    Returns:
        ``out``.

    Raises:
        UserError: ``out`` cannot be written.
    """
    import torch
    from tokenizers import AddedToken
    from transformers import AutoModelForImageTextToText, AutoProcessor

    patch_torchvision()
    processor = AutoProcessor.from_pretrained(model, padding_side="left")
    wide = AutoModelForImageTextToText.from_pretrained(model, dtype="auto")
    tokenizer, before = processor.tokenizer, wide.get_input_embeddings().weight.detach().float()
    new = [phrase for phrase in phrases if phrase not in tokenizer.get_vocab()]
    pieces = [tokenizer(phrase, add_special_tokens=False)["input_ids"] for phrase in new]
    tokenizer.add_tokens([AddedToken(phrase, special=False, normalized=False) for phrase in new])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        wide.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64, mean_resizing=False)
        weight = wide.get_input_embeddings().weight
        weight[len(before) :] = before.mean(0).to(weight.dtype)
        for phrase, of_phrase in zip(new, pieces, strict=True):
            weight[tokenizer.convert_tokens_to_ids(phrase)] = before[of_phrase].mean(0).to(weight.dtype)
    try:
        with whole_folder(out) as part, _no_progress_bar():
            wide.save_pretrained(part)
            processor.save_pretrained(part)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror or error})") from error
    return out


def _tokenizer(phrases: Sequence[str]) -> PreTrainedTokenizerBase:
    """A byte-level tokenizer with Qwen's pre-tokenisation and special tokens, the phrases after them."""
    from tokenizers import AddedToken, pre_tokenizers
    from transformers import Qwen2Tokenizer

    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *_SPECIAL, *_PLAIN]
    tokenizer = Qwen2Tokenizer(
        # ids are handed over complete: the constructor would give <|im_end|>, being eos, the first free one
        vocab={token: i for i, token in enumerate(tokens)},
        merges=[],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=files("mgsd_baselines.tiny").joinpath("qwen3_vl.jinja").read_text(),
    )
    tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in _SPECIAL], special_tokens=True)
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in (*_PLAIN, *phrases)])
    return tokenizer


def _model(
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    hidden: int,
    layers: int,
    vision_hidden: int,
    vision_layers: int,
    max_length: int,
    initializer_range: float,
) -> Qwen3VLForConditionalGeneration:
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    text = {
        "vocab_size": -(-len(tokenizer) // 64) * 64,  # padded, as the released checkpoints' vocabulary is
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 32,
        "num_key_value_heads": hidden // 64,
        "head_dim": 32,  # the smallest that vLLM's CPU attention has
        "max_position_embeddings": max_length,
        "initializer_range": initializer_range,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5_000_000.0,
            "mrope_section": [6, 5, 5],  # time, height, width: half of head_dim, split as in 24 + 20 + 20
            "mrope_interleaved": True,
        },
        "pad_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "tie_word_embeddings": True,
    }
    vision = {
        "depth": vision_layers,
        "hidden_size": vision_hidden,
        "intermediate_size": 2 * vision_hidden,
        "num_heads": vision_hidden // 16,
        "out_hidden_size": hidden,
        "patch_size": _PATCH["patch_size"],
        "spatial_merge_size": _PATCH["merge_size"],
        "temporal_patch_size": _PATCH["temporal_patch_size"],
        "num_position_embeddings": 256,  # 16 x 16 patches, an image of 256 x 256; others interpolate
        "deepstack_visual_indexes": list(range(vision_layers - 3, vision_layers)),
        "initializer_range": initializer_range,
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    return model


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _image_processor() -> dict[str, Any]:
    return {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "processor_class": "Qwen3VLProcessor",
        "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216},  # pixels of area, despite the names
        **_PATCH,
        **_NORMALIZE,
    }


def _video_processor() -> dict[str, Any]:
    return {
        "video_processor_type": "Qwen3VLVideoProcessor",
        "processor_class": "Qwen3VLProcessor",
        "size": {"shortest_edge": 4_096, "longest_edge": 25_165_824},
        **_PATCH,
        **_NORMALIZE,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
