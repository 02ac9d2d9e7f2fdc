"""Seconds until `mgsd-bench --help` is there, beside an empty Python."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

ROUNDS = 9


def seconds(*command: str) -> float:
    """Wall time of one run of the command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print both medians and their ratio, measured in turns."""
    pairs = [
        (seconds(sys.executable, "-m", "mgsd_bench", "--help"), seconds(sys.executable, "-c", "pass"))
        for _ in range(ROUNDS + 1)
    ][1:]
    ours, bare = (median(column) for column in zip(*pairs, strict=True))
    print(f"mgsd-bench --help: {ours:.3f} s; python -c pass: {bare:.3f} s; ratio {ours / bare:.1f}")


if __name__ == "__main__":
    main()
