"""What a recipe will train on, and what it will need: rows, tokens, parameters, memory and time, before anything runs.

Rows, tokens and parameters are counted. Memory and time are estimates, by the formulas of :func:`memory_of` and
:func:`seconds_of`; a run of five steps (``--set stages.NAME.trainer.max_steps=5``) measures them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mgsd_baselines.data.dataset import counts, stage_rows
from mgsd_baselines.estimate.sizes import Sizes, sizes_of
from mgsd_baselines.estimate.token_counts import Lengths, measure
from mgsd_baselines.training.models import resolve_model
from mgsd_bench.backends.token_counts import counter, visual_tokens

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Recipe, Stage

GIB = 2**30

EFFECTIVE_TERAFLOPS = 200.0
"""What an H100 or H200 does in bf16 with the modelling code of transformers and micro-batches of 4 to 8 rows, in
TFLOP/s: a fifth of its peak. Between 150 and 250 is usual."""
CPU_EFFICIENCY = 0.3
"""Share of its speed at multiplying matrices that a CPU keeps in training a tiny model."""
TOKEN_SECONDS = {"gpu": 0.035, "cpu": 0.015}
"""Seconds that one more token of a batch of answers takes, beside its FLOPs, with ``generate`` of transformers."""
VLLM_TOKEN_SECONDS = 0.01
VLLM_SYNC_SECONDS = 2.0
"""Seconds to hand the new weights to the vLLM engine, once a step."""
VALIDATION_BATCH = 16
PROCESSES = (1, 2, 4, 8)
"""Launches whose memory is always estimated."""
RUNTIME_GIB = 1.0
"""What a GPU's libraries take for themselves."""
_TINY = 100_000_000  # with fewer parameters a CPU is meant
_TILE_ROWS, _TILE_COLUMNS = 4096, 32_768  # tokens x vocabulary of a logits tile in TRL's kernels


@dataclass(frozen=True, slots=True)
class Hardware:
    """The devices that memory and time are estimated for.

    Attributes:
        name: in words, for people.
        flops: FLOP/s that one device really does in training, a fraction of its peak.
        devices: how many like it share the work, one process on each.
        gpu: whether they are GPUs, which train with gradient checkpointing, or CPUs.
        sharded: whether weights are spread over them (FSDP) or whole on each (DDP); None spreads those of full tuning.
    """

    name: str
    flops: float
    devices: int = 1
    gpu: bool = True
    sharded: bool | None = None


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """What one stage of a recipe trains on, counted, and what it needs, estimated.

    Attributes:
        stage: name of the stage.
        method: ``sft``, ``distill`` or ``grpo``.
        counts: number of rows by ``task/level/kind``.
        lengths: tokens of the rows, longest and mean.
        steps: optimiser steps, over all epochs.
        trainable: number of parameters that are trained: the adapter's, or all.
        total: number of all parameters, an adapter's included; a separate teacher's are not.
        memory: GiB on one device by component (:func:`memory_of`); not all are there at the same time.
        peak: GiB on one device at the worst moment.
        launches: the same for other launches, by (number of processes, whether they shard); None where they cannot
            share out the batch.
        seconds: wall time of all steps by part of the work (:func:`seconds_of`).
        hardware: what memory and time are for.
        tokenizer: how tokens were counted, in words.
    """

    stage: str
    method: str
    counts: Mapping[str, int]
    lengths: Lengths
    steps: int
    trainable: int
    total: int
    memory: Mapping[str, float]
    peak: float
    launches: Mapping[tuple[int, bool], float | None]
    seconds: Mapping[str, float]
    hardware: Hardware
    tokenizer: str

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return sum(self.counts.values())


