"""Episodes a second on one core, with picture and PNG bytes in memory, beside the paper's own generators.

Then how many times as long bare episodes take where orbits are split and not states.

The paper's code writes image and text to a RAM disk; its figures were measured on the same class of machine (Zen 4,
2.6 GHz): 40 to 96 (FrozenLake), 526 to 722 (Maze) and 287 to 348 (MiniBehaviour) episodes a second. Other tasks are
measured where they are named as arguments.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from rich.console import Console
from rich.table import Table

from mgsd_envs import Mix, generate, get_task
from mgsd_envs.sokoban_tables import ROOMS, pooled
from mgsd_envs.splits import Split, SplitBy

PAPER = {
    "frozenlake": {3: 45, 4: 96, 5: 43, 6: 54, 7: 40, 8: 82},
    "maze": {3: 722, 4: 649, 5: 599, 6: 526},
    "minibehaviour": {5: 348, 6: 287},
}
ROUNDS, COUNT = 5, 200


def rate(task: str, level: int, stream: str, mix: Mix | None, encode: bool = True) -> float:
    """Episodes a second over COUNT training episodes."""
    start = time.perf_counter()
    for episode in generate(get_task(task), level, COUNT, split="train", stream=stream, mix=mix):
        picture = episode.draw()
        if encode:
            picture.png()
    return COUNT / (time.perf_counter() - start)


def seconds(task: str, level: int, stream: str, split: Split, split_by: SplitBy) -> float:
    """Seconds of processor time for 100 episodes without pictures."""
    start = time.process_time()
    for _ in generate(get_task(task), level, 100, split=split, stream=stream, split_by=split_by):
        pass
    return time.process_time() - start


def build_tables(level: int) -> float:
    """Seconds for the tables of all of Sokoban's rooms of a level that there are none of yet."""
    start = time.perf_counter()
    for number in range(ROOMS):
        pooled(level, number)
    return time.perf_counter() - start


def by_orbit(task: str, level: int, split: Split) -> str:
    """How many times as long episodes take that are split by orbit; the first round, which fills caches, left out."""
    times: dict[SplitBy, list[float]] = {"state": [], "orbit": []}
    for i in range(2 * ROUNDS + 1):
        for split_by, taken in times.items():
            taken.append(seconds(task, level, f"o{i}", split, split_by))
    state, orbit = (median(taken[1:]) for taken in times.values())
    return f"{orbit / state:.2f}"


def main() -> None:
    """Print the tables; medians of ROUNDS rounds."""
    table = Table("task", "level", "episodes/s", "balanced", "no PNG", "× paper's", "bytes", title="with PNG in memory")
    tables: list[tuple[int, float]] = []
    tasks = sys.argv[1:] or [*PAPER, "sokoban"]
    for task in tasks:
        for level in get_task(task).levels:
            if task == "sokoban":
                tables.append((level, build_tables(level)))
            rate(task, level, "warm-up", None)
            natural = median(rate(task, level, f"n{i}", Mix(straight=1)) for i in range(ROUNDS))
            balanced = median(rate(task, level, f"b{i}", None) for i in range(ROUNDS))
            bare = median(rate(task, level, f"p{i}", Mix(straight=1), encode=False) for i in range(ROUNDS))
            (one,) = generate(get_task(task), level, 1, split="train", stream="size")
            paper = PAPER.get(task, {}).get(level)
            ratio = "–" if paper is None else f"{natural / paper:.0f}"
            table.add_row(
                task, str(level), f"{natural:.0f}", f"{balanced:.0f}", f"{bare:.0f}", ratio, str(len(one.draw().png()))
            )
    Console().print(table)
    for level, taken in tables:
        print(f"sokoban {level}: tables of {ROOMS} rooms in {taken:.1f} s, before the above")
    ratios = Table("task", "level", "train", "test", title="split by orbit, times as long as by state")
    for task in tasks:
        for level in get_task(task).levels:
            ratios.add_row(task, str(level), by_orbit(task, level, "train"), by_orbit(task, level, "test"))
    Console().print(ratios)


if __name__ == "__main__":
    main()
