"""Which checkpoint a model name stands for, and what tells two checkpoints apart."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from mgsd_bench.errors import UserError, option

_SUFFIXES = {".json", ".jinja", ".txt", ".model", ".py", ".safetensors", ".bin", ".pt", ".gguf"}
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}
_TEXTS = {".json", ".jinja", ".txt", ".yaml"}
_BLOCK = 65_536
_MOST_OF_TEXT = 2**28
"""The most bytes of a configuration or a vocabulary."""


def locate(model: str) -> str:
    """What an engine is to load for a model: a shipped checkpoint's folder for its name, else the name as it is.

    A folder or file of the user's goes before a shipped name.
    """
    if Path(model).exists():
        return model
    from mgsd_bench.package_data import shipped

    return str(shipped(model) or model)


def check_model(
    model: str, revision: str | None = None, token: str | bool | None = None, *, said: str | None = None
) -> None:
    """Make sure that this names a checkpoint folder, or a model that the hub or its local cache has.

    Args:
        model: a folder or a hub name.
        revision: of the model on the hub.
        token: for the hub.
        said: what a message calls it; the setting ``model`` if None.

    Raises:
        UserError: it does not.
    """
    said = said or option("model", model)
    path = Path(model)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"{said}: no config.json in this folder; name a checkpoint's own folder")
        _check_files(path, said)
    elif path.exists():
        raise UserError(f"{said}: this is a file; name the checkpoint's folder")
    elif not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model):
        from mgsd_bench.package_data import shipped_names

        known = ", ".join(("Qwen/Qwen3-VL-4B-Instruct", *shipped_names()))
        raise UserError(f"{said}: no such folder, nor the name of a model such as {known}")
    elif "VLLM_USE_MODELSCOPE" not in os.environ and checkpoint_folder(model, revision) is None:
        from huggingface_hub import HfApi

        try:  # libraries that download retry for minutes before they say the same
            HfApi(token=token).model_info(model, revision=revision, timeout=10)
        except Exception as error:
            raise UserError(f"{said}: no such folder, and not on the hub: {error}") from error


def _check_files(folder: Path, said: str) -> None:
    """Refuse what libraries would read without end, and weights that may hold code."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    for path in files:
        if path.suffix in _TEXTS and path.stat().st_size > _MOST_OF_TEXT:
            raise UserError(f"{said}: {path.name} has more than {_MOST_OF_TEXT:,} bytes; name another folder")
    pickled = next((path.name for path in files if path.suffix in _PICKLES), None)
    if pickled and not any(path.suffix == ".safetensors" for path in files):
        raise UserError(
            f"{said}: its weights are in {pickled}, a pickle, which may hold code; store them as safetensors "
            "(save_pretrained does)"
        )


def checkpoint_folder(model: str, revision: str | None = None) -> Path | None:
    """The folder of a checkpoint; for a hub name, the one in the local cache, or None."""
    if Path(model).exists():
        return Path(model).resolve()
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def fingerprint(folder: Path) -> str:
    """A SHA-256 that tells checkpoints apart at the cost of reading some megabytes, however large they are.

    It covers small files whole (configuration, tokenizer, chat template, code), and of a larger one, weights that
    is, the name, the size and 16 blocks spread over it, so that further training shows.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in _SUFFIXES or not path.is_file():
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= 256 * _BLOCK:
                digest.update(file.read())
                continue
            for i in range(16):
                file.seek(i * (size - _BLOCK) // 15)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()
