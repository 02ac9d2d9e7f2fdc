"""How a checkpoint wants to be asked: a small file beside its weights gives defaults for settings that nobody gave."""

from __future__ import annotations

from pathlib import Path

from mgsd_bench.backends import answering
from mgsd_bench.backends.checkpoints import locate
from mgsd_bench.config.layers import Layers, read_layer, suggest

CARD = "mgsd-bench.yaml"
"""Name of the file in the checkpoint's folder."""

MAY_SET = ("suite", "prompts", "max_tokens", "min_pixels", "max_pixels", "temperature", "top_p", "top_k")
"""What a card may say: what a question looks like, nothing that runs code, opens servers or writes files."""


def card_of(given: Layers) -> Layers:
    """What the card of the model says of settings that are not given; nothing where the model has no card.

    Args:
        given: the settings as they are given; ``model`` and ``backend`` among them.

    Raises:
        UserError: the card cannot be read, or sets something else than :data:`MAY_SET`.
    """
    model = given.values.get("model")
    engine = given.values.get("engine")
    backend = answering(given.values.get("backend", "vllm"), engine if isinstance(engine, dict) else {})
    if not isinstance(model, str) or backend not in ("vllm", "hf"):
        return Layers({}, {})
    path = Path(locate(model)) / CARD
    if not path.is_file():
        return Layers({}, {})
    card = read_layer(path)
    for name in card.values:
        if name not in MAY_SET:
            raise card.error((name,), f"a model's card cannot set this; {suggest(name, MAY_SET)}")
    taken = {name: value for name, value in card.values.items() if given.values.get(name) is None}
    return Layers(taken, {key: origin for key, origin in card.origins.items() if key and key[0] in taken})
