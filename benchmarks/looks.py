"""Episodes a second of processor time, made and drawn, by look; and of 32x32 boards. Medians of ROUNDS rounds."""

from __future__ import annotations

import time
from statistics import median

from rich.console import Console
from rich.table import Table

from mgsd_envs import Episode, Look, Mix, generate, get_task
from mgsd_envs.perturbations import PERTURBATIONS
from mgsd_envs.sprites import STYLES

ROUNDS, COUNT = 5, 20
LEVELS = {"frozenlake": 8, "maze": 6, "minibehaviour": 6}
PLAIN = Look("classic")


def rate(episodes: list[Episode]) -> float:
    """Pictures a second."""
    start = time.process_time()
    for episode in episodes:
        episode.shown()
    return len(episodes) / (time.process_time() - start)


def made(task: str, level: int, stream: str, theme: str) -> float:
    """Episodes a second, made from nothing and drawn, with plans of at most 100 actions."""
    start = time.process_time()
    mix = Mix(length=range(1, 101), straight=1)
    for episode in generate(get_task(task), level, COUNT, split="train", stream=stream, theme=theme, mix=mix):
        episode.shown()
    return COUNT / (time.process_time() - start)


def main() -> None:
    """Print both tables."""
    table = Table("look", *(f"{task} {level}" for task, level in LEVELS.items()), title="pictures a second")
    themes = ("classic", "plain", *STYLES)
    looks = [
        *map(Look, themes),
        *(Look("blueprint", name, (len(a.values) + 1) // 2) for name, a in PERTURBATIONS.items()),
    ]
    drawn = {
        task: list(generate(get_task(task), level, COUNT, split="train", stream="looks"))
        for task, level in LEVELS.items()
    }
    for look in looks:
        cells = []
        for episodes in drawn.values():
            in_look = [episode.in_look(look, PLAIN) for episode in episodes]
            rate(in_look)
            cells.append(f"{median(rate(in_look) for _ in range(ROUNDS)):.0f}")
        table.add_row(str(look), *cells)
    Console().print(table)
    large = Table("task", "classic", "blueprint", title="32x32 episodes a second, made and drawn")
    for task in LEVELS:
        cells = []
        for theme in ("classic", "blueprint"):
            made(task, 32, "warm-up", theme)
            cells.append(f"{median(made(task, 32, f's{i}', theme) for i in range(ROUNDS)):.0f}")
        large.add_row(task, *cells)
    Console().print(large)


if __name__ == "__main__":
    main()
