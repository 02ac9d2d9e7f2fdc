"""What vLLM does not publish, all in this file: the engine behind ``vllm.LLM``, driven step by step.

``LLM`` publishes ``enqueue_chat``, which queues a request, and ``wait_for_completion``, which gives nothing back before
the last answer is there. Nothing public advances the queue by one step, takes a request back, gives an engine's memory
back or ends the wait for one whose process was killed.

Tried with vLLM 0.31 to 0.33: the engine tests pass under 0.31.0 and 0.32.0 (CPU), and 0.33.0 has the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from inspect import unwrap
from threading import Event, Thread
from typing import Any, cast

TRIED = "0.31 to 0.33"

_NEEDED = (
    ("vllm.entrypoints.llm", "LLM", ("llm_engine",)),
    ("vllm.v1.engine.llm_engine", "LLMEngine", ("step", "abort_request", "vllm_config", "engine_core")),
    ("vllm.v1.engine.core_client", "EngineCoreClient", ("shutdown",)),
    ("vllm.v1.engine.exceptions", "EngineDeadError", ()),
    ("vllm.distributed", "cleanup_dist_env_and_memory", ()),
    ("vllm.envs", "VLLM_ENABLE_V1_MULTIPROCESSING", ()),
)
_WATCHED = (
    ("vllm.v1.engine.core_client", "SyncMPClient", ("outputs_queue", "resources")),
    ("vllm.v1.engine.core_client", "BackgroundResources", ("engine_dead",)),
)


def missing_names(*, watch: bool = True) -> list[str]:
    """What the installed vLLM does not have of the names that this file uses; empty for the versions tried.

    Args:
        watch: also those without which all works, but the end of an engine's process is not seen.
    """
    return list(_missing([*_NEEDED, *_WATCHED] if watch else _NEEDED))


def _missing(names: Iterable[tuple[str, str, Sequence[str]]]) -> Iterator[str]:
    for module, name, fields in names:
        try:
            owner = getattr(import_module(module), name)
        except (ImportError, AttributeError):
            yield f"{module}.{name}"
            continue
        yield from (f"{module}.{name}.{field}" for field in fields if not _has(owner, field))


def _has(owner: type, name: str) -> bool:
    """Whether objects of a class have an attribute: one of the class, or one that a constructor sets."""
    constructors = [unwrap(vars(base)["__init__"]) for base in owner.__mro__ if "__init__" in vars(base)]
    return hasattr(owner, name) or any(
        name in init.__code__.co_names for init in constructors if hasattr(init, "__code__")
    )


class Engine:
    """The engine behind a ``vllm.LLM``."""

    def __init__(self, llm: Any) -> None:
        from vllm import envs

        self._engine = llm.llm_engine
        self._closed = Event()
        self._in_process = not envs.VLLM_ENABLE_V1_MULTIPROCESSING
        if not self._in_process:
            _wake_on_death(self._engine.engine_core, self._closed)

    @property
    def config(self) -> Any:
        """The ``VllmConfig`` that it runs with."""
        return self._engine.vllm_config

    def step(self) -> list[Any]:
        """Advance every queued request, and give back what there is to say about some of them (``RequestOutput``).

        Raises:
            Exception: whatever the step failed with; no queued request survives it.
        """
        outputs: list[Any] = self._engine.step()
        return outputs

    def abort(self, names: list[str]) -> None:
        """Take back requests, by the ids that their outputs carry."""
        self._engine.abort_request(names)

    def shutdown(self) -> None:
        """End the engine and give its memory back; a second call does nothing.

        ``LLM`` leaves it to the garbage collector, too late for a next engine's memory.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        self._engine.engine_core.shutdown()
        self._engine = None
        if self._in_process:
            from vllm.distributed import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()


def output_id(name: str) -> str:
    """The id that a request's outputs carry, from what ``enqueue_chat`` returns: the scheduler's ``<id>-<random>``."""
    return name.rsplit("-", 1)[0]


def dead_error() -> type[Exception]:
    """The exception that says that an engine has died."""
    from vllm.v1.engine.exceptions import EngineDeadError

    error: type[Exception] = EngineDeadError
    return error


def _wake_on_death(client: Any, closed: Event) -> None:
    """End the wait for an engine process that was killed, by the kernel for want of memory for one.

    The synchronous client of vLLM learns of such a death, but whoever waits for its next output waits forever. Left
    out where the fields that it needs are not there: an engine that lives works all the same.
    """
    queue, resources = getattr(client, "outputs_queue", None), cast(Any, getattr(client, "resources", None))
    if queue is None or not hasattr(resources, "engine_dead"):
        return
    dead = dead_error()

    def watch() -> None:
        while not closed.wait(1.0):
            if resources.engine_dead:
                queue.put(dead())
                return

    Thread(target=watch, name="mgsd-engine-watch", daemon=True).start()
