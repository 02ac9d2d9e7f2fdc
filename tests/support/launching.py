"""Processes of one training, started as a launcher starts them, but from a server that has imported TRL before."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from typing import Any


def trainers() -> ForkServerContext:
    """Processes of their own that need not import TRL each."""
    context = get_context("forkserver")
    context.set_forkserver_preload(
        ["support.without_vllm", "mgsd_baselines.training.sft", "mgsd_baselines.training.self_distill"]
    )
    return context


def launch(
    context: ForkServerContext,
    target: Callable[..., None],
    *args: Any,
    processes: int = 2,
    environ: Mapping[str, str] | None = None,
) -> list[int]:
    """Run a function in several processes that are to make one training; their exit codes.

    Args:
        context: from :func:`trainers`.
        target: the function.
        args: its arguments.
        processes: how many.
        environ: more of the environment, or other than what a launcher sets.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(processes):
        variables = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            **(environ or {}),
        }
        started.append(context.Process(target=_as_rank, args=(variables, target, args)))
        started[-1].start()
    for process in started:
        process.join(300)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in started]


def _as_rank(variables: Mapping[str, str], target: Callable[..., None], args: tuple[Any, ...]) -> None:
    import torch

    os.environ.update(variables)
    torch.set_num_threads(1)
    target(*args)
