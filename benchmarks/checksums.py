"""What checksums cost: a scripted evaluation with and without them, in turns in one process, as a ratio of CPU time.

    python benchmarks/checksums.py [--rounds 7]

The two sides differ in nothing but the checksum's own work: a constant takes its place in the writer, so that the lines
are as long, and each line is looked at once more on reading, as an evaluation does when it ends.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

from rich.console import Console

from mgsd_bench.backends import BackendConfig
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.suites.choose import find_suite


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    seconds: dict[bool, list[float]] = {True: [], False: []}
    with TemporaryDirectory() as folder:
        for turn in range(2 * given.rounds + 2):
            summed = (turn + turn // 2) % 2 == 0  # each goes first as often as the other
            took = evaluated(Path(folder) / str(turn), summed)
            if turn > 1:  # the first two warm up
                seconds[summed].append(took)
    with_sums, without = median(seconds[True]), median(seconds[False])
    print(f"with {with_sums:.3f} s, without {without:.3f} s of CPU, medians of {given.rounds}")
    print(f"checksums cost {100 * (with_sums / without - 1):+.1f} % of a scripted evaluation")


def evaluated(out: Path, summed: bool) -> float:
    """CPU seconds of one evaluation."""
    config = BackendConfig("faulty:0.1,0.2,0.1")
    job = Evaluation(find_suite("smoke"), None, ["visual", "symbolic"], 1, "compact", "scripted", config, out)
    constant = patch("mgsd_bench.runs.sample.crc32", lambda body: 0)
    start = time.process_time()
    if summed:
        evaluate(job, Console(quiet=True))
    else:
        with constant:
            evaluate(job, Console(quiet=True))
    return time.process_time() - start


if __name__ == "__main__":
    main()
