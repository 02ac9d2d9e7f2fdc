"""External test sets: other people's maps, mazes and rooms, read from a folder and checked record by record.

One that cannot be used is named and left out; one that comes twice, or whose own plan is not as long as the shortest,
is named and kept, so that counts stay those of the published sets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mgsd_bench.errors import UserError
from mgsd_envs import Episode, get_task, make_episode, task_names
from mgsd_envs.external import BadRecord, ExternalRecord, Format, Source, find_sources
from mgsd_envs.looks import MARK
from mgsd_envs.originals import read_original

_TEST_FILE = "test_dataset.jsonl"  # VisualPlanning keeps its training records beside it


@dataclass(frozen=True, slots=True)
class ExternalSet:
    """A published test set.

    Attributes:
        name: its name as a suite.
        about: one line for the user.
        format: how it is stored.
        task: the task.
        counts: episodes by level, as published.
        within: of files that are all alike, those whose paths have this in them; any if empty.
    """

    name: str
    about: str
    format: Format
    task: str
    counts: Mapping[int, int]
    within: str = ""

    @property
    def has_pictures(self) -> bool:
        """Whether its records come with pictures."""
        return self.format in ("diffthinker-lakes", "diffthinker-mazes")

    def has(self, source: Source) -> bool:
        """Whether a source may hold records of this set, by its format and place."""
        return source.format == self.format and self.within in source.path.resolve().as_posix()


def _visualplanning(task: str, counts: Mapping[int, int]) -> ExternalSet:
    about = f"VisualPlanning, dataset/{task}, test records"
    return ExternalSet(f"visualplanning-{task}", about, "visualplanning", task, counts)


SETS: tuple[ExternalSet, ...] = (
    ExternalSet(
        "diffthinker-frozenlake",
        "DiffThinker, FrozenLake/VSP/maps",
        "diffthinker-lakes",
        "frozenlake",
        dict.fromkeys(range(3, 9), 100),
    ),
    ExternalSet(
        "diffthinker-maze",
        "DiffThinker, Maze/*_test",
        "diffthinker-mazes",
        "maze",
        dict.fromkeys((8, 16, 32), 100),
    ),
    _visualplanning("frozenlake", dict.fromkeys(range(3, 7), 250)),
    _visualplanning("maze", dict.fromkeys(range(3, 7), 250)),
    _visualplanning("minibehaviour", {5: 204, 6: 199}),
    ExternalSet(
        "boxoban-unfiltered", "Boxoban, unfiltered/test", "boxoban", "sokoban", {10: 1000}, "/unfiltered/test/"
    ),
    ExternalSet(
        "boxoban-medium",
        "Boxoban, the first 1,000 of medium/valid",
        "boxoban",
        "sokoban",
        {10: 1000},
        "/medium/valid/000.txt",
    ),
    ExternalSet("boxoban-hard", "Boxoban, hard", "boxoban", "sokoban", {10: 3332}, "/hard/"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one record that the user should know.

    Attributes:
        kind: ``bad`` (left out), ``duplicate`` or ``length`` (kept).
        level: grid size, if known.
        source: ``file``, or ``file:line`` where a file holds many.
        why: what it is, in one line.
    """

    kind: Literal["bad", "duplicate", "length"]
    level: int | None
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of one set and level.

    Attributes:
        set: name of the set.
        level: grid size; None for what is damaged so badly that it is not known.
        published: episodes in the published set.
        records: records found.
        loaded: those that became episodes.
        bad: those that could not be used.
        duplicates: episodes whose state came before.
        lengths: episodes whose record disagrees with the length of the shortest plan.
        train: episodes whose state belongs to our train split.
    """

    set: str
    level: int | None
    published: int
    records: int
    loaded: int
    bad: int
    duplicates: int
    lengths: int
    train: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A set, read and checked.

    Attributes:
        test_set: the set.
        levels: the levels that were asked for.
        episodes: its episodes, by level.
        findings: what is wrong or odd, in the order of the records.
        others: records passed over because the published set has no such level.
    """

    test_set: ExternalSet
    levels: tuple[int, ...]
    episodes: tuple[Episode, ...]
    findings: tuple[Finding, ...]
    others: int

    @property
    def seen(self) -> bool:
        """Whether there was anything at all."""
        return bool(self.episodes or self.findings or self.others)

    def rows(self) -> list[Row]:
        """The audit: a row for each level, and one for what is damaged so that its level is not known."""
        rows = [self._row(level) for level in self.levels]
        lost = self._row(None)
        return [*rows, lost] if lost.bad else rows

    def _row(self, level: int | None) -> Row:
        episodes = [episode for episode in self.episodes if episode.level == level]
        kinds = [finding.kind for finding in self.findings if finding.level == level]
        return Row(
            set=self.test_set.name,
            level=level,
            published=0 if level is None else self.test_set.counts[level],
            records=len(episodes) + kinds.count("bad"),
            loaded=len(episodes),
            bad=kinds.count("bad"),
            duplicates=kinds.count("duplicate"),
            lengths=kinds.count("length"),
            train=sum(episode.split == "train" for episode in episodes),
        )


