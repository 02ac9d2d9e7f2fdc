"""One training by several processes: what a launcher started, checked before anything is loaded.

``torchrun`` and ``accelerate launch`` start one process a device and say in the environment which each is. Those make
one training: gradients are averaged over them (DDP) or, where ``accelerate`` is told to shard, weights, gradients and
optimiser are spread over them (FSDP, version 2). Process 0 writes and speaks.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, gather_object
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import logging

from mgsd_baselines.data.examples import TEXT_KINDS
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.prompts import WITH_IMAGE

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from mgsd_baselines.recipe import Recipe, Stage

T = TypeVar("T")

_LOCALLY = ("LOCAL_RANK", "LOCAL_WORLD_SIZE")
_NEEDED = ("RANK", "WORLD_SIZE", *_LOCALLY, "MASTER_ADDR", "MASTER_PORT")
_LAUNCHERS = "start it with torchrun or accelerate launch, which set them all"


class ToldElsewhereError(UserError):
    """A mistake that another process of the same launch tells the user of."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launcher says of the processes that it started.

    Attributes:
        processes: how many make the training.
        local: how many of them are on this machine.
        local_rank: number of this one among those.
        sharded: whether weights are to be spread over them.
    """

    processes: int = 1
    local: int = 1
    local_rank: int = 0
    sharded: bool = False


def uses_gpu() -> bool:
    """Whether training runs on GPUs: there is one, and the launcher was not told to leave it alone."""
    return torch.cuda.is_available() and not _is_on(os.environ, "ACCELERATE_USE_CPU")


def processes() -> PartialState:
    """The processes that make this training; the first call joins them."""
    return PartialState(cpu=not uses_gpu())


def check_launch(recipe: Recipe, environ: Mapping[str, str], gpus: int | None) -> Launch:
    """Read what was launched, and refuse what cannot train.

    Args:
        recipe: what is to be trained.
        environ: the environment of this process.
        gpus: GPUs that it sees; None where training runs on the CPU.

    Raises:
        UserError: variables of a launcher that contradict each other, more processes than GPUs, a stage whose batch the
            processes cannot share out, the first version of FSDP, or a stage that mixes rows with and without pictures
            where weights are sharded. :class:`ToldElsewhereError` on all processes of a machine but its first.
    """
    try:
        launch = _read(environ)
        if gpus is not None and launch.local > gpus:
            raise UserError(
                f"{launch.local} processes on this machine and {gpus} {'GPU' if gpus == 1 else 'GPUs'}: each process "
                f"needs one of its own; launch at most {gpus}"
            )
        for stage in recipe.stages:
            accumulation(recipe, stage, launch.processes)
            if launch.sharded:
                _check_sharded(recipe, stage)
    except UserError as error:
        if environ.get("LOCAL_RANK", "0") == "0":
            raise
        raise ToldElsewhereError(error.message, error.code) from None
    return launch


def accumulation(recipe: Recipe, stage: Stage, processes: int) -> int:
    """Micro-batches of one process in an optimiser step.

    Raises:
        UserError: the batch cannot be shared out among micro-batches and processes.
    """
    steps, rest = divmod(stage.batch, stage.micro_batch * processes)
    if rest or not steps:
        raise UserError(
            f"{recipe.name}: batch {stage.batch} of stage {stage.name} is no multiple of micro_batch "
            f"{stage.micro_batch} on {processes} processes"
        )
    return steps


def together(work: Callable[[], T]) -> T:
    """Do on every process what a mistake of the user's can make fail; where it fails on one, it fails on all.

    Raises:
        UserError: of the first process that has one; on the others :class:`ToldElsewhereError`.
    """
    result: list[T] = []
    own: UserError | None = None
    try:
        result.append(work())
    except UserError as error:
        own = error
    mistakes = gather_object([None if own is None else (own.message, int(own.code))])
    found = [(rank, mistake) for rank, mistake in enumerate(mistakes) if mistake]
    if not found:
        return result[0]
    rank, (message, code) = found[0]
    if own is not None and rank == processes().process_index:
        raise own
    raise ToldElsewhereError(message, Exit(code))


def locally_first(work: Callable[[], T]) -> T:
    """Do on one process of each machine, and then on all, what leaves a file that is not made again."""
    first = processes().is_local_main_process
    together(lambda: work() if first else None)
    return together(work)


def hush() -> None:
    """Keep what libraries log and warn of to the first process."""
    logging.disable_progress_bar()
    if not processes().is_main_process:
        logging.set_verbosity_error()
        warnings.filterwarnings("ignore")


class Sharding(Trainer):  # type: ignore[misc]
    """Put before a trainer, mends what keeps it from sharding.

    accelerate shards on accelerators alone: on CPUs it leaves the model whole, and says nothing. transformers takes a
    checkpoint for the best one if its folder is there, which a sharded one's may be for some processes and not yet for
    others: they would then wait for each other for ever.
    """

    def create_accelerator_and_postprocess(self) -> None:
        """Let accelerate take processes on CPUs for ones that it can shard over."""
        state = PartialState()
        if state.distributed_type == DistributedType.MULTI_CPU and _is_on(os.environ, "ACCELERATE_USE_FSDP"):
            state.distributed_type = DistributedType.MULTI_GPU
        super().create_accelerator_and_postprocess()

    def _save_checkpoint(self, model: PreTrainedModel, trial: object) -> None:
        if self.args.should_save:
            name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            Path(self.args.output_dir, name).mkdir(parents=True, exist_ok=True)
        super()._save_checkpoint(model, trial)


def _read(environ: Mapping[str, str]) -> Launch:
    sharded = _is_on(environ, "ACCELERATE_USE_FSDP")
    if sharded and environ.get("FSDP_VERSION", "1") != "2":
        raise UserError("FSDP_VERSION: only version 2 is supported; set fsdp_version: 2 in accelerate's configuration")
    if "RANK" not in environ and "WORLD_SIZE" not in environ and "LOCAL_RANK" not in environ:
        return Launch(sharded=sharded)
    if missing := [name for name in _NEEDED if not environ.get(name)]:
        there = [name for name in _NEEDED if environ.get(name)]
        raise UserError(f"{', '.join(there)} set, but not {', '.join(missing)}: {_LAUNCHERS}, or unset them")
    numbers = {}
    for name in ("RANK", "WORLD_SIZE", *_LOCALLY):
        if not re.fullmatch("[0-9]{1,9}", environ[name]):
            raise UserError(f"{name}={environ[name]} is no number: {_LAUNCHERS}")
        numbers[name] = int(environ[name])
    for rank, size in (("RANK", "WORLD_SIZE"), _LOCALLY, ("LOCAL_RANK", "RANK"), ("LOCAL_WORLD_SIZE", "WORLD_SIZE")):
        most = numbers[size] - (size.endswith("SIZE") and rank.endswith("RANK"))
        if numbers[rank] > most:
            raise UserError(f"{rank}={numbers[rank]} and {size}={numbers[size]} contradict each other: {_LAUNCHERS}")
    return Launch(numbers["WORLD_SIZE"], numbers["LOCAL_WORLD_SIZE"], numbers["LOCAL_RANK"], sharded)


def _check_sharded(recipe: Recipe, stage: Stage) -> None:
    """A process whose rows have no pictures would not ask for the vision tower's shards, for which others wait."""
    rows = {kind in TEXT_KINDS for kind, share in stage.rows.items() if share}
    asked = {condition in WITH_IMAGE for condition in stage.validation.conditions} if stage.validation.count else ()
    for name, sorts in (("rows", rows), ("validation.conditions", asked)):
        if len(sorts) > 1:
            raise UserError(
                f"{recipe.name}: {name} of stage {stage.name} are with and without pictures, which does not go with "
                "sharded weights (FSDP); leave out one sort, or launch it without sharding"
            )


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in ("1", "true", "yes", "on")
