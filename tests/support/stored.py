"""Run folders with other samples than were once written, as if they had been written so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgsd_bench.runs.lines import sealed


def line(row: dict[str, Any]) -> bytes:
    """A row of samples.jsonl with its checksum."""
    return sealed(json.dumps({**row, "crc": None}, separators=(",", ":")).replace(',"crc":null', "").encode())


def rewrite(run: Path, change: Callable[[int, dict[str, Any]], dict[str, Any] | None]) -> None:
    """Change every row of a run, or leave it out."""
    path = run / "samples.jsonl"
    rows = [change(i, json.loads(each)) for i, each in enumerate(path.read_text().splitlines())]
    path.write_bytes(b"".join(line(row) for row in rows if row is not None))