class Shelf:
    """Everything in a known format under a folder, each file read once.

    Args:
        root: a folder that holds test sets at any depth, or one file.

    Raises:
        UserError: there is no such path, nothing there has a known format, or something cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            self._sources = [s for s in find_sources(root) if s.path == root or _is_test(s)]
        except (OSError, ValueError) as error:
            where = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else error
            raise UserError(f"{where}; point at a folder with DiffThinker, VisualPlanning or Boxoban data") from error
        self._read: dict[Source, list[ExternalRecord | BadRecord]] = {}

    def load(
        self, test_set: ExternalSet, levels: Iterable[int], theme: str = "classic", image: str = "classic"
    ) -> Loaded:
        """Read one set.

        Args:
            test_set: the set.
            levels: the levels to keep; records of others are passed over.
            theme: the look of our pictures.
            image: ``original`` to show the set's own pictures, where it has any.
        """
        levels = tuple(levels)
        kept: dict[str, Episode] = {}
        states: dict[str, str] = {}
        findings: list[Finding] = []
        others = 0
        for record in self._records(test_set):
            source, level = record.source, record.level if record.level in test_set.counts else None
            if level is None and isinstance(record, ExternalRecord):
                others += 1
                continue
            if level is not None and level not in levels:
                continue
            try:
                if isinstance(record, BadRecord):
                    raise ValueError(record.why)
                episode = self._episode(record, test_set, theme, image)
                if episode.id in kept:
                    raise ValueError(f"{kept[episode.id].source} is {episode.id} already; point at one copy of the set")
            except ValueError as error:
                findings.append(Finding("bad", level, source, " ".join(str(error).split())))
                continue
            kept[episode.id] = episode
            if (first := states.setdefault(get_task(test_set.task).key(record.state), episode.id)) != episode.id:
                findings.append(Finding("duplicate", level, source, f"the same state as {first}"))
            if why := _disagreement(record, episode.shortest):
                findings.append(Finding("length", level, source, why))
        episodes = sorted(kept.values(), key=lambda episode: episode.level)
        return Loaded(test_set, levels, tuple(episodes), tuple(findings), others)

    def _records(self, test_set: ExternalSet) -> Iterator[ExternalRecord | BadRecord]:
        for source in self._sources:
            if not test_set.has(source):
                continue
            records = self._contents(source)
            tasks = {record.task for record in records if isinstance(record, ExternalRecord)}
            tasks = tasks or {*source.path.parts} & {*task_names()} or {test_set.task}
            if test_set.task in tasks:
                yield from (r for r in records if isinstance(r, BadRecord) or r.task == test_set.task)

    def _contents(self, source: Source) -> list[ExternalRecord | BadRecord]:
        if source not in self._read:
            self._read[source] = []
            try:
                self._read[source].extend(source.read())
            except OSError as error:
                self._read[source].append(BadRecord(str(source.path), f"cannot be read ({error.strerror or error})"))
        return self._read[source]

    def _episode(self, record: ExternalRecord, test_set: ExternalSet, theme: str, image: str) -> Episode:
        """The record's episode, named after where it was read.

        Raises:
            ValueError: no plan solves the state, or its picture is wanted and cannot be read.
        """
        original = None
        if image == "original" and test_set.has_pictures:
            if record.image is None:
                raise ValueError("its picture is missing")
            original = read_original(record.image)
        name = f"{test_set.task}/{record.level}/{_index(record, test_set)}"
        base = self._root if self._root.is_dir() else self._root.parent
        source = record.source.removeprefix(str(base) + os.sep)
        return make_episode(get_task(test_set.task), record.level, name, record.state, theme, original, source)


def _is_test(source: Source) -> bool:
    return source.format != "visualplanning" or source.path.name == _TEST_FILE


def _index(record: ExternalRecord, test_set: ExternalSet) -> str:
    """The last part of an episode's id: the number of the line or map, what follows the size in a maze's name, or,
    where files hold numbered levels, the file's name and the number."""
    if test_set.format == "boxoban":
        file, _, number = record.source.rpartition(":")
        return f"{Path(file).stem}-{number.zfill(4)}"
    if test_set.format == "visualplanning":
        return record.source.rpartition(":")[2].zfill(4)
    stem = Path(record.source).stem.replace(MARK, "-")  # which stands for a look in ids
    return stem.zfill(4) if test_set.format == "diffthinker-lakes" else stem.partition("_")[2]


def _disagreement(record: ExternalRecord, shortest: int) -> str | None:
    if record.plan is not None and len(record.plan) != shortest:
        return f"its plan takes {len(record.plan)} actions, the shortest {shortest}"
    if record.minimum is not None and record.minimum > shortest:
        return f"it asks for at least {record.minimum} actions, the shortest plan takes {shortest}"
    return None
