"""Running a recipe: stage after stage, each from rows to a finished checkpoint folder.

::

    OUT/recipe.json          the recipe, as it was resolved
    OUT/tiny/                the untrained model, where the recipe's base is "tiny"
    OUT/<stage>/             a finished checkpoint: weights, tokenizer, processor, adapter/, training.json
    OUT/<stage>/checkpoints/ what the trainer resumes from
    OUT/<stage>/metrics.jsonl
"""

from __future__ import annotations

import gc
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from transformers import set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import logging

from mgsd_baselines.data.dataset import as_dataset, counts, rows_digest, stage_rows, val_episodes
from mgsd_baselines.recipe import DataSpec
from mgsd_baselines.training.callbacks import MetricsFile, Progress, Throughput, quiet
from mgsd_baselines.training.models import ADAPTER, adapt, finish, load_model, load_processor, resolve_model
from mgsd_baselines.training.trainers import TrainerParts, stage_trainer, trainer_config
from mgsd_baselines.training.validation import make_validator
from mgsd_bench.backends.checkpoints import fingerprint
from mgsd_bench.backends.model_card import CARD
from mgsd_bench.errors import UserError, option
from mgsd_bench.files import write_whole
from mgsd_bench.runs.provenance import now, provenance

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer

    from mgsd_baselines.recipe import Recipe, Stage

PACKAGES = ("accelerate", "datasets", "peft", "trl")


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

    Raises:
        UserError: ``out`` holds something else or, without ``resume``, anything; the model does not load.
    """
    logging.disable_progress_bar()
    state = PartialState()
    if state.is_main_process:
        _claim(recipe, out, resume)
    state.wait_for_everyone()
    folders: dict[str, Path] = {}
    previous: Path | None = None
    for stage in recipe.stages:
        folder = out / stage.name
        if (folder / "training.json").is_file():
            if state.is_main_process:
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # of a process that was killed as it did this
            report(f"{stage.name}: finished before, in {folder}")
        else:
            with state.local_main_process_first():
                start = str(previous) if previous else resolve_model(recipe.start or recipe.base, recipe, out)
            _run(recipe, stage, folder, start=start, folders=folders, report=report)
            gc.collect()  # a trainer and its model refer to each other
            torch.cuda.empty_cache()
        folders[stage.name] = previous = folder
    if previous is None:
        raise UserError(f"{recipe.name}: no stage to run")
    return previous


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
            part["grpo"]["rewards"].setdefault("progress", 0.0)
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
    state = PartialState()
    began, clock = now(), time.monotonic()
    rows = stage_rows(stage, recipe)
    report(f"{stage.name}: {len(rows)} rows, from {start}")
    set_seed(recipe.seed)
    base, adapter = _base_and_adapter(recipe, stage, start)
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    # weights that are trained are kept in float32; those under an adapter are only read
    weights = dtype if stage.tuning else torch.float32
    model = load_model(base, dtype=weights, attention=recipe.attention)
    processor = load_processor(start)
    parts = TrainerParts(
        adapt(model, stage.tuning, adapter),
        processor,
        as_dataset(rows, stage.data.image_size),
        trainer_config(recipe, stage, folder),
        [Throughput(), MetricsFile(folder / "metrics.jsonl"), Progress(stage.name, report)],
    )
    validator = make_validator(
        stage.validation,
        val_episodes(stage.data, stage.validation.count),
        recipe.prompts,
        image_size=stage.data.image_size,
        seed=recipe.seed,
    )
    trainer = stage_trainer(
        stage,
        parts,
        lengths=[row.length for row in rows],
        teacher=_teacher(recipe, stage, folders, weights, folder.parent),
        validator=validator,
    )
    quiet(trainer)
    trainer.train(resume_from_checkpoint=last_checkpoint(folder / "checkpoints"))
    trained = folder / "checkpoints" / "trained"
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(str(trained))  # on all processes: weights may be sharded over them
    if state.is_main_process:
        finish(trained, base, processor, folder, dtype)
        record = {
            "recipe": recipe.to_json(),
            "stage": stage.name,
            "start": {
                "model": Path(start).name if Path(start).is_dir() else start,
                "fingerprint": fingerprint(Path(start)) if Path(start).is_dir() else None,
            },
            "data": {"rows": len(rows), "digest": rows_digest(rows), "counts": counts(rows)},
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
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    state.wait_for_everyone()
    report(f"{stage.name}: {folder} after {trainer.state.global_step} steps")


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: the trainer's state comes last, and in place.

    Args:
        folder: where a trainer keeps its checkpoints; it need not be there.
    """
    steps = [path.name.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*")]
    for step in sorted(map(int, filter(str.isdecimal, steps)), reverse=True):
        path = folder / f"checkpoint-{step}"
        with suppress(OSError, ValueError):
            json.loads((path / TRAINER_STATE_NAME).read_bytes())
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


def _teacher(
    recipe: Recipe, stage: Stage, folders: Mapping[str, Path], weights: torch.dtype, out: Path
) -> PreTrainedModel | None:
    """The separate teacher of a stage; None where the student without its adapter is the teacher."""
    if stage.distill is None or (stage.distill.teacher.model is None and stage.tuning):
        return None
    name = stage.distill.teacher.model or recipe.base
    path = str(folders[name]) if name in folders else resolve_model(name, recipe, out)
    return load_model(path, dtype=weights, attention=recipe.attention)


def _last_metrics(trainer: Trainer) -> dict[str, float]:
    last: dict[str, float] = {}
    for entry in trainer.state.log_history:
        last.update({key: value for key, value in entry.items() if isinstance(value, float) and math.isfinite(value)})
    return last
