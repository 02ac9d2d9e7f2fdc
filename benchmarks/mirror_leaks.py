"""What a finished run solves of test episodes with and without an image of theirs in a recipe's training.

    python benchmarks/mirror_leaks.py runs/table1/tiny-v1/tiny-mgsd --recipe tiny

Of one model, split by state: an observation, in which levels and lengths differ between the two groups.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from mgsd_baselines.data.dataset import recipe_episodes
from mgsd_baselines.recipe_file import load_recipe
from mgsd_bench.analysis.run import load_run
from mgsd_bench.statistics.intervals import proportion
from mgsd_envs import Episode, get_task, orbit_key


def orbit_of(episode: Episode) -> tuple[str, int, str]:
    """What an episode shares with its mirror images and turns."""
    return episode.task, episode.level, orbit_key(get_task(episode.task), episode.state)


def main() -> None:
    """Print a table: condition, task, level, whether an image is trained on, and the share solved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--recipe", required=True)
    options = parser.parse_args()
    trained = {orbit_of(episode) for episode in recipe_episodes(load_recipe(options.recipe))}
    run = load_run(options.run)
    leaked = {name: orbit_of(episode) in trained for name, episode in run.episodes.items()}
    solved: dict[tuple[str, str, int, bool], list[bool]] = defaultdict(list)
    for sample in run.read_samples(texts=False):
        place = (sample.condition, sample.task, sample.level, leaked[sample.episode])
        solved[place].append(sample.outcome == "solved")
    print("| condition | task | image in training | n | solved |\n| --- | --- | --- | ---: | ---: |")
    for (condition, task, level, seen), right in sorted(solved.items()):
        share = proportion(sum(right), len(right))
        figures = f"{100 * share.value:.0f} ({100 * share.low:.0f}–{100 * share.high:.0f})"
        print(f"| {condition} | {task} {level} | {'yes' if seen else 'no'} | {len(right)} | {figures} |")


if __name__ == "__main__":
    main()
