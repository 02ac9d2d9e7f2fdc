"""A dataset's folder: Parquet files with a card, ``eval.yaml`` and ``suite.json``; written, and read again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mgsd_bench.errors import UserError
from mgsd_bench.files import new_folder, pretty_json
from mgsd_bench.records import Stored
from mgsd_bench.suites.dataset_card import BENCHMARK, CARD, card, eval_yaml
from mgsd_bench.suites.looks import is_asked
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.parquet import Asked, Written, load_pyarrow, write_files
from mgsd_bench.suites.suite import digest
from mgsd_bench.suites.trainer_rows import FORMS
from mgsd_envs import Episode, episode_from_json
from mgsd_envs.files import open_regular, read_bytes
from mgsd_envs.looks import MARK
from mgsd_envs.splits import Split

ABOUT = "suite.json"
FORMAT = "parquet"


@dataclass(frozen=True, slots=True)
class SplitAbout:
    """What a split was written with: how many episodes, and their digest in the order of :func:`in_suite_order`."""

    episodes: int
    digest: str


@dataclass(frozen=True, slots=True)
class About(Stored):
    """What a dataset was made of, and its files; ``suite.json``.

    Attributes:
        format: ``parquet``, or the trainer whose columns the files have.
        suite: name of the suite.
        prompts: name of the prompt set.
        conditions: how the questions are put.
        splits: by name.
        version: of mgsd-bench, that wrote it.
        others: whether states or pictures are of test sets that others published.
        files: the Parquet files.
    """

    suite: str
    prompts: str
    conditions: tuple[str, ...]
    splits: Mapping[str, SplitAbout]
    version: str
    others: bool
    files: tuple[Written, ...]
    format: str = FORMAT


def write_dataset(parts: Mapping[Split, Packed], out: Path, suite: str, asked: Asked, form: str = FORMAT) -> About:
    """Write a folder for ``datasets.load_dataset`` and the hub, whole or not at all.

    Args:
        parts: the episodes of each split.
        out: a new folder.
        suite: the suite's name.
        asked: how the questions are put.
        form: ``parquet``, or a trainer's, :data:`mgsd_bench.suites.trainer_rows.FORMS`: those have neither a card nor
            ``eval.yaml``.

    Raises:
        UserError: PyArrow is not installed, an original picture cannot be read, or the folder is not empty or cannot
            be written.
        ValueError: fewer pixels than a grid needs.
    """
    from mgsd_bench import __version__

    load_pyarrow()
    with new_folder(out, str(out)) as part:
        columns = FORMS.get(form)
        files = [
            each for split, episodes in parts.items() for each in write_files(episodes, split, part, asked, columns)
        ]
        about = About(
            suite=suite,
            prompts=Path(asked.prompts.name).name,
            conditions=asked.conditions,
            splits={split: _about(episodes, asked) for split, episodes in parts.items()},
            version=__version__,
            others=any(each.source is not None for episodes in parts.values() for each in episodes),
            files=tuple(files),
            format=form,
        )
        if form == FORMAT:
            (part / CARD).write_text(card(about), encoding="utf-8")
        benchmark = eval_yaml(about) if form == FORMAT else None
        if benchmark is not None:
            (part / BENCHMARK).write_text(benchmark, encoding="utf-8")
        (part / ABOUT).write_text(pretty_json(about.to_json()), encoding="utf-8")
    return about


def _about(episodes: Packed, asked: Asked) -> SplitAbout:
    written = [name for name in episodes.ids if any(is_asked(name, each) for each in asked.conditions)]
    places = {name: place for place, name in enumerate(episodes.ids)}
    in_order = (episodes[places[written[place]]] for place in in_suite_order(written))
    return SplitAbout(len(written), digest(in_order))


def in_suite_order(ids: Sequence[str]) -> list[int]:
    """The places of episodes look by look, and in a look task by task, as suites have them.

    Files have them task by task, and in a task look by look.
    """
    tasks: dict[str, int] = {}
    looks: dict[str, int] = {}
    ranks = []
    for name in ids:
        task, look = name.partition("/")[0], name.partition(MARK)[2]
        ranks.append((looks.setdefault(look, len(looks)), tasks.setdefault(task, len(tasks))))
    return sorted(range(len(ids)), key=ranks.__getitem__)


def read_about(folder: Path) -> About:
    """What the dataset in a folder was made of.

    Raises:
        UserError: the folder holds no dataset that ``generate --format parquet`` wrote.
    """
    path = folder / ABOUT
    try:
        about = About.from_json(json.loads(read_bytes(path)))
    except OSError as error:
        raise UserError(f"{folder}: no dataset that `generate --format parquet` wrote (no {ABOUT})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); write the dataset anew") from error
    if about.format != FORMAT:
        raise UserError(f"{folder}: no dataset; write one with `generate --format parquet`")
    if not about.files or {each.split for each in about.files} != about.splits.keys():
        raise UserError(f"{path}: damaged (its splits are not those of its files); write the dataset anew")
    for each in about.files:
        if each.task in ("", ".", "..") or Path(each.path).parts != (each.task, Path(each.path).name):
            raise UserError(f"{path}: damaged ({each.path!r:.80} is no file of a task); write the dataset anew")
    return about


def read_split(folder: Path, about: About, split: str) -> Packed:
    """The episodes of a split, in the order of their suite.

    Raises:
        UserError: PyArrow is not installed, or a file is missing, damaged or not what was written.
    """
    packed = Packed(episode for each in about.files if each.split == split for episode in _episodes(folder / each.path))
    order = in_suite_order(packed.ids)
    episodes = packed if order == list(range(len(packed))) else Packed(packed[place] for place in order)
    if SplitAbout(len(episodes), digest(episodes)) != about.splits.get(split):
        raise UserError(f"{folder}: not the episodes that its {ABOUT} was written with; write the dataset anew")
    return episodes


def _episodes(path: Path) -> Iterator[Episode]:
    """The episodes of a file, each once, however many rows it has."""
    arrow = load_pyarrow()
    last = None
    try:
        with open_regular(path) as stream, arrow.parquet.ParquetFile(stream) as file:
            for batch in file.iter_batches(columns=["episode"]):
                for text in batch.column("episode").to_pylist():
                    if text != last:
                        yield episode_from_json(json.loads(text))
                    last = text
    except (OSError, ValueError, KeyError, TypeError, RecursionError, arrow.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as a file of the dataset ({error}); write the dataset anew") from error
