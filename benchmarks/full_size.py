"""Both stages at full size on one GPU: memory, speed and what they were estimated to be; a Markdown table on stdout.

The models have random weights and the released architecture; the settings are those of the shipped recipes, the rows
those that the recipes train on, and the trainers those that `mgsd-bench train` runs. Answers are held at one length,
since random weights do not end them. Every stage runs a second time with the plain form of its loss, which keeps the
logits of all tokens; the comparison is of the same steps on the same rows.
"""

from __future__ import annotations

import mgsd_baselines.training  # noqa: F401 - mends torchvision, before transformers imports it

# isort: split

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import TrainerCallback

from full_size_table import HEAD, Found, cells
from mgsd_baselines.data.dataset import as_dataset, stage_rows
from mgsd_baselines.data.examples import Example
from mgsd_baselines.estimate.estimate import GIB, Hardware, hardware_for, memory_of, peak_of, seconds_of
from mgsd_baselines.estimate.token_counts import Lengths, measure
from mgsd_baselines.recipe import Recipe, Stage
from mgsd_baselines.recipe_file import load_recipe
from mgsd_baselines.training.callbacks import quiet
from mgsd_baselines.training.models import adapt
from mgsd_baselines.training.self_distill import SelfDistillTrainer
from mgsd_baselines.training.sft import SortedSFTTrainer
from mgsd_baselines.training.train import PACKAGES
from mgsd_baselines.training.trainers import TrainerParts, distill_trainer, sft_trainer, trainer_config
from mgsd_bench.runs.provenance import provenance
from plain_losses import PlainDistill, PlainSFT
from stand_ins import StandIn, stand_in

TERAFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
"""Dense bf16 TFLOP/s by part of the device's name, from the makers' data sheets (SXM)."""
PLAIN_STEPS = 2
SIZES: dict[str, tuple[str, tuple[str, ...]]] = {
    "4b": ("mgsd-4b-lora", ()),
    "8b": ("mgsd-8b-lora", ()),
    "tiny": (
        "mgsd-4b-lora",
        (
            "base=tiny",
            "data.levels={frozenlake: [3, 4]}",
            *(
                f"stages.{stage}.{key}"
                for stage in ("cold-start", "self-distill")
                for key in ("batch=2", "micro_batch=1")
            ),
        ),
    ),
}
STAGES = ("cold-start", "self-distill")


