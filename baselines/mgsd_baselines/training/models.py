"""Models to train: loading them, adapting them, and leaving them in a folder that engines load as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoModelForImageTextToText, AutoProcessor, ProcessorMixin

from mgsd_baselines.tiny.build import build_tiny, widen_tiny
from mgsd_baselines.tiny.vocabulary import phrases
from mgsd_baselines.training.launch import uses_gpu
from mgsd_bench.backends.checkpoints import check_model, locate
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import ONE_SHOT, in_order

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from mgsd_baselines.recipe import Lora, Precision, Recipe

ADAPTER = "adapter"
"""Where a finished folder keeps the adapter that its merged weights were made with."""


DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def native_precision(precision: Precision) -> Precision:
    """The precision to compute in where one is asked for: fp32 for bf16 on a CPU that only emulates it.

    There a training step took 14 times as long. Known from torch 2.10 on; before, the precision asked for is returned.
    """
    if precision == "fp32" or uses_gpu() or not hasattr(torch.cpu, "get_capabilities"):
        return precision
    native = any(there for name, there in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    return "bf16" if native else "fp32"


def resolve_model(name: str, recipe: Recipe, out: Path) -> str:
    """What to load for a model that a recipe names: a folder or a hub name.

    ``tiny`` is built in ``out / "tiny"`` if it is not there yet, with the vocabulary of the recipe's prompts and tasks.
    Where the recipe has more of a vocabulary, a model is widened by it in ``out / "wide-NAME"``.
    """
    if name == "tiny":
        folder = out / "tiny"
        if not (folder / "config.json").is_file():
            build_tiny(
                folder,
                seed=recipe.seed,
                hidden=192,
                layers=6,
                vision_hidden=128,
                phrases=_phrases(recipe),
                initializer_range=0.02,
            )
        return str(folder)
    if not recipe.vocabulary:
        return locate(name)
    folder = out / f"wide-{Path(name).name}"
    if not (folder / "config.json").is_file():
        widen_tiny(Path(locate(name)), folder, _phrases(recipe))
    return str(folder)


def _phrases(recipe: Recipe) -> tuple[str, ...]:
    return phrases(recipe.prompts, recipe.tasks, in_order(ONE_SHOT | set(recipe.vocabulary)))


def load_model(name: str, *, dtype: torch.dtype, attention: str) -> PreTrainedModel:
    """A vision-language model with its weights in ``dtype``.

    Raises:
        UserError: there is no such model, or it takes no images.
    """
    check_model(name, said=f"model {name}")
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            name, dtype=dtype, attn_implementation=attention, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, ImportError) as error:
        raise _cannot_load(name, "a vision-language model", error) from error
    if model.config.tie_word_embeddings:
        # no checkpoint holds the output layer then, and a trainer that reads one would report it missing
        model._keys_to_ignore_on_save = set(model.all_tied_weights_keys)
    return model


def load_processor(name: str) -> ProcessorMixin:
    """Tokenizer and image processor of a model, padding on the left as generation needs it.

    Raises:
        UserError: it cannot be loaded, or has no image processor, so that training would see no pictures.
    """
    check_model(name, said=f"model {name}")
    try:
        processor = AutoProcessor.from_pretrained(name, padding_side="left", trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        raise _cannot_load(name, "tokenizer and image processor", error) from error
    if not isinstance(processor, ProcessorMixin):
        raise UserError(f"{name}: no image processor beside the tokenizer; name a vision-language model")
    return processor


def adapt(model: PreTrainedModel, lora: Lora | None, adapter: Path | None) -> PreTrainedModel | PeftModel:
    """The model with a trainable adapter: the one in ``adapter`` if it is there, else a fresh one.

    Without ``lora`` the model itself, all its parameters trainable.
    """
    if lora is None:
        return model
    if adapter is not None:
        return PeftModel.from_pretrained(model, adapter, is_trainable=True)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def finish(trained: Path, base: str, processor: ProcessorMixin, out: Path, dtype: torch.dtype) -> None:
    """Turn what a trainer saved into a folder that transformers and vLLM load as it is.

    Args:
        trained: weights, or an adapter; the latter is kept in ``out / ADAPTER`` and merged into the base's weights.
        base: what the adapter belongs to.
        processor: tokenizer and image processor.
        out: folder for weights, configuration, tokenizer and processor.
        dtype: of the weights that are written.
    """
    if (trained / "adapter_config.json").is_file():
        (out / ADAPTER).mkdir(parents=True, exist_ok=True)
        for file in trained.glob("adapter_*"):
            shutil.copy(file, out / ADAPTER)
        model = load_model(base, dtype=dtype, attention="sdpa")
        model = PeftModel.from_pretrained(model, trained).merge_and_unload()
    else:
        model = load_model(str(trained), dtype=dtype, attention="sdpa")
    model.save_pretrained(out)
    processor.save_pretrained(out)


class KeptWeights:
    """A copy, in host memory, of the weights that an adapter is put on.

    To hand a model to vLLM, TRL adds the adapter to the weights and takes it off again, which in bf16 leaves rounding
    errors each time: a frozen base that drifts.

    Args:
        model: a model under an adapter that is not merged.
    """

    def __init__(self, model: PeftModel) -> None:
        layers = [module.get_base_layer() for module in model.modules() if isinstance(module, BaseTunerLayer)]
        self._kept = [(layer.weight, layer.weight.detach().to("cpu", copy=True)) for layer in layers]

    def restore(self) -> None:
        """Make the weights again what they were, bit for bit."""
        with torch.no_grad():
            for weight, kept in self._kept:
                weight.copy_(kept)


def _cannot_load(name: str, what: str, error: Exception) -> UserError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return UserError(f"{name}: cannot be loaded as {what}: {reason}")
