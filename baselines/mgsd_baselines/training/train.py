"""Running a recipe: stage after stage, each from rows to a finished checkpoint folder.

::

    OUT/recipe.json          the recipe, as it was resolved
    OUT/tiny/                the untrained model, where the recipe's base is "tiny"
    OUT/<stage>/             a finished checkpoint: weights, tokenizer, processor, adapter/, training.json
    OUT/<stage>/checkpoints/ what the trainer resumes from, and how many processes write it
    OUT/<stage>/metrics.jsonl
"""

from __future__ import annotations

import errno
import gc
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object
from torch import PyTorchFileReader
from transformers import set_seed
from transformers.trainer import TRAINER_STATE_NAME

from mgsd_baselines.data.dataset import as_dataset, counts, rows_digest, stage_rows, val_episodes
from mgsd_baselines.recipe import REWARDS, DataSpec
from mgsd_baselines.training.callbacks import MetricsFile, Progress, Throughput, quiet
from mgsd_baselines.training.launch import check_launch, hush, locally_first, processes, together, uses_gpu
from mgsd_baselines.training.models import (
    ADAPTER,
    DTYPES,
    adapt,
    finish,
    load_model,
    load_processor,
    native_precision,
    resolve_model,
)
from mgsd_baselines.training.safety import told
from mgsd_baselines.training.trainers import TrainerParts, stage_trainer, trainer_config
from mgsd_baselines.training.validation import make_validator
from mgsd_bench.backends.checkpoints import fingerprint
from mgsd_bench.backends.model_card import CARD
from mgsd_bench.errors import UserError, option
from mgsd_bench.files import sole_user, write_whole
from mgsd_bench.runs.provenance import now, provenance

if TYPE_CHECKING:
    from transformers import Trainer

    from mgsd_baselines.recipe import Recipe, Stage

PACKAGES = ("accelerate", "datasets", "peft", "trl")
_PROCESSES = "processes"


def train(recipe: Recipe, out: Path, *, resume: bool = False, report: Callable[[str], None] = print) -> Path:
    """Run all stages of a recipe.

    Args:
        recipe: what to do.
        out: folder for everything that comes of it.
        resume: go on where an earlier run of the same recipe stopped: finished stages are kept, an unfinished one
            continues from its last checkpoint.
        report: told in one line what happens.

    Returns:
        The folder of the last stage's finished checkpoint.

    Of several processes that a launcher started, each calls this with the same arguments; the first alone writes and
    reports.

    Raises:
        UserError: a launch that cannot train; ``out`` holds something else or, without ``resume``, anything, or another
            launch is at work in it; the model does not load. Of several processes one raises it, the others
            :class:`~mgsd_baselines.training.launch.ToldElsewhereError`.
    """
    if not recipe.stages:
        raise UserError(f"{recipe.name}: no stage to run")
    check_launch(recipe, os.environ, torch.cuda.device_count() if uses_gpu() else None)
    state = processes()
    hush()
    if not state.is_main_process:
        report = _say_nothing
    with ExitStack() as held:
        together(lambda: held.enter_context(_entered(recipe, out, resume)) if state.is_main_process else None)
        return _stages(recipe, out, report)


def _stages(recipe: Recipe, out: Path, report: Callable[[str], None]) -> Path:
    state = processes()
    folders: dict[str, Path] = {}
    finished = out
    for stage in recipe.stages:
        folder = out / stage.name
        if (folder / "training.json").is_file():
            if state.is_main_process:
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # of a process that was killed as it did this
            report(f"{stage.name}: finished before, in {folder}")
        else:
            with told(stage.name, out, partial(last_checkpoint, folder / "checkpoints", state.num_processes)):
                start = str(finished) if folders else locally_first(partial(_first_model, recipe, out))
                _run(recipe, stage, folder, start=start, folders=folders, report=report)
            gc.collect()  # a trainer and its model refer to each other
            torch.cuda.empty_cache()
        folders[stage.name] = finished = folder
    return finished


def _first_model(recipe: Recipe, out: Path) -> str:
    return resolve_model(recipe.start or recipe.base, recipe, out)


def _say_nothing(line: str) -> None:
    """What processes but the first report."""


