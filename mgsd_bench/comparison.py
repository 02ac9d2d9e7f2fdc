"""Reading several runs that can be set side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mgsd_bench.errors import Exit, UserError
from mgsd_bench.metrics import summarise
from mgsd_bench.runs import read_run


def read_comparable(paths: Sequence[Path], condition: str) -> list[tuple[str, dict[str, Any]]]:
    """Name of the model and metrics of each run, computed anew from its samples.

    Raises:
        UserError: a run is missing, unfinished or damaged, lacks the condition, or saw other episodes or prompts than
            the first.
    """
    found = []
    first_digest = None
    for path in paths:
        run = read_run(path)
        record = run.record
        digest = record["identity"]["digest"]
        first_digest = first_digest or digest
        if digest != first_digest:
            raise UserError(
                f"{path}: other episodes or prompts than {paths[0]} (digest {digest[:12]}, not {first_digest[:12]})",
                Exit.NOT_COMPARABLE,
            )
        if record["status"] not in ("complete", "errors"):
            raise UserError(f"{path}: this run is not finished ({record['status']}); run its command again first")
        metrics = summarise(run.samples)
        if condition not in metrics["conditions"]:
            has = ", ".join(metrics["conditions"])
            raise UserError(f"{path}: has no answers under --condition {condition}; it has {has}")
        found.append((run.model, metrics))
    return found