def estimate(recipe: Recipe, *, devices: int = 1, teraflops: float | None = None) -> list[StageEstimate]:
    """Count what each stage trains on and estimate what it needs.

    Args:
        recipe: the recipe.
        devices: processes that share the work; with full tuning they share the weights too. Memory is also said of
            other launches.
        teraflops: effective TFLOP/s of one device. By default :data:`EFFECTIVE_TERAFLOPS`, or for a tiny model on a
            machine without a GPU what a short measurement finds.

    Raises:
        UserError: the base model is not to be had, or a level has no episodes.
    """
    with TemporaryDirectory() as scratch:
        base = resolve_model(recipe.base, recipe, Path(scratch))
        sizes = sizes_of(base)
        count, tokenizer = counter(base)
        hardware = hardware_for(sizes, recipe.precision, devices, teraflops)
        estimates = []
        for stage in recipe.stages:
            rows = stage_rows(stage, recipe)
            lengths = measure(rows, stage.data.image_size, count)
            pictures = sum(row.picture is not None for row in rows) / len(rows)
            steps = steps_of(stage, len(rows))
            adapter = sizes.adapter(stage.tuning) if stage.tuning else 0
            memory = memory_of(recipe, stage, sizes, lengths, hardware)
            estimates.append(
                StageEstimate(
                    stage=stage.name,
                    method=stage.method,
                    counts=counts(rows),
                    lengths=lengths,
                    steps=steps,
                    trainable=adapter or sizes.total,
                    total=sizes.total + adapter,
                    memory=memory,
                    peak=peak_of(memory),
                    launches=launches_of(recipe, stage, sizes, lengths, hardware),
                    seconds=seconds_of(stage, sizes, lengths, pictures, steps, hardware),
                    hardware=hardware,
                    tokenizer=tokenizer,
                )
            )
    return estimates


def hardware_for(sizes: Sizes, precision: str, devices: int, teraflops: float | None) -> Hardware:
    """The device that a model will be trained on, as far as it can be told from here."""
    import torch

    here = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    gpu = bool(here) or sizes.total >= _TINY
    name = here or ("80 GB GPU such as an H100" if gpu else "CPU of this machine")
    if teraflops is not None:
        return Hardware(name, teraflops * 1e12, devices, gpu)
    if gpu:
        return Hardware(name, EFFECTIVE_TERAFLOPS * 1e12, devices, gpu)
    return Hardware(name, CPU_EFFICIENCY * _matmul_flops(precision), devices, gpu)


def steps_of(stage: Stage, rows: int) -> int:
    """Optimiser steps: ``max_steps``, or epochs x rows / prompts a step; TRL's default is 3 epochs."""
    limit = int(stage.trainer.get("max_steps", -1))
    if limit > 0:
        return limit
    return math.ceil(float(stage.trainer.get("num_train_epochs", 3)) * math.ceil(rows / prompts_of(stage)))


def prompts_of(stage: Stage) -> int:
    """Rows that an optimiser step takes: with ``distill`` and ``grpo`` the batch counts answers, several to a row."""
    if stage.grpo:
        return stage.batch // stage.grpo.group
    return stage.batch // stage.distill.rollouts if stage.distill else stage.batch


