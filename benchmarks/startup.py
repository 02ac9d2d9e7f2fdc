"""Seconds until `mgsd-bench --help` is there, beside an empty typer application and an empty Python."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

ROUNDS = 9
EMPTY = """
import typer
app = typer.Typer()
@app.command()
def one() -> None: ...
@app.command()
def two() -> None: ...
app()
"""


def seconds(*command: str) -> float:
    """Wall time of one run of the command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the medians and their ratios, measured in turns."""
    commands = {
        "mgsd-bench --help": (sys.executable, "-m", "mgsd_bench", "--help"),
        "mgsd-bench eval --help": (sys.executable, "-m", "mgsd_bench", "eval", "--help"),
        "empty typer application": (sys.executable, "-c", EMPTY, "--help"),
        "empty Python": (sys.executable, "-c", "pass"),
    }
    rounds = [[seconds(*command) for command in commands.values()] for _ in range(ROUNDS + 1)][1:]
    times = dict(zip(commands, map(median, zip(*rounds, strict=True)), strict=True))
    for name, taken in times.items():
        print(f"{name}: {taken:.3f} s, {taken / times['empty typer application']:.2f} of an empty typer application")


if __name__ == "__main__":
    main()
