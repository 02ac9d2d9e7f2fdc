"""The transformers backend: ``generate`` on static batches, around a checkpoint or around a model that is in training.

It is slower than vLLM, and runs wherever torch does. Requests are answered a batch at a time, in their order; a batch
that fails is split until the request at fault fails alone.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from mgsd_bench.backends import BackendConfig, EngineError, FinishReason, Request, Response, Sampling
from mgsd_bench.backends.checkpoints import check_model, checkpoint_folder, fingerprint, locate
from mgsd_bench.backends.decoding import GumbelDecoder
from mgsd_bench.backends.shared import (
    PROMPT_TOKENS,
    Queue,
    code_refusal,
    image_question,
    one_line,
    pixel_limits,
    refuse_run_settings,
)
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.errors import Exit, UserError, option

ARGUMENTS = ("attn_implementation", "batch_size", "device", "dtype", "max_model_len", "revision")
"""What ``engine`` may set."""

DTYPES = ("auto", "bfloat16", "float16", "float32")


def open_backend(config: BackendConfig) -> TransformersBackend:
    """Load ``config.model``, a checkpoint folder or a hub name.

    Engine arguments: ``batch_size`` (16), ``dtype`` (``float32`` on a CPU, else the checkpoint's), ``device`` (``cuda``
    where there is one), ``attn_implementation`` (``sdpa``), ``max_model_len`` (room for prompts of 8,192 tokens) and
    ``revision``.

    Raises:
        UserError: transformers is not installed, the model is missing or cannot be asked about images, an engine
            argument is unknown or refused, or (exit code ``ENGINE``) the model does not load.
    """
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise UserError(f"{package} is not installed: pip install 'mgsd-bench[hf]'")
    _check_arguments(config)
    arguments = config.engine_args
    revision = arguments.get("revision")
    config = replace(config, model=locate(config.model))
    check_model(config.model, revision)
    patch_torchvision()
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    load = {"revision": revision, "trust_remote_code": config.trust_remote_code}
    device = arguments.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = arguments.get("dtype") or ("float32" if str(device) == "cpu" else "auto")
    attention = arguments.get("attn_implementation", "sdpa")
    try:
        shape = AutoConfig.from_pretrained(config.model, **load)
        if type(shape) not in AutoModelForImageTextToText._model_mapping and "auto_map" not in shape.to_dict():
            architecture = (shape.architectures or [type(shape).__name__])[0]
            raise UserError(
                f"{option('model', config.model)}: {architecture} takes no images; name a vision-language model"
            )
        processor = AutoProcessor.from_pretrained(config.model, **load)
        model = AutoModelForImageTextToText.from_pretrained(
            config.model, dtype=dtype, attn_implementation=attention, use_safetensors=True, **load
        ).to(device)
    except UserError:
        raise
    except Exception as error:
        raise _refusal(config, error) from error
    backend = TransformersBackend(
        model,
        processor,
        config.sampling,
        batch_size=arguments.get("batch_size", 16),
        pixels=(config.min_pixels, config.max_pixels),
        max_model_len=arguments.get("max_model_len"),
        config=config,
    )
    backend.check()
    return backend


class TransformersBackend(Queue):
    """A model with its processor, ready to be asked.

    The model may be one in training: between two answers it is as it was, with each module's training or evaluation
    mode, its generation settings, gradients and the random state.

    Args:
        model: a transformers model that takes images, or a LoRA model of peft around one.
        processor: its processor.
        sampling: decoding parameters.
        batch_size: requests that are answered together.
        pixels: smallest and largest image area, in pixels, that the processor may scale to; None leaves its own.
        max_model_len: most tokens of prompt and answer together, at most what the model was made for; by default room
            for prompts of 8,192 tokens.
        lockstep: whether the model's weights are sharded over processes, all of which ask as many batches as this one
            and have to take every step of decoding together.
        config: where the model was loaded from; None for a model that lives elsewhere.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        sampling: Sampling,
        *,
        batch_size: int = 16,
        pixels: tuple[int, int] | None = None,
        max_model_len: int | None = None,
        lockstep: bool = False,
        config: BackendConfig | None = None,
    ) -> None:
        super().__init__()
        # a LoRA model's layers sit inside the base model, whose ``generate`` knows nothing of peft's own settings
        self._model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._processor = processor
        self._tokenizer = getattr(processor, "tokenizer", processor)
        self._sampling = sampling
        self._batch_size = batch_size
        self._lockstep = lockstep
        self._config = config
        text = self._model.config.get_text_config()
        longest = getattr(text, "max_position_embeddings", None) or PROMPT_TOKENS + sampling.max_tokens
        self._max_model_len = min(longest, max_model_len or PROMPT_TOKENS + sampling.max_tokens)
        images = getattr(processor, "image_processor", None)
        self._image_settings = {} if pixels is None else pixel_limits(images, *pixels) or {}
        self._ends = _end_tokens(self._model, self._tokenizer)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the model; a second call does nothing."""
        self._model = None

    def check(self) -> None:
        """Prepare one question about an image.

        Raises:
            UserError: the checkpoint has no chat template, say, or its processor takes no images.
        """
        question = image_question()
        name = self._config.model if self._config else "the model"
        if getattr(self._processor, "image_processor", None) is None:
            raise UserError(f"{option('model', name)}: its processor takes no images; is torchvision installed?")
        try:
            self._inputs([self._chat(question)], [[draw() for draw in question.images]])
        except Exception as error:
            raise UserError(f"{option('model', name)}: takes no image prompts: {one_line(error)}") from error

    def describe(self) -> dict[str, Any]:
        """Facts for ``run.json``: library versions, what was loaded and how, and on what hardware."""
        import torch

        name = self._config.model if self._config else None
        folder = checkpoint_folder(name, self._config.engine_args.get("revision")) if self._config and name else None
        device = self._model.device
        if device.type == "cuda":
            hardware: dict[str, Any] = {"device": torch.cuda.get_device_name(device), "count": 1}
        else:
            hardware = {"device": platform.processor() or platform.machine(), "count": os.cpu_count()}
        return {
            "engine": "transformers",
            "engine_version": version("transformers"),
            "torch": version("torch"),
            "transformers": version("transformers"),
            "model": str(folder) if folder and name and Path(name).exists() else name,
            "fingerprint": None if folder is None else fingerprint(folder),
            "architecture": type(self._model).__name__,
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "attention": self._model.config._attn_implementation,
            "max_model_len": self._max_model_len,
            "batch_size": self._batch_size,
            "mm_processor_kwargs": self._image_settings,
            "hardware": hardware,
        }

    @property
    def capacity(self) -> int:
        """A batch."""
        return self._batch_size

    def answer(self, batch: list[Request]) -> list[Response]:
        """Answers to a batch; where it fails, to each half of it, down to the request that is at fault.

        Raises:
            EngineError: the accelerator failed in a way that no later request survives.
        """
        import torch

        begin = perf_counter()
        try:
            return self._ask(batch, begin)
        except getattr(torch, "AcceleratorError", ()) as error:
            raise EngineError(one_line(error)) from error
        except Exception as error:
            failed = error
        if isinstance(failed, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        if len(batch) == 1:
            return [Response(batch[0].key, "", "error", error=one_line(failed))]
        half = len(batch) // 2
        return self.answer(batch[:half]) + self.answer(batch[half:])

    def _ask(self, batch: Sequence[Request], begin: float) -> list[Response]:
        texts = [self._chat(request) for request in batch]
        images = [[draw() for draw in request.images] for request in batch]
        inputs = self._inputs(texts, images)
        lengths = inputs["attention_mask"].sum(1).tolist()
        fitting = [i for i, length in enumerate(lengths) if length < self._max_model_len]
        refused = [
            f"the prompt has {length} tokens and leaves no room for an answer within {self._max_model_len} tokens"
            for length in lengths
        ]
        responses = [
            Response(request.key, "", "error", length, error=why)
            for request, length, why in zip(batch, lengths, refused, strict=True)
        ]
        if not fitting:
            return responses
        if len(fitting) < len(batch):
            inputs = self._inputs([texts[i] for i in fitting], [images[i] for i in fitting])
        limits = [min(self._sampling.max_tokens, self._max_model_len - lengths[i]) for i in fitting]
        rows = self._decode(inputs, max(limits), [batch[i].seed for i in fitting])
        seconds = perf_counter() - begin
        for i, row, limit in zip(fitting, rows, limits, strict=True):
            tokens, reason = self._cut(row, limit)
            # an answer that breaks off within a character ends before it, as under vLLM
            text = self._tokenizer.decode(tokens, skip_special_tokens=True).rstrip("\ufffd")
            responses[i] = Response(batch[i].key, text, reason, lengths[i], len(tokens), seconds)
        return responses

    def _chat(self, request: Request) -> str:
        chat = [turn.message() for turn in request.turns]
        return str(self._processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    def _inputs(self, texts: list[str], images: Sequence[Sequence[Any]]) -> Any:
        """Model inputs, left-padded, of texts and the pictures of each, uint8 (height, width, 3)."""
        from PIL import Image

        pictures = [Image.fromarray(image) for of_text in images for image in of_text]
        about_images = {"images": pictures, "images_kwargs": self._image_settings} if pictures else {}
        return self._processor(text=texts, padding=True, padding_side="left", return_tensors="pt", **about_images)

    def _decode(self, inputs: Any, limit: int, seeds: Sequence[int]) -> list[list[int]]:
        """New tokens of each row, up to the longest row's end."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        model, sampling = self._model, self._sampling
        inputs = inputs.to(model.device)
        plain = sampling.temperature == 0 and sampling.repetition_penalty == 1
        decoder = [] if plain else [GumbelDecoder(sampling, seeds, inputs["attention_mask"])]
        settings = GenerationConfig(
            do_sample=False,
            num_beams=1,
            max_new_tokens=limit,
            eos_token_id=sorted(self._ends) or None,
            pad_token_id=self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else 0,
            use_cache=True,
        )
        with inference_mode(model), torch.no_grad():
            output = model.generate(
                **inputs,
                generation_config=settings,
                logits_processor=LogitsProcessorList(decoder),
                synced_gpus=self._lockstep,
            )
        rows: list[list[int]] = output[:, inputs["input_ids"].shape[1] :].tolist()
        return rows

    def _cut(self, row: list[int], limit: int) -> tuple[list[int], FinishReason]:
        """The tokens of one answer, its end token included, and why it ended."""
        for i, token in enumerate(row[:limit]):
            if token in self._ends:
                return row[: i + 1], "stop"
        return row[:limit], "length"