def memory_of(recipe: Recipe, stage: Stage, sizes: Sizes, lengths: Lengths, hardware: Hardware) -> dict[str, float]:
    """Memory of one device in GiB, by component.

    With P parameters, A trainable ones, b bytes a number in the recipe's precision (2 or 4), T = micro-batch x longest
    row, and where weights are sharded everything of the first four divided by the number of devices (FSDP; the sharing
    of ZeRO's third stage, arXiv 1910.02054):

    - weights: 4 P with full tuning, and 2 P more for bf16 copies on a single device; else b P + 4 A
    - gradients: 4 A. optimiser: 8 A (AdamW)
    - teacher: b P, or 4 P beside full tuning, if it is a model of its own; likewise GRPO's reference where kl > 0
    - buckets: 4 A, the gradients once more, where devices average them without sharding (what DDP sends from, unless
      ``gradient_as_bucket_view``: torch's documentation of DistributedDataParallel)
    - gathered, where weights are sharded: those that are whole on every device for a time. b for the embedding and two
      layers (the one at work and the next, as torch's ``fully_shard`` fetches ahead), 4 more for the gradients of one
      layer and of a trained embedding before they are summed up; b for the embedding of a separate teacher
    - activations: with gradient checkpointing b T width depth, and one layer at work with
      b T (6 width + 2 attention + 2 keys + 4 intermediate), without it all layers at work; eager attention has
      micro-batch x heads x row^2 x (b + 4) a layer on top; the vision tower 16 numbers a patch and unit of width, in
      all layers where it is trained
    - logits: a tile of 4,096 tokens x 32,768 of the vocabulary in float32, or less if there is less; two to distill
    - rollouts: keys and values of the answers that are sampled together, or of 16 in validation, at full length
    - vLLM: its share of an 80 GiB device (``vllm_gpu_memory_utilization``, TRL's default 0.3)
    """
    full = stage.tuning is None
    number = 2 if recipe.precision == "bf16" else 4
    sharded = hardware.devices > 1 and (full if hardware.sharded is None else hardware.sharded)
    shards = hardware.devices if sharded else 1
    trainable = sizes.total if stage.tuning is None else sizes.adapter(stage.tuning)
    weights = 4 * sizes.total if full else number * sizes.total + 4 * trainable
    if full and number == 2 and shards == 1:
        weights += 2 * sizes.total
    second = (4 if full else number) * sizes.total if _has_second_model(stage) else 0

    row = lengths.row
    if stage.distill:
        row = max(row, lengths.teacher + lengths.answer)
    tokens = stage.micro_batch * row
    keys, attention = sizes.kv_heads * sizes.head_dim, sizes.heads * sizes.head_dim
    layer = number * tokens * (6 * sizes.hidden + 2 * attention + 2 * keys + 4 * sizes.intermediate)
    if recipe.attention == "eager":
        layer += stage.micro_batch * sizes.heads * row**2 * (number + 4)
    patches = 4 * visual_tokens(stage.data.image_size) * stage.micro_batch
    vision_layer = 16 * number * patches * sizes.vision_hidden
    if stage.trainer.get("gradient_checkpointing", hardware.gpu):
        activations = number * tokens * sizes.hidden * sizes.depth + layer + vision_layer
    else:
        activations = layer * sizes.depth + vision_layer * (sizes.vision_depth if full else 1)

    tile = 4 * min(_TILE_ROWS, stage.micro_batch * lengths.answer) * min(_TILE_COLUMNS, sizes.vocabulary)
    sampled, longest = VALIDATION_BATCH, stage.validation.max_tokens
    settings = stage.distill or stage.grpo
    if settings and not settings.vllm:
        at_once, to_length = stage.batch // hardware.devices, settings.max_completion
        if at_once * (lengths.prompt + to_length) > sampled * (lengths.prompt + longest):
            sampled, longest = at_once, to_length
    needs = {
        "weights": weights / shards,
        "gradients": 4 * trainable / shards,
        "optimiser": 8 * trainable / shards,
        "teacher": second / shards,
        "buckets": 4 * trainable if hardware.devices > 1 and not sharded else 0,
        "gathered": _gathered(stage, sizes, number) if sharded else 0,
        "activations": activations,
        "logits": tile * (2 if stage.distill else 1),
        "rollouts": sampled * (lengths.prompt + longest) * sizes.kv_bytes * number / 2,
        "vLLM": 80 * GIB * float(stage.trainer.get("vllm_gpu_memory_utilization", 0.3))
        if settings and settings.vllm
        else 0,
        "runtime": RUNTIME_GIB * GIB if hardware.gpu else 0,
    }
    return {name: size / GIB for name, size in needs.items()}


def launches_of(
    recipe: Recipe, stage: Stage, sizes: Sizes, lengths: Lengths, hardware: Hardware
) -> dict[tuple[int, bool], float | None]:
    """GiB on one device at the worst moment, by :func:`memory_of`, for (number of processes, whether they shard)."""
    found: dict[tuple[int, bool], float | None] = {}
    for devices in sorted({*PROCESSES, hardware.devices}):
        for sharded in (False, True):
            shares = stage.batch % (stage.micro_batch * devices) == 0
            launch = replace(hardware, devices=devices, sharded=sharded)
            found[devices, sharded] = peak_of(memory_of(recipe, stage, sizes, lengths, launch)) if shares else None
    return found


def _gathered(stage: Stage, sizes: Sizes, number: int) -> float:
    """Bytes of the weights and gradients that a device has whole for a time, though they are sharded."""
    layer = sizes.layers / sizes.depth
    size = number * (sizes.embedding + 2 * layer)
    if stage.tuning is None:
        size += 4 * (sizes.embedding + layer)
    return size + (number * sizes.embedding if _has_second_model(stage) else 0)


