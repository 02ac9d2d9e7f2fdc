"""Episodes a minute that are made and written as Parquet, beside making them and their PNG files in memory alone.

Then the peak of memory for few and for many episodes, each in a process of its own.

    python benchmarks/datasets_written.py [--count 1000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from mgsd_bench.prompts import load_prompts
from mgsd_bench.suites.dataset import write_dataset
from mgsd_bench.suites.parquet import Asked
from mgsd_bench.suites.suite import Part, Suite, episodes

LEVELS = (("frozenlake", 4), ("frozenlake", 8), ("maze", 6), ("minibehaviour", 6), ("sokoban", 7))


def written(task: str, level: int, count: int, stream: str) -> tuple[float, float]:
    """Seconds to make and write episodes, and to make them and their pictures alone."""
    suite = Suite(stream, "", (Part(task, level, count),), split="train")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        made = episodes(suite)
        asked = Asked(load_prompts("default", made, ["visual"]))
        write_dataset({"train": made}, Path(folder) / "new", suite.name, asked)
        whole = time.perf_counter() - start
    start = time.perf_counter()
    for episode in episodes(suite):
        episode.draw().png()
    return whole, time.perf_counter() - start


def peak(count: int) -> float:
    """Peak of memory of a process that writes so many episodes, in MiB."""
    done = subprocess.run(
        [sys.executable, __file__, "--count", str(count), "--alone"], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="episodes a level")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="write one dataset and print the peak of memory")
    given = parser.parse_args()
    if given.alone:
        written("frozenlake", 8, given.count, "peak")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    table = Table("task", "level", "episodes/min", "× 10,000", "times as long as episode and PNG alone")
    for task, level in LEVELS:
        written(task, level, 50, "warm-up")
        rounds = [written(task, level, given.count, f"r{i}") for i in range(given.rounds)]
        rate = 60 * given.count / median(whole for whole, _ in rounds)
        ratio = median(whole / alone for whole, alone in rounds)
        table.add_row(task, str(level), f"{rate:,.0f}", f"{rate / 10_000:.1f}", f"{ratio:.2f}")
    Console().print(table)
    for count in (8_000, 32_000):  # one row group is full, and seven
        print(f"frozenlake 8, {count} episodes: at most {peak(count):.0f} MiB")


if __name__ == "__main__":
    main()