@contextmanager
def inference_mode(model: Any) -> Iterator[None]:
    """The model in evaluation mode, without generation settings of its own; afterwards as it was."""
    from transformers import GenerationConfig

    modules = list(model.modules())
    modes = [module.training for module in modules]
    # Qwen-VL models keep the last prompt's offsets of rotary positions for the next step of the same generation
    offsets = [(module, module.rope_deltas) for module in modules if "rope_deltas" in vars(module)]
    settings = model.generation_config
    model.eval()
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = settings
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for module, offset in offsets:
            module.rope_deltas = offset


def _check_arguments(config: BackendConfig) -> None:
    refuse_run_settings(config.engine_args)
    for key, value in config.engine_args.items():
        if key not in ARGUMENTS:
            near = "".join(f"did you mean {name}? " for name in get_close_matches(key, ARGUMENTS, 1))
            raise UserError(
                f"{option(f'engine.{key}', '...')}: no such argument; {near}choose from {', '.join(ARGUMENTS)}"
            )
        if key in ("batch_size", "max_model_len") and not (isinstance(value, int) and value >= 1):
            raise UserError(f"{option(f'engine.{key}', value)}: must be a whole number above 0")
        if key == "dtype" and value not in DTYPES:
            raise UserError(f"{option('engine.dtype', value)}: choose from {', '.join(DTYPES)}")


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer: the tokenizer's and those of the checkpoint's generation settings."""
    ends = model.generation_config.eos_token_id
    tokens = {tokenizer.eos_token_id, *(ends if isinstance(ends, list | tuple) else [ends])}
    return frozenset(int(token) for token in tokens if token is not None)


def _refusal(config: BackendConfig, error: Exception) -> UserError:
    """What to tell a user whose model or engine argument transformers or torch did not accept."""
    reason = one_line(error)
    if about_code := code_refusal(config, error):
        return about_code
    for key in ("device", "attn_implementation", "revision"):
        value = config.engine_args.get(key)
        if value is not None and (str(value) in reason or key in reason):
            return UserError(f"{option(f'engine.{key}', value)}: {reason}")
    return UserError(f"{option('model', config.model)}: transformers cannot load it: {reason}", Exit.ENGINE)
