"""Estimates as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from mgsd_bench.errors import option

if TYPE_CHECKING:
    from mgsd_baselines.estimate.estimate import StageEstimate


def data_table(estimates: Sequence[StageEstimate]) -> Table:
    """What each stage trains on: rows by task, level and kind, and their tokens."""
    table = Table("", *(stage.stage for stage in estimates), pad_edge=False, title="what it trains on")
    table.add_row("method", *(stage.method for stage in estimates))
    table.add_row("rows", *(f"{stage.rows:,}" for stage in estimates))
    by_cell = [_summed(stage.counts, slice(0, 2)) for stage in estimates]
    for cell in dict.fromkeys(cell for cells in by_cell for cell in cells):
        table.add_row(f"  {cell.replace('/', ' ')}", *(f"{cells[cell]:,}" for cells in by_cell))
    by_kind = [_summed(stage.counts, slice(2, 3)) for stage in estimates]
    table.add_row("kinds", *(", ".join(f"{kind} {n:,}" for kind, n in kinds.items()) for kinds in by_kind))
    for label, longest, mean in (
        ("prompt", "prompt", "mean_prompt"),
        ("answer", "answer", "mean_answer"),
        ("teacher's prompt", "teacher", "mean_teacher"),
    ):
        cells = [(getattr(stage.lengths, longest), getattr(stage.lengths, mean)) for stage in estimates]
        table.add_row(f"{label}, tokens", *(f"{mean:,.0f}, at most {most:,}" if most else "" for most, mean in cells))
    return table


def needs_table(estimates: Sequence[StageEstimate]) -> Table:
    """What each stage needs: parameters, steps, memory and time."""
    table = Table("", *(stage.stage for stage in estimates), pad_edge=False, title="what it needs")
    table.add_row("trainable parameters", *(_count(stage.trainable) for stage in estimates))
    table.add_row("all parameters", *(_count(stage.total) for stage in estimates))
    table.add_row("optimiser steps", *(f"{stage.steps:,}" for stage in estimates))
    table.add_row("memory of a device", *(f"{stage.peak:.1f} GiB" for stage in estimates), style="bold")
    for part in dict.fromkeys(part for stage in estimates for part in stage.memory):
        sizes = [stage.memory.get(part, 0) for stage in estimates]
        if any(sizes):
            table.add_row(f"  {part}", *(f"{size:.2f}" if size else "" for size in sizes))
    totals = [sum(stage.seconds.values()) for stage in estimates]
    table.add_row("time", *(_duration(total) for total in totals), style="bold")
    for part in dict.fromkeys(part for stage in estimates for part in stage.seconds):
        times = [stage.seconds.get(part) for stage in estimates]
        table.add_row(f"  {part}", *("" if time is None else _duration(time) for time in times))
    return table


def launches_table(estimates: Sequence[StageEstimate]) -> Table:
    """What each stage needs on a device when several processes share it, with whole and with sharded weights."""
    numbers = list(dict.fromkeys(devices for devices, _ in estimates[0].launches))
    title = "memory of a device by number of processes"
    table = Table("", "", *(f"{number}" for number in numbers), pad_edge=False, title=title)
    for stage in estimates:
        for sharded in (False, True):
            cells = [stage.launches[number, sharded] for number in numbers]
            shown = ("–" if cell is None else f"{cell:.1f} GiB" for cell in cells)
            table.add_row("" if sharded else stage.stage, "FSDP" if sharded else "DDP", *shown)
    return table


def notes(estimates: Sequence[StageEstimate]) -> list[str]:
    """What the figures rest on, one line each; their settings are marked by :func:`mgsd_bench.errors.option`."""
    first = estimates[0]
    hardware = first.hardware
    number = f"{hardware.devices} x " if hardware.devices > 1 else ""
    total = sum(sum(stage.seconds.values()) for stage in estimates)
    return [
        f"Rows, tokens and parameters are counted, tokens with: {first.tokenizer}.",
        f"Memory and time ({_duration(total)} in all) are estimates for {number}{hardware.name} at "
        f"{hardware.flops / 1e12:.3g} effective TFLOP/s, with answers as long as the reference answers.",
        "DDP keeps all weights on every device, FSDP spreads them; – is where processes cannot share out the batch.",
        f"To measure instead, run a few steps: {option('overrides', 'stages.NAME.trainer.max_steps=5')}",
    ]


def _summed(counts: Mapping[str, int], part: slice) -> Counter[str]:
    """Rows by a part of their ``task/level/kind``."""
    rows: Counter[str] = Counter()
    for name, number in counts.items():
        rows["/".join(name.split("/")[part])] += number
    return rows


def _count(number: int) -> str:
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return str(number)


def _duration(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
