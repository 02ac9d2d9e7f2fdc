"""Suites: named, versioned lists of episodes, and the digest that tells whether two runs saw the same ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.looks import in_looks, themed
from mgsd_bench.suites.packed import Packed
from mgsd_envs import Episode, Mix, TooFewStatesError, generate, get_task, task_names
from mgsd_envs.looks import id_without_look
from mgsd_envs.splits import SPLIT_BY, SPLITS, Split, SplitBy

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

MOST_LENGTH = 10_000
"""Longest plan that is ever asked for, in actions."""


@dataclass(frozen=True, slots=True)
class Part:
    """``count`` episodes of one task and level, of the suite's mix unless it has its own."""

    task: str
    level: int
    count: int
    mix: Mix | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """A list of parts and how their episodes are made.

    Attributes:
        name: name and version; also the name of the random stream, so another version has other episodes.
        about: one line for the user.
        parts: what it holds.
        split: the split that every state belongs to.
        theme: the look of the images.
        mix: difficulty control.
        given: the episodes, where they were read rather than made; split and mix then mean nothing.
        origin: where they were read and what was found there, as plain JSON values for the record of a run.
        split_by: what the split keeps apart: states, or orbits, which are states with all their mirror images.
        looks: looks that every episode is asked in, the first of which has the suite's theme; where there are none, it
            is asked in its theme alone.
        stream: name of the random stream, for suites that share their episodes; the suite's own name if None.
    """

    name: str
    about: str
    parts: tuple[Part, ...]
    split: Split = "test"
    theme: str = "classic"
    mix: Mix = field(default_factory=Mix)
    given: Sequence[Episode] | None = None
    origin: Mapping[str, Any] | None = None
    split_by: SplitBy = "state"
    looks: tuple[str, ...] = ()
    stream: str | None = None
    cell: int | None = None


def select(suite: Suite, tasks: Sequence[str] = (), levels: Sequence[int] = ()) -> Suite:
    """The part of a suite with these tasks and levels; all of them where none are given.

    Raises:
        UserError: a task or level that the suite does not have.
    """
    for task in tasks:
        if task not in {part.task for part in suite.parts}:
            known = ", ".join(dict.fromkeys(part.task for part in suite.parts))
            raise UserError(f"{option('tasks', task)}: not in suite {suite.name}, which has {known}")
    of_tasks = [part for part in suite.parts if not tasks or part.task in tasks]
    for level in levels:
        if level not in {part.level for part in of_tasks}:
            known = ", ".join(str(level) for level in sorted({part.level for part in of_tasks}))
            raise UserError(f"{option('levels', level)}: not in suite {suite.name}, which has {known} for these tasks")
    parts = tuple(part for part in of_tasks if not levels or part.level in levels)
    return replace(suite, parts=parts)


def cut_to(suite: Suite, levels: Collection[tuple[str, int]]) -> Suite:
    """The part of a suite with these levels, each a task and a grid size, as far as it has them."""
    return replace(suite, parts=tuple(part for part in suite.parts if (part.task, part.level) in levels))


def custom(
    tasks: Sequence[str],
    levels: Sequence[int],
    count: int,
    *,
    split: str,
    stream: str,
    split_by: str = "state",
    length: str | None = None,
    density: float | None = None,
    straight: float = 0.3,
    theme: str = "classic",
) -> Suite:
    """A suite of the user's own: ``count`` episodes of each task and level.

    Args:
        tasks: which tasks.
        levels: which levels; those of the paper if empty.
        count: episodes a level.
        split: ``train``, ``val`` or ``test``.
        stream: names the random stream.
        split_by: ``state`` or ``orbit``, see :class:`Suite`.
        length: lengths of the shortest plan, as ``4`` or ``4-9``.
        density: see :class:`mgsd_envs.Mix`.
        straight: see :class:`mgsd_envs.Mix`.
        theme: the look.

    Raises:
        UserError: one of these is not possible.
    """
    if count < 1:
        raise UserError(f"{option('count', count)}: must be at least 1")
    if split not in SPLITS:
        raise UserError(f"{option('split', split)}: choose from {', '.join(SPLITS)}")
    if split_by not in SPLIT_BY:
        raise UserError(f"{option('split_by', split_by)}: choose from {', '.join(SPLIT_BY)}")
    for name in tasks:
        if name not in task_names():
            raise UserError(f"{option('tasks', name)}: unknown task; choose from {', '.join(task_names())}")
    parts: list[Part] = []
    for name in tasks:
        task = get_task(name)
        for level in levels or task.levels:
            if not task.min_level <= level <= task.max_level:
                raise UserError(f"{option('levels', level)}: {name} has levels {task.min_level} to {task.max_level}")
            parts.append(Part(name, level, count))
    if length is not None and not lengths_of(length):
        raise UserError(f"{option('length', length)}: write one length or two, for example 4 or 4-9")
    mix = Mix(length=None if length is None else lengths_of(length), density=density, straight=straight)
    made_to_order = Suite(stream, "made to order", tuple(parts), split, mix=mix, split_by=split_by)
    return with_theme(made_to_order, theme)


