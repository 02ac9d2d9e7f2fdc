"""Whether a row's model is here, so that it can be asked without downloading or paying for anything by surprise."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

from mgsd_bench.backends.chat_settings import KEY_VARIABLE
from mgsd_bench.errors import option
from mgsd_bench.reproduce.config import RowConfig

_NEEDS = {"vllm": ("vllm",), "hf": ("torch", "transformers"), "openai": ("httpx",), "ray": ("ray",)}
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")


def unavailable_reason(row: RowConfig) -> str | None:
    """Why a row cannot be asked here and now, in one line that names the remedy; None if it can."""
    for package in _NEEDS.get(row.backend, ()):
        if find_spec(package) is None:
            return f"{package} is not installed: pip install 'mgsd-bench[{row.backend}]'"
    if row.backend == "openai":
        return _no_key(row)
    return _no_checkpoint(row) if row.backend in ("vllm", "hf") else None


def _no_key(row: RowConfig) -> str | None:
    """Hosted models need a key; a server of the user's own, named by its URL alone, does not."""
    if "key_env" not in row.engine and row.engine.get("base_url"):
        return None
    variable = str(row.engine.get("key_env", KEY_VARIABLE))
    return None if os.environ.get(variable, "").strip() else f"no key in the environment variable {variable}"


def _no_checkpoint(row: RowConfig) -> str | None:
    from mgsd_bench.backends.checkpoints import checkpoint_folder
    from mgsd_bench.package_data import shipped, shipped_folder

    made = f"made by `{row.made_by}`; or " if row.made_by else ""
    remedy = f"{made}name a folder with {option('overrides', f'models.{row.name}.model=DIR')}"
    if Path(row.model).exists():
        return None if _holds_weights(Path(row.model)) else f"{row.model} holds no finished checkpoint; {remedy}"
    if "/" not in row.model:
        here = shipped(row.model)
        if here is None or not _holds_weights(here):
            return f"no checkpoint {shipped_folder('checkpoints') / row.model}; {remedy}"
        return None
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", row.model):
        return f"no checkpoint {row.model}; {remedy}"
    if find_spec("huggingface_hub") is None:
        return f"huggingface_hub is not installed; {remedy}"
    folder = checkpoint_folder(row.model)
    if folder is None or not _holds_weights(folder):
        return f"{row.model} is not in the local cache: fetch it with `hf download {row.model}`, or {remedy}"
    return None


def _holds_weights(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(any(folder.glob(pattern)) for pattern in _WEIGHTS)