def peak_of(memory: Mapping[str, float]) -> float:
    """GiB at the worst moment: answers are sampled before the backward pass has activations and logits."""
    passing = max(memory["activations"] + memory["logits"], memory["rollouts"])
    return passing + sum(memory[name] for name in memory if name not in ("activations", "logits", "rollouts"))


def seconds_of(
    stage: Stage, sizes: Sizes, lengths: Lengths, pictures: float, steps: int, hardware: Hardware
) -> dict[str, float]:
    """Seconds by part of the work, answers being taken to be as long as the reference answers.

    FLOPs of one answer, with P the parameters of the language model's layers, T the mean tokens of prompt and answer,
    N those of the answer, a pass of T tokens 2 P T + 2 depth attention T^2:

    - student: 3 passes (forward, recomputation, gradient of the activations), and 1 more with full tuning for the
      gradient of the weights; 1 less without gradient checkpointing; attention itself has 1 more to go back
    - vision tower: 2 x its parameters a patch forward; 3 or 4 times that where it is trained
    - output head: 6 width vocabulary N, or 10 to distill, over two distributions
    - teacher: a pass over its own prompt and the answer. rollouts: a pass over prompt and answer
    - where GRPO has a reference model, another pass

    Beside its FLOPs, each token of a batch of answers takes :data:`TOKEN_SECONDS`; the longest reference answer is
    waited for. Validation samples in batches of 16.

    Args:
        stage: the stage.
        sizes: of the model.
        lengths: of the rows.
        pictures: share of the rows that have one.
        steps: optimiser steps.
        hardware: what it runs on.
    """
    full = stage.tuning is None
    checkpointing = bool(stage.trainer.get("gradient_checkpointing", hardware.gpu))

    def attended(tokens: float) -> float:
        return 2 * sizes.depth * sizes.heads * sizes.head_dim * tokens**2

    def forward(tokens: float) -> float:
        return 2 * sizes.layers * tokens + attended(tokens)

    row = lengths.mean_prompt + lengths.mean_answer
    passes = 2 + full + checkpointing
    patches = 4 * visual_tokens(stage.data.image_size) * pictures
    student = passes * forward(row) + (0 if full else attended(row))
    student += (passes if full else 1) * 2 * sizes.vision * patches
    student += (10 if stage.distill else 6) * sizes.hidden * sizes.vocabulary * lengths.mean_answer
    samples = steps * stage.batch
    per_second = hardware.flops * hardware.devices
    seconds = {"training": samples * student / per_second}
    settings = stage.distill or stage.grpo
    each = TOKEN_SECONDS["gpu" if hardware.gpu else "cpu"]
    if settings:
        waited = steps * min(lengths.answer, settings.max_completion)
        overhead = waited * VLLM_TOKEN_SECONDS + steps * VLLM_SYNC_SECONDS if settings.vllm else waited * each
        seconds["rollouts"] = overhead + samples * forward(row) / per_second
    if stage.distill:
        sees = stage.distill.teacher.context == "picture"
        read = row if sees else lengths.mean_teacher + lengths.mean_answer
        seconds["teacher"] = samples * forward(read) / per_second
    elif _has_second_model(stage):
        seconds["teacher"] = samples * forward(row) / per_second
    spec = stage.validation
    asked = spec.count * sum(map(len, stage.data.levels.values())) * len(spec.conditions)
    rounds = steps // spec.every * math.ceil(asked / VALIDATION_BATCH / hardware.devices)
    tokens = min(lengths.answer, spec.max_tokens)
    seconds["validation"] = rounds * (tokens * each + VALIDATION_BATCH * forward(row) / hardware.flops)
    return seconds


def _has_second_model(stage: Stage) -> bool:
    """Whether a frozen model is held beside the student."""
    if stage.distill:
        return stage.distill.teacher.model is not None or stage.tuning is None
    return stage.grpo is not None and stage.grpo.kl > 0 and stage.tuning is None


def _matmul_flops(precision: str, size: int = 512, seconds: float = 0.2) -> float:
    """FLOP/s of this machine at multiplying matrices, 2 size^3 each."""
    import torch

    matrix = torch.ones(size, size, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    matrix @ matrix
    times, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        matrix @ matrix
        times += 1
    return times * 2 * size**3 / passed
