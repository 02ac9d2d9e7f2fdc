"""A million stored answers: seconds and memory to load, summarise and compare them, without their texts.

Two runs of 500,000 samples with 300 words of text each are written first. Each step runs in a process of its own, so
that its peak of memory is its own (on Linux, whose /proc says it).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

WORDS = ("wall", "cell", "north", "the", "row", "column", "then", "agent", "goes", "right", "down", "a", "of", "is")


def write_run(folder: Path, model: str, samples: int, accuracy: float) -> None:
    """A run folder of the scripted oracle, its samples repeated with texts of 300 words and some of them wrong."""
    import mgsd_bench as mb
    from mgsd_bench.runs.lines import sealed

    run = mb.evaluate(model="oracle", backend="scripted", conditions=["visual", "symbolic"], out=folder)
    rng = Random(model)
    texts = [" ".join(rng.choices(WORDS, k=300)) for _ in range(200)]
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    for row in lines:
        del row["crc"]
    repeats = samples // len(lines)
    with (folder / "samples.jsonl").open("wb") as stream:
        for repeat in range(repeats):
            for row in lines:
                solved = rng.random() < accuracy
                changed = {"repeat": repeat, "text": f"{rng.choice(texts)}\n{row['text']}"}
                wrong = {} if solved else {"outcome": "wrong", "optimal": False, "plan": row["plan"][:-1]}
                stream.write(sealed(json.dumps({**row, **changed, **wrong}, separators=(",", ":")).encode()))
    record = json.loads((folder / "run.json").read_text())
    record["identity"] |= {"model": model, "repeats": repeats}
    (folder / "run.json").write_text(json.dumps(record))
    assert run.path == folder


def measure(step: str, folders: list[Path]) -> dict[str, Any]:
    """Run a step and say what it took: seconds, and the peak of memory in MiB."""
    started = time.perf_counter()
    if step == "summarise":
        from mgsd_bench.analysis.run import load_run
        from mgsd_bench.analysis.summary import summarise

        rows = sum(summarise(load_run(folder).frame).samples for folder in folders)
    elif step == "compare":
        import mgsd_bench as mb

        rows = mb.compare(*folders).macro.n
    else:
        rows = sum(1 for folder in folders for line in (folder / "samples.jsonl").open("rb") if json.loads(line))
    seconds = time.perf_counter() - started
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {"step": step, "rows": rows, "seconds": seconds, "peak": int(peak) / 1024}


def main() -> None:
    """Write the runs, measure each step, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000, help="of both runs together")
    parser.add_argument("--keep", type=Path, help="a folder for the runs; one that holds them is used again")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with TemporaryDirectory() as made:
        root = arguments.keep or Path(made)
        folders = [root / name for name in ("a", "b")]
        if arguments.step:
            print(json.dumps(measure(arguments.step, folders)))
            return
        for folder, accuracy in zip(folders, (0.70, 0.72), strict=True):
            if not (folder / "samples.jsonl").exists():
                write_run(folder, folder.name, arguments.samples // 2, accuracy)
        size = sum((folder / "samples.jsonl").stat().st_size for folder in folders)
        print(f"{arguments.samples:,} samples, {size / 1e9:.2f} GB", flush=True)
        floor = 0.0
        for step in ("json.loads of every line", "summarise", "compare"):
            command = [sys.executable, __file__, "--keep", str(root), "--step", step]
            done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            floor = floor or done["seconds"]
            print(
                f"{step}: {done['seconds']:.1f} s ({done['seconds'] / floor:.2f} of parsing the JSON), "
                f"{done['peak']:,.0f} MiB at most",
                flush=True,
            )


if __name__ == "__main__":
    main()
