"""Episodes read from a folder: those of a run, and a suite that ``mgsd-bench generate`` wrote in either format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mgsd_bench.errors import UserError
from mgsd_bench.suites.dataset import ABOUT, FORMAT, read_about, read_split
from mgsd_bench.suites.packed import ById, Packed
from mgsd_bench.suites.suite import Part, Suite, digest
from mgsd_envs import Episode, episode_from_json
from mgsd_envs.files import open_regular, read_bytes, read_lines

EPISODES = "episodes.jsonl"


def read_episodes(folder: Path) -> ById:
    """The episodes of a folder by id, in their order.

    Raises:
        UserError: they are missing or damaged.
    """
    return ById(Packed(_episodes(folder / EPISODES)))


def _episodes(path: Path) -> Iterator[Episode]:
    try:
        with open_regular(path) as stream:
            for number, line in enumerate(read_lines(stream), 1):
                try:
                    episode = episode_from_json(json.loads(line.decode()))
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise UserError(f"{path}:{number}: not an episode of an installed task ({error})") from error
                yield episode
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def read_folder(folder: Path) -> Suite:
    """The suite that ``generate`` wrote into a folder; its name is the folder's.

    Pictures are drawn anew from the states; the written ones are for people and other programs. Of a dataset with
    several splits it is the test split.

    Raises:
        UserError: the folder holds no such suite, or its episodes are damaged or not those that were written.
    """
    path = folder / ABOUT
    try:
        about = json.loads(read_bytes(path))
    except OSError as error:
        raise UserError(f"{folder}: no suite that `generate` wrote (no {ABOUT})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); write the suite anew") from error
    if isinstance(about, dict) and about.get("format") == FORMAT:
        dataset = read_about(folder)
        split = "test" if "test" in dataset.splits else next(iter(dataset.splits))
        return _suite(folder, read_split(folder, dataset, split))
    by_id = read_episodes(folder)
    episodes = by_id.episodes
    written = about.get("digest") if isinstance(about, dict) else None
    if not episodes or len(by_id) < len(episodes) or digest(episodes) != written:
        raise UserError(f"{folder / EPISODES}: not the episodes that {path} was written with; write the suite anew")
    return _suite(folder, episodes)


def _suite(folder: Path, episodes: Packed) -> Suite:
    if any(episode.original for episode in episodes):
        raise UserError(f"{folder}: shows pictures of an external test set; name that suite and its folder instead")
    counts: dict[tuple[str, int], int] = {}
    for episode in episodes:
        counts[episode.task, episode.level] = counts.get((episode.task, episode.level), 0) + 1
    first = episodes[0]
    return Suite(
        name=folder.resolve().name,
        about=f"{len(episodes):,} episodes read from {folder}",
        parts=tuple(Part(task, level, count) for (task, level), count in counts.items()),
        split=first.split,
        theme=first.theme,
        given=episodes,
        split_by=first.split_by,
    )