@dataclass(slots=True)
class Steps(TrainerCallback):  # type: ignore[misc]
    """Seconds and most memory of each step.

    Attributes:
        seconds: of each step, rows drawn and answers sampled included.
        sampling: of these for sampling answers.
        allocated: GiB that tensors took at the worst moment of each step; empty without a GPU.
        reserved: GiB that torch held then.
    """

    seconds: list[float] = field(default_factory=list)
    sampling: list[float] = field(default_factory=list)
    allocated: list[float] = field(default_factory=list)
    reserved: list[float] = field(default_factory=list)
    _mark: float = 0.0
    _sampled: float = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._mark = _now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note the step."""
        now = _now()
        self.seconds.append(now - self._mark)
        self.sampling.append(self._sampled)
        self._mark, self._sampled = now, 0.0
        if torch.cuda.is_available():
            self.allocated.append(torch.cuda.max_memory_allocated() / GIB)
            self.reserved.append(torch.cuda.max_memory_reserved() / GIB)
            torch.cuda.reset_peak_memory_stats()

    def timed(self, sample: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted as sampling."""

        def run(*args: Any, **kwargs: Any) -> Any:
            began = _now()
            found = sample(*args, **kwargs)
            self._sampled += _now() - began
            return found

        return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; 2 without the GPU that it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="4b,8b", help=f"of {', '.join(SIZES)}; tiny runs on a CPU")
    parser.add_argument("--stages", default=",".join(STAGES), help=f"of {', '.join(STAGES)}")
    parser.add_argument("--steps", type=int, default=5, help="optimiser steps, 2 or more; the first is not counted")
    parser.add_argument("--completion", type=int, default=280, help="tokens of every sampled answer")
    parser.add_argument("--out", type=Path, help="also write everything to this JSON file")
    chosen = parser.parse_args(arguments)
    sizes, stages = chosen.sizes.split(","), chosen.stages.split(",")
    if set(sizes) - set(SIZES) or set(stages) - set(STAGES) or chosen.steps < PLAIN_STEPS or chosen.completion < 1:
        parser.error("see --help for what there is")
    if sizes != ["tiny"] and not torch.cuda.is_available():
        print(f"{chosen.sizes}: a GPU is needed; --sizes tiny runs on a CPU", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{name}, torch {torch.__version__}, {chosen.steps} steps, answers of {chosen.completion} tokens\n")
    print(f"| {' | '.join(HEAD)} |\n| --- | --- {'| ---: ' * (len(HEAD) - 2)}|")
    found = []
    for size in sizes:
        with TemporaryDirectory() as scratch:
            recipe = recipe_of(size, chosen.steps, chosen.completion)
            model = stand_in(recipe.base, Path(scratch) / "stand-in")
            for stage in stages:
                try:
                    found.append(measured(size, recipe, recipe.stage(stage), model, Path(scratch)))
                except torch.OutOfMemoryError:
                    print(f"| {size} | {stage} | out of memory |{' - |' * (len(HEAD) - 3)}", flush=True)
                    continue
                finally:
                    _free()
                print(f"| {' | '.join(cells(found[-1]))} |", flush=True)
    tokens = "; ".join(dict.fromkeys(row.tokenizer for row in found))
    print(f"\nTokens: {tokens}. (!) is off the estimate by more than a quarter.")
    if chosen.out:
        record = {"device": name, "found": [asdict(row) for row in found], "provenance": provenance(PACKAGES)}
        chosen.out.write_text(json.dumps(record, indent=2) + "\n")
    return 0


def recipe_of(size: str, steps: int, completion: int) -> Recipe:
    """The shipped recipe, cut to some steps without validation, its answers held at one length."""
    name, overrides = SIZES[size]
    recipe = load_recipe(
        name,
        [
            *overrides,
            f"data.count={8 * steps}",  # a level; 12 of them fill batches of 64
            "validation.max_tokens=1",
            f"stages.self-distill.max_completion={completion}",
            f"stages.self-distill.trainer.generation_kwargs={{min_new_tokens: {completion}}}",
            *(f"stages.{stage}.trainer.max_steps={steps}" for stage in STAGES),
        ],
    )
    unwatched = [replace(stage, validation=replace(stage.validation, count=0)) for stage in recipe.stages]
    return replace(recipe, stages=tuple(unwatched))


def measured(size: str, recipe: Recipe, stage: Stage, model: StandIn, scratch: Path) -> Found:
    """Run a stage as it is shipped and with the plain loss, and put the estimate beside it."""
    rows = stage_rows(stage, recipe)
    lengths = _lengths(stage, rows, model)
    gpu = torch.cuda.is_available()
    hardware = hardware_for(model.sizes, recipe.precision, 1, None)
    steps, history = run(recipe, stage, rows, model, scratch)
    cut = replace(stage, trainer={**stage.trainer, "max_steps": PLAIN_STEPS})
    memory = memory_of(recipe, stage, model.sizes, lengths, hardware)
    pictures = sum(row.picture is not None for row in rows) / len(rows)

    def work(on: Hardware) -> float:
        return sum(seconds_of(stage, model.sizes, lengths, pictures, 1, on).values())

    flops = work(Hardware("", 1.0, gpu=hardware.gpu))
    seconds = median(steps.seconds[1:])
    tokens = [entry["num_tokens"] for entry in history]
    peak = (
        next((value for part, value in TERAFLOPS.items() if part in torch.cuda.get_device_name()), None)
        if gpu
        else None
    )
    return Found(
        size=size,
        stage=stage.name,
        allocated=max(steps.allocated, default=None),
        reserved=max(steps.reserved, default=None),
        estimated_gib=peak_of(memory) - memory["runtime"],
        seconds=seconds,
        sampling=median(steps.sampling[1:]),
        estimated_seconds=work(hardware),
        tokens_per_second=(tokens[-1] - tokens[0]) / sum(steps.seconds[1:]),
        teraflops=flops / 1e12,
        share=None if peak is None else flops / 1e12 / seconds / peak,
        plain=_plain(recipe, cut, rows, model, scratch, steps),
        losses=[entry["loss"] for entry in history],
        tokenizer=model.tokenizer,
    )


def run(
    recipe: Recipe, stage: Stage, rows: Sequence[Example], model: StandIn, scratch: Path, *, plain: bool = False
) -> tuple[Steps, list[dict[str, Any]]]:
    """Train, on fresh weights; what was noted, and the trainer's log of each step."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    torch.manual_seed(recipe.seed)
    steps = Steps()
    student = adapt(model.model(device, dtype, recipe.attention), stage.tuning, None)
    config = trainer_config(recipe, stage, scratch / stage.name, recipe.precision) | {
        "save_strategy": "no",
        "logging_steps": 1,
    }
    parts = TrainerParts(student, model.processor, as_dataset(rows, stage.data.image_size), config, [steps])
    if stage.method == "sft":
        trainer = sft_trainer(parts, [row.length for row in rows], kind=PlainSFT if plain else SortedSFTTrainer)
    else:
        student.generate = steps.timed(student.generate)
        trainer = distill_trainer(stage, parts, None, kind=PlainDistill if plain else SelfDistillTrainer)
    quiet(trainer)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    return steps, [entry for entry in trainer.state.log_history if "loss" in entry]


def _plain(
    recipe: Recipe, stage: Stage, rows: Sequence[Example], model: StandIn, scratch: Path, ours: Steps
) -> dict[str, Any] | None:
    """The plain loss over the first steps, and how much more it takes than ours in these; None if it does not fit."""
    _free()
    try:
        steps, history = run(recipe, stage, rows, model, scratch, plain=True)
    except torch.OutOfMemoryError:
        return None
    finally:
        _free()
    last = PLAIN_STEPS - 1
    return {
        "allocated": max(steps.allocated, default=None),
        "memory": max(steps.allocated) / max(ours.allocated[:PLAIN_STEPS]) if steps.allocated else None,
        "seconds": steps.seconds[last],
        "speed": (steps.seconds[last] - steps.sampling[last]) / (ours.seconds[last] - ours.sampling[last]),
        "losses": [entry["loss"] for entry in history],
    }


def _lengths(stage: Stage, rows: Sequence[Example], model: StandIn) -> Lengths:
    """Tokens of the rows, answers that are sampled being as long as they are held."""
    found = measure(rows, stage.data.image_size, model.count)
    if stage.distill is None:
        return found
    held = stage.distill.max_completion
    return replace(found, answer=held, mean_answer=held, row=found.prompt + held)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
