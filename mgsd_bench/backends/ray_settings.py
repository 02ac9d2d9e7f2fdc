"""What ``engine`` sets for the ray backend, and what it hands on to the engines that answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from mgsd_bench.backends import BackendConfig
from mgsd_bench.backends.shared import refuse_run_settings
from mgsd_bench.config.fields import Amount, Bounds, Check, Count
from mgsd_bench.config.layers import Key, Layers, Option
from mgsd_bench.config.validate import validate
from mgsd_bench.errors import UserError, option

INNER = ("vllm", "hf", "scripted")
"""Backends that a worker can hold."""

_ADDRESS = re.compile(r"auto|local|(?:ray://)?[\w.-]+:\d{1,5}|(?:ray://)?\[[0-9a-fA-F:]+\]:\d{1,5}")


def _address_problem(text: str) -> str | None:
    if _ADDRESS.fullmatch(text):
        return None
    return "auto, local, HOST:PORT (mostly 6379) or ray://HOST:PORT (mostly 10001)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RayArguments:
    """The engine arguments of the ray backend itself; all others are those of the backend that answers.

    Attributes:
        of: the backend that answers, in each worker.
        address: ``auto``, the cluster that this machine is in, or that ``RAY_ADDRESS`` names; ``local``, a cluster of
            this machine alone, which ends with the run; ``HOST:PORT`` of a cluster's head, from one of its machines;
            ``ray://HOST:PORT`` of its client server, from any machine.
        workers: how many engines; those that the cluster has no room for yet start once it has. None: as many as its
            GPUs are enough for, at least one.
        gpus: GPUs of a worker. None: what its engine is split over where the cluster has GPUs, and no model is
            scripted; else 0.
        cpus: CPUs of a worker.
        patience: seconds to wait for the cluster to have room for a first worker, and for another one once all are
            lost.
    """

    of: Literal["vllm", "hf", "scripted"] = "vllm"
    address: Annotated[str, Check(_address_problem)] = "auto"
    workers: Count | None = None
    gpus: Amount | None = None
    cpus: Annotated[float, Bounds(above=0)] = 1.0
    patience: Amount = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings(RayArguments):
    """How workers are held.

    Attributes:
        inner: what the backend in each worker gets.
        split: over how many GPUs an engine is split.
    """

    inner: BackendConfig = field(repr=False)
    split: int


def names_cluster(engine_args: object) -> bool:
    """Whether these name a cluster by its address, which a file of settings must not: whoever sent it would decide
    whose machines hand objects of Python to this one."""
    address = engine_args.get("address") if isinstance(engine_args, Mapping) else None
    return address not in (None, "auto", "local")


def inner_name(engine_args: Mapping[str, Any]) -> str:
    """The backend that answers in each worker."""
    return str(engine_args.get("of", RayArguments.__dataclass_fields__["of"].default))


def read_settings(config: BackendConfig) -> RaySettings:
    """The settings that engine arguments give.

    Raises:
        UserError: an argument is unknown or out of range, or asks for what workers cannot do.
    """
    own = {name: value for name, value in config.engine_args.items() if name in RayArguments.__dataclass_fields__}
    rest = {name: value for name, value in config.engine_args.items() if name not in own}
    if own.get("of") in ("openai", "recorded", "ray"):
        hint = "servers are many machines' already" if own["of"] == "openai" else "it needs no workers"
        raise UserError(f"{option('engine.of', own['of'])}: {hint}; use {option('backend', own['of'])} by itself")
    origins: dict[Key, str] = {(): option("engine")}
    for name, value in own.items():
        shown = "..." if name == "address" and "@" in str(value) else value  # a password, which no address takes
        origins[(name,)] = Option(option(f"engine.{name}", shown))
    given = validate(RayArguments, Layers(own, origins))
    split = _split(given, rest)
    if rest and given.of == "scripted":
        raise UserError(f"{option(f'engine.{min(rest)}', '...')}: a scripted model takes no such argument")
    refuse_run_settings(rest)
    if split > 1:
        rest["distributed_executor_backend"] = "mp"  # Ray holds the workers, and none of what they are made of
    model = config.model
    if given.of != "scripted" and Path(model).exists():
        model = str(Path(model).resolve())  # a worker has a working directory of its own
    inner = replace(config, model=model, engine_args=rest)
    return RaySettings(**asdict(given), inner=inner, split=split)


def _split(given: RayArguments, rest: Mapping[str, Any]) -> int:
    """Over how many GPUs each engine is split."""
    if rest.get("data_parallel_size", 1) != 1:
        name = option("engine.data_parallel_size", rest["data_parallel_size"])
        raise UserError(f"{name}: a worker is one engine; use {option('engine.workers', '...')} for copies")
    if rest.get("distributed_executor_backend", "mp") != "mp":
        name = option("engine.distributed_executor_backend", rest["distributed_executor_backend"])
        raise UserError(f"{name}: the GPUs of a worker are those of one machine, by mp; leave it out")
    split = 1
    for name in ("tensor_parallel_size", "pipeline_parallel_size"):
        value = rest.get(name, 1)
        if type(value) is not int or value < 1:
            raise UserError(f"{option(f'engine.{name}', value)}: must be a whole number of at least 1")
        split *= value
    if split > 1 and given.gpus not in (None, 0, split):
        raise UserError(f"{option('engine.gpus', given.gpus)}: an engine that is split over {split} GPUs needs {split}")
    return split