def beside(suite: Suite, count: int) -> Suite:
    """Training episodes for a suite's tasks and levels, ``count`` a level: made as its own, in its first look.

    Raises:
        UserError: the suite is read rather than made, is itself of the train split, or ``count`` is below 1.
    """
    if count < 1:
        raise UserError(f"{option('train', count)}: must be at least 1")
    if suite.given is not None:
        raise UserError(f"{option('train')}: suite {suite.name} is read, not made; leave it out")
    if suite.split == "train":
        raise UserError(f"{option('train')}: all episodes are of the train split already; leave it out")
    parts = tuple(replace(part, count=count) for part in suite.parts)
    return replace(suite, parts=parts, split="train", looks=(), stream=suite.stream or suite.name)


def with_theme(suite: Suite, theme: str) -> Suite:
    """The suite with another look.

    Raises:
        UserError: one of its tasks does not have it.
    """
    for task in dict.fromkeys(part.task for part in suite.parts):
        if theme not in get_task(task).themes:
            raise UserError(f"{option('theme', theme)}: {task} has {', '.join(get_task(task).themes)}")
    return replace(suite, theme=theme, looks=themed(suite.looks, theme))


def lengths_of(text: str) -> range:
    """Lengths written as ``4`` or ``4-9``; none if they are written in no such way."""
    first, dash, last = text.partition("-")
    try:
        lengths = range(int(first), min(int(last if dash else first), MOST_LENGTH) + 1)
    except ValueError:
        return range(0)
    return lengths if lengths.start >= 1 else range(0)


def find_episode(suite: Suite, name: str) -> Episode:
    """One episode of a suite, by its id.

    Raises:
        UserError: the suite has no such episode.
    """
    task, _, rest = name.partition("/")
    level, _, _ = rest.partition("/")
    parts = tuple(part for part in suite.parts if (part.task, str(part.level)) == (task, level))
    for episode in episodes(replace(suite, parts=parts)):
        if episode.id == name:
            return episode
    first = suite.parts[0]
    raise UserError(f"{name}: no such episode in suite {suite.name}; ids look like {first.task}/{first.level}/0000")


def episodes(suite: Suite) -> Packed:
    """All episodes of a suite, in its order.

    Raises:
        UserError: a task is not installed, or a level does not have as many states as the suite asks for.
    """
    if suite.given is not None:
        wanted = {(part.task, part.level) for part in suite.parts}
        return Packed(episode for episode in suite.given if (episode.task, episode.level) in wanted)
    made = Packed(_made(suite))
    return in_looks(made, suite.looks) if suite.looks else made


def _made(suite: Suite) -> Iterator[Episode]:
    """The episodes of a suite in its first look, as they are made."""
    for part in suite.parts:
        if part.task not in task_names():
            raise UserError(f"task {part.task} is not installed; installed tasks: {', '.join(task_names())}")
        part_episodes = generate(
            get_task(part.task),
            part.level,
            part.count,
            split=suite.split,
            stream=suite.stream or suite.name,
            split_by=suite.split_by,
            theme=suite.theme,
            mix=part.mix or suite.mix,
        )
        try:
            for episode in part_episodes:
                yield episode if suite.cell is None else replace(episode, pixels=suite.cell * episode.level)
        except TooFewStatesError as error:
            raise UserError(str(error)) from error
        except ValueError as error:
            raise UserError(f"suite {suite.name}: {error}") from error


def subsample(all_episodes: Sequence[Episode], limit: int) -> Packed:
    """At most ``limit`` episodes of each task and level, spread evenly over their plan lengths, in suite order.

    An episode that is asked in several looks counts once, and stays in all of them.

    Raises:
        UserError: ``limit`` is below 1.
    """
    if limit < 1:
        raise UserError(f"{option('limit', limit)}: must be at least 1")
    strata: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for episode in all_episodes:
        if id_without_look(episode.id) == episode.id:
            strata.setdefault((episode.task, episode.level), []).append((episode.shortest, episode.id))
    kept: set[str] = set()
    for stratum in strata.values():
        by_length = sorted(stratum)
        n = min(limit, len(by_length))
        kept.update(by_length[(2 * i + 1) * len(by_length) // (2 * n)][1] for i in range(n))
    return Packed(episode for episode in all_episodes if id_without_look(episode.id) in kept)


def digest(of_episodes: Iterable[Episode], prompt_texts: Iterable[str] = ()) -> str:
    """SHA-256 over the canonical JSON of the episodes and the prompt texts, as 64 hexadecimal digits.

    Two runs are comparable only if their digests agree.
    """
    return digests(of_episodes, prompt_texts)[1]


def digests(of_episodes: Iterable[Episode], prompt_texts: Iterable[str]) -> tuple[str, str]:
    """The digest of episodes alone, and that with the prompt texts; the episodes are read once."""
    return line_digests((episode.canonical() for episode in of_episodes), prompt_texts)


def line_digests(lines: Iterable[str], prompt_texts: Iterable[str] = ()) -> tuple[str, str]:
    """As :func:`digests`, of the canonical lines of the episodes."""
    running = sha256()
    for line in lines:
        _add(running, line)
    _add(running, "")
    alone = running.hexdigest()
    for text in prompt_texts:
        _add(running, text)
    return alone, running.hexdigest()


def _add(running: Hash, line: str) -> None:
    running.update(line.encode())
    running.update(b"\n")
