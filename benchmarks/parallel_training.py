"""How far a training by several processes is from that by one: losses and weights of every method, DDP and FSDP.

``python benchmarks/parallel_training.py [--processes 2] [--steps 4]`` trains the tiny model on CPUs, each case once
by one process and once by several with the same batch, and prints the largest difference of a loss and of a weight.
Answers that a student would sample are fixed, since each process samples from a random stream of its own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def main(words: list[str]) -> int:
    """Run all cases and print the table."""
    from support.launching import launch, trainers
    from support.parallel_cases import CASES, apart, folder_of, run_all

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    chosen = parser.parse_args(words)
    names = [name for name, case in CASES.items() if not case.sampled]
    context = trainers()
    print("| | weights | processes | loss at most apart | weight at most apart |\n| --- | --- | ---: | ---: | ---: |")
    with TemporaryDirectory() as scratch:
        one, other = Path(scratch, "one"), Path(scratch, "other")
        for name in names:
            for out, processes in ((one, 1), (other, chosen.processes)):
                if any(launch(context, run_all, [name], out, chosen.steps, processes=processes)):
                    print(f"{name}: a process failed", file=sys.stderr)
                    return 1
            for stage in CASES[name].stages:
                loss, weight = apart(*(out / folder_of(name) / stage for out in (one, other)))
                method, how = name.removesuffix(", sharded"), "sharded" if CASES[name].sharded else "whole"
                shown = method if method == stage else f"{method}: {stage}"
                print(f"| {shown} | {how} | {chosen.processes} | {loss:.1e} | {weight:.1e} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
