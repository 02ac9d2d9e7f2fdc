"""Runs of many long answers, and how much memory it takes to read them."""

from __future__ import annotations

import gc
import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from mgsd_bench.analysis.run import Run, load_run
from support.stored import line


def long_run(run: Path, folder: Path, repeats: int, characters: int) -> Run:
    """A run's answers so many times, each with as many characters of its own before it."""
    shutil.copytree(run, folder)
    rows = [json.loads(each) for each in (run / "samples.jsonl").read_text().splitlines()]
    with (folder / "samples.jsonl").open("wb") as stream:
        for repeat in range(repeats):
            for i, row in enumerate(rows):
                own = f"{repeat} {i} "
                text = (own * (characters // len(own)))[:characters] + row["text"]
                stream.write(line({**row, "repeat": repeat, "text": text}))
    record = json.loads((run / "run.json").read_text())
    record["identity"]["repeats"] = repeats
    (folder / "run.json").write_text(json.dumps(record))
    return load_run(folder)


def peak(work: Callable[[], object]) -> int:
    """The most bytes that Python holds while it does some work, beyond those that it held before."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