@contextmanager
def _entered(recipe: Recipe, out: Path, resume: bool) -> Iterator[None]:
    """Have a folder for this launch alone."""
    _claim(recipe, out, resume)
    with ExitStack() as held:
        try:
            held.enter_context(sole_user(out / "recipe.json"))
        except OSError as error:
            raise UserError(
                f"{option('out', out)}: another launch is training into it; wait for its end, or name another folder"
                if error.errno == errno.EWOULDBLOCK
                else f"{option('out', out)}: cannot be written ({error.strerror or error})"
            ) from error
        yield


def _claim(recipe: Recipe, out: Path, resume: bool) -> None:
    file = out / "recipe.json"
    if file.is_file():
        if not resume:
            raise UserError(
                f"{option('out', out)}: holds a training; add {option('resume', True)} to go on with it, or name "
                "another folder"
            )
        if _recipe_of(file) != recipe.to_json():
            raise UserError(
                f"{option('resume', True)}: the training in {out} has another recipe; name another folder with "
                f"{option('out')}"
            )
        return
    try:
        if out.is_dir() and {entry.name for entry in out.iterdir()} - {f".{file.name}.tmp"}:
            raise UserError(f"{option('out', out)}: not empty, and no training; name another folder")
        out.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(recipe.to_json(), indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{option('out', out)}: cannot be written ({error.strerror or error})") from error


def _recipe_of(file: Path) -> Any:
    """The recipe of a training that is there; those of release 0.1 say nothing of what came after it."""
    stored = json.loads(file.read_text())
    stored.setdefault("vocabulary", [])
    for part in (stored, *stored.get("stages", ())):
        part["data"].setdefault("split_by", "state")
        part["data"].setdefault("astray", DataSpec().astray)
        if part.get("grpo"):
            part["grpo"]["rewards"] = dict.fromkeys(REWARDS, 0.0) | part["grpo"]["rewards"]
    return stored


def _run(
    recipe: Recipe,
    stage: Stage,
    folder: Path,
    *,
    start: str,
    folders: Mapping[str, Path],
    report: Callable[[str], None],
) -> None:
    state = processes()
    began, clock = now(), time.monotonic()
    checkpoints = folder / "checkpoints"
    going_on = together(lambda: _checkpoint(checkpoints, state.num_processes))
    rows = together(lambda: stage_rows(stage, recipe))
    report(f"{stage.name}: {len(rows)} rows, from {start}")
    set_seed(recipe.seed)
    precision = native_precision(recipe.precision)
    if precision != recipe.precision:
        report(f"{stage.name}: trains in {precision}, since this CPU has no {recipe.precision} arithmetic of its own")
    stored, computed = DTYPES[recipe.precision], DTYPES[precision]
    # weights that are trained are kept in float32; those under an adapter are only read
    weights = computed if stage.tuning else torch.float32
    base, adapter = together(lambda: _base_and_adapter(recipe, stage, start))
    other = locally_first(lambda: _teacher(recipe, stage, folders, folder.parent))
    model, processor, teacher = together(
        lambda: (
            load_model(base, dtype=weights, attention=recipe.attention),
            load_processor(start),
            other and load_model(other, dtype=weights, attention=recipe.attention),
        )
    )
    parts = TrainerParts(
        adapt(model, stage.tuning, adapter),
        processor,
        as_dataset(rows, stage.data.image_size),
        trainer_config(recipe, stage, folder, precision),
        [Throughput(), MetricsFile(folder / "metrics.jsonl"), Progress(stage.name, report)],
    )
    validator = together(
        lambda: make_validator(
            stage.validation,
            val_episodes(stage.data, stage.validation.count),
            recipe.prompts,
            image_size=stage.data.image_size,
            seed=recipe.seed,
        )
    )
    trainer = stage_trainer(stage, parts, lengths=[row.length for row in rows], teacher=teacher, validator=validator)
    quiet(trainer)
    if state.is_main_process:
        checkpoints.mkdir(parents=True, exist_ok=True)
        write_whole(checkpoints / _PROCESSES, f"{state.num_processes}\n")
    trainer.train(resume_from_checkpoint=gather_object([going_on])[0])
    trained = checkpoints / "trained"
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(str(trained))  # on all processes: weights may be sharded over them
    if state.is_main_process:
        finish(trained, base, processor, folder, stored)
        record = {
            "recipe": recipe.to_json(),
            "stage": stage.name,
            "start": {
                "model": Path(start).name if Path(start).is_dir() else start,
                "fingerprint": fingerprint(Path(start)) if Path(start).is_dir() else None,
            },
            "data": {"rows": len(rows), "digest": rows_digest(rows), "counts": counts(rows)},
            "precision": precision,
            "processes": state.num_processes,
            "sharded": trainer.is_fsdp_enabled,
            "steps": trainer.state.global_step,
            "best": {"step": trainer.state.best_global_step, "macro": trainer.state.best_metric},
            "metrics": _last_metrics(trainer),
            "began": began,
            "seconds": round(time.monotonic() - clock, 1),
            "provenance": provenance(PACKAGES),
        }
        write_whole(
            folder / CARD, f"prompts: {json.dumps(recipe.prompts)}\nmax_tokens: {stage.validation.max_tokens}\n"
        )
        write_whole(folder / "training.json", json.dumps(record, indent=2) + "\n")
        shutil.rmtree(checkpoints, ignore_errors=True)
    state.wait_for_everyone()
    report(f"{stage.name}: {folder} after {trainer.state.global_step} steps")


def _checkpoint(folder: Path, processes: int) -> str | None:
    """Where a stage goes on; None at its beginning.

    Raises:
        UserError: it was trained by another number of processes, whose random states are not to be shared out anew.
    """
    checkpoint = last_checkpoint(folder, processes)
    with suppress(OSError, ValueError):  # release 0.1 wrote no number
        before = int((folder / _PROCESSES).read_text())
        if before != processes and any(folder.glob("checkpoint-*")):
            raise UserError(
                f"{option('resume', True)}: {folder.parent} was trained by {before} processes, and this launch has "
                f"{processes}; launch as many"
            )
    return checkpoint


def last_checkpoint(folder: Path, processes: int = 1) -> str | None:
    """The newest checkpoint that was written to its end: the trainer's state comes last, and in place.

    Args:
        folder: where a trainer keeps its checkpoints; it need not be there.
        processes: how many wrote it; all but the first may still have been at it.
    """
    steps = [path.name.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*")]
    for step in sorted(map(int, filter(str.isdecimal, steps)), reverse=True):
        path = folder / f"checkpoint-{step}"
        with suppress(OSError, ValueError, RuntimeError):
            json.loads((path / TRAINER_STATE_NAME).read_bytes())
            for rank in range(processes if processes > 1 else 0):
                PyTorchFileReader(str(path / f"rng_state_{rank}.pth"))  # raises where the end is missing
            return str(path)
    return None


def _base_and_adapter(recipe: Recipe, stage: Stage, start: str) -> tuple[str, Path | None]:
    """The weights to load and the adapter to put on them: an adapter goes on being trained on its own base."""
    adapter = Path(start) / ADAPTER
    if stage.tuning is None or not adapter.is_dir():
        return start, None
    config = json.loads((adapter / "adapter_config.json").read_text())
    if config["r"] != stage.tuning.rank:
        raise UserError(
            f"{recipe.name}: stage {stage.name} tunes an adapter of rank {stage.tuning.rank} but starts from one of "
            f"rank {config['r']}; give both stages the same rank"
        )
    return str(config["base_model_name_or_path"]), adapter


def _teacher(recipe: Recipe, stage: Stage, folders: Mapping[str, Path], out: Path) -> str | None:
    """What to load for the separate teacher of a stage; None where the student without its adapter is the teacher."""
    if stage.distill is None or (stage.distill.teacher.model is None and stage.tuning):
        return None
    name = stage.distill.teacher.model or recipe.base
    return str(folders[name]) if name in folders else resolve_model(name, recipe, out)


def _last_metrics(trainer: Trainer) -> dict[str, float]:
    last: dict[str, float] = {}
    for entry in trainer.state.log_history:
        last.update({key: value for key, value in entry.items() if isinstance(value, float) and math.isfinite(value)})
    return last
