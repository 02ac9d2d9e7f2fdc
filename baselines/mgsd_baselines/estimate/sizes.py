"""How large a model is: parameters by part, and the shapes that memory and time depend on.

Everything is read off a model that is built without weights, so it works for a model that is not here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.errors import UserError, option

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Lora

_VISION = {
    "in_channels": 3,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 2304,
    "num_heads": 16,
}
_TEXT = {
    "vocab_size": 151_936,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}

# as in the config.json of the released checkpoints
RELEASED: dict[str, dict[str, Any]] = {
    "Qwen/Qwen3-VL-4B-Instruct": {
        "text_config": {**_TEXT, "hidden_size": 2560, "intermediate_size": 9728, "tie_word_embeddings": True},
        "vision_config": {
            **_VISION,
            "depth": 24,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "out_hidden_size": 2560,
            "deepstack_visual_indexes": [5, 11, 17],
        },
        "tie_word_embeddings": True,
    },
    "Qwen/Qwen3-VL-8B-Instruct": {
        "text_config": {**_TEXT, "hidden_size": 4096, "intermediate_size": 12_288, "tie_word_embeddings": False},
        "vision_config": {
            **_VISION,
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "out_hidden_size": 4096,
            "deepstack_visual_indexes": [8, 16, 24],
        },
        "tie_word_embeddings": False,
    },
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Shapes and parameter counts of a Qwen3-VL.

    Attributes:
        vision: parameters of the vision tower with its projectors.
        layers: parameters of the language model's layers and last norm.
        embedding: parameters of embedding and output head; counted once where they are the same.
        hidden: width of the language model.
        depth: its number of layers.
        intermediate: width of its feed-forward part.
        heads: its attention heads.
        head_dim: width of each.
        kv_heads: its key and value heads.
        vocabulary: its tokens.
        vision_hidden: width of the vision tower.
        vision_depth: its number of layers.
        linear: (name, inputs, outputs) of every linear map, which is what an adapter can be put on.
    """

    vision: int
    layers: int
    embedding: int
    hidden: int
    depth: int
    intermediate: int
    heads: int
    head_dim: int
    kv_heads: int
    vocabulary: int
    vision_hidden: int
    vision_depth: int
    linear: tuple[tuple[str, int, int], ...]

    @property
    def total(self) -> int:
        """Parameters of the whole model, without an adapter."""
        return self.vision + self.layers + self.embedding

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values that one token leaves in the cache, at 2 bytes a number: 2 x 2 x depth x width."""
        return 2 * 2 * self.depth * self.kv_heads * self.head_dim

    def adapter(self, lora: Lora) -> int:
        """Parameters of an adapter: rank x (inputs + outputs) for every linear map whose whole name matches."""
        targets = re.compile(lora.targets)
        return sum(lora.rank * (inputs + outputs) for name, inputs, outputs in self.linear if targets.fullmatch(name))


def sizes_of(model: str) -> Sizes:
    """The sizes of a model: a folder, or a hub name whose configuration is known here, cached or can be fetched.

    Raises:
        UserError: the configuration cannot be had, or is not that of a Qwen3-VL.
    """
    patch_torchvision()
    import torch
    from transformers import AutoConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration

    if model in RELEASED and not Path(model).exists():
        config = Qwen3VLConfig(**RELEASED[model])
    else:
        try:
            config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        except (OSError, ValueError) as error:
            first = str(error).strip().partition("\n")[0]
            raise UserError(f"base {model}: no configuration found; name a folder or a hub name ({first})") from error
    if not isinstance(config, Qwen3VLConfig):
        raise UserError(f"base {model}: is no Qwen3-VL; {option('dry_run')} knows no other architecture")
    with torch.device("meta"):
        built = Qwen3VLForConditionalGeneration(config)
    text, vision = config.text_config, config.vision_config
    of_vision = sum(p.numel() for p in built.model.visual.parameters())
    tokens = built.get_input_embeddings().weight
    total = sum(p.numel() for p in built.parameters())  # a tied head is the same parameter and comes once
    head = 0 if built.lm_head.weight is tokens else built.lm_head.weight.numel()
    return Sizes(
        vision=of_vision,
        layers=total - of_vision - tokens.numel() - head,
        embedding=tokens.numel() + head,
        hidden=text.hidden_size,
        depth=text.num_hidden_layers,
        intermediate=text.intermediate_size,
        heads=text.num_attention_heads,
        head_dim=text.head_dim,
        kv_heads=text.num_key_value_heads,
        vocabulary=text.vocab_size,
        vision_hidden=vision.hidden_size,
        vision_depth=vision.depth,
        linear=tuple(
            (name, module.in_features, module.out_features)
            for name, module in built.named_modules()
            if isinstance(module, torch.nn.Linear)
        ),
    )
