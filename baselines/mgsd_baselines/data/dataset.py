"""Training data: which episodes, asked about in which way, and how trainers get at them.

Everything is a pure function of the recipe, so data is made where it is needed and never stored: the digest says
whether two trainings saw the same rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mgsd_baselines.data.acting import draw_turns
from mgsd_baselines.data.examples import (
    ACT_KINDS,
    ALL_KINDS,
    Example,
    Kind,
    OneShotKind,
    act_example,
    condition_of,
    format_privileged,
    make_example,
    privileged_context,
    shuffled,
)
from mgsd_baselines.recipe import Teacher
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import in_order, load_prompts
from mgsd_envs import Mix, TooFewStatesError, generate, get_task
from mgsd_envs.external import BadRecord, read_external
from mgsd_envs.orbits import split_key
from mgsd_envs.splits import split_of

if TYPE_CHECKING:
    from datasets import Dataset

    from mgsd_baselines.recipe import DataSpec, Recipe, Stage
    from mgsd_bench.prompts import PromptSet
    from mgsd_envs import Episode
    from mgsd_envs.splits import Split, SplitBy

MIX = Mix(length=range(1, 10_000), straight=0.5)
"""Every length of plan; at most half of the episodes can be solved by one who sees no obstacles, where there are enough
others."""


def train_episodes(spec: DataSpec, split: Split = "train") -> list[Episode]:
    """The episodes to train on, task by task and level by level.

    A level gives ``spec.count`` distinct episodes, or all it has. States of the external test sets in ``spec.exclude``
    are left out, where orbits are split with all their images.

    Args:
        spec: tasks, levels, count and what the split keeps apart.
        split: ``train``, or ``val`` for validation.

    Raises:
        UserError: a level has no episode at all, or a path in ``exclude`` cannot be read.
        ValueError: ``split`` is ``test``, which nothing may be trained on.
    """
    if split == "test":
        raise ValueError("test episodes are for evaluation alone")
    excluded = excluded_keys(spec.exclude, spec.split_by)
    return [
        episode
        for name, levels in spec.levels.items()
        for level in levels
        for episode in _level(spec, name, level, split, excluded)
    ]


def val_episodes(spec: DataSpec, count: int) -> list[Episode]:
    """Episodes of the val split at the levels of ``spec``: ``count`` a level, or all it has; none where it is 0.

    Their random stream is another than that of training.

    Raises:
        UserError: see :func:`train_episodes`.
    """
    if count == 0:
        return []
    return train_episodes(replace(spec, stream=f"{spec.stream}/val", count=count), split="val")


def recipe_episodes(recipe: Recipe) -> list[Episode]:
    """The episodes that a recipe's stages train on, those that stages share once.

    Raises:
        UserError: see :func:`train_episodes`.
    """
    specs: list[DataSpec] = []
    for stage in recipe.stages:
        if stage.data not in specs:
            specs.append(stage.data)
    return [episode for spec in specs for episode in train_episodes(spec)]


def _level(spec: DataSpec, name: str, level: int, split: Split, excluded: frozenset[str]) -> list[Episode]:
    task = get_task(name)
    episodes: list[Episode] = []
    try:
        for episode in generate(
            task,
            level,
            spec.count,
            split=split,
            stream=spec.stream,
            split_by=spec.split_by,
            theme=spec.theme,
            mix=MIX,
            exclude=excluded,
        ):
            key = split_key(task, episode.state, spec.split_by)
            if split_of(key) != split or key in excluded:
                raise AssertionError(f"{episode.id}: {key} does not belong to the {split} split")
            episodes.append(episode)
    except TooFewStatesError:
        pass  # a small level gives all it has
    if not episodes:
        raise UserError(f"data.levels: {name} level {level} has no episode in the {split} split; leave it out")
    return episodes


def excluded_keys(paths: Iterable[str | Path], split_by: SplitBy = "state") -> frozenset[str]:
    """Keys of the states in external test sets, or of their orbits, which training must not see.

    Args:
        paths: files or folders of test sets.
        split_by: whether the states alone are meant, or all their images.

    Raises:
        UserError: a path holds no test set in a known format, or a record of it is damaged.
    """
    keys: set[str] = set()
    for path in paths:
        try:
            for record in read_external(Path(path)):
                if isinstance(record, BadRecord):
                    raise UserError(f"data.exclude: {record.source}: {record.why}; mend or remove the record")
                keys.add(split_key(get_task(record.task), record.state, split_by))
        except (OSError, ValueError) as error:
            raise UserError(f"data.exclude: {error}; name a folder or file of a test set") from error
    return frozenset(keys)


def stage_rows(stage: Stage, recipe: Recipe, prompts: PromptSet | None = None) -> list[Example]:
    """The rows that a stage trains on, one an episode, in the order of the episodes.

    Each level is shared out among the kinds of ``stage.rows`` exactly, up to rounding. Which episode gets which kind
    hangs on a hash of its state, not on its place. An ``unrelated`` row shows the picture of another episode of its
    level, none of them twice. Rows of the closed loop are about a turn of a rollout in the episode.

    Args:
        stage: what to train on, and how.
        recipe: the recipe that the stage belongs to: seed and prompt set.
        prompts: the prompt set, read already; by default the recipe's is read.

    Raises:
        UserError: see :func:`train_episodes`, :func:`mgsd_bench.prompts.load_prompts` and
            :func:`mgsd_baselines.data.examples.shuffled`.
    """
    episodes = train_episodes(stage.data)
    shares = {kind: share for kind in ALL_KINDS if (share := stage.rows.get(kind))}
    conditions = {condition_of(kind) for kind in shares} | ({"act-symbolic"} if "distill-act" in shares else set())
    if prompts is None:
        prompts = load_prompts(recipe.prompts, episodes, in_order(conditions))
    to_say = load_prompts(recipe.prompts, episodes, ["act"], say_state=True) if "act-say" in shares else prompts
    kinds = _kinds(episodes, shares, recipe.seed)
    others = shuffled(episodes, recipe.seed) if "unrelated" in shares else episodes
    contexts: Sequence[str | None] = [None] * len(episodes)
    if "distill" in shares:
        teacher = stage.distill.teacher if stage.distill else Teacher(context="none")
        contexts = [format_privileged(*told) for told in privileged_context(episodes, teacher, recipe.seed)]
    acting = [episode for episode in episodes if kinds[episode.id] in ACT_KINDS]
    excluded = excluded_keys(stage.data.exclude, stage.data.split_by) if acting else frozenset[str]()
    turns = draw_turns(acting, stage.data.astray, recipe.seed, excluded)
    rows: list[Example] = []
    for episode, other, context in zip(episodes, others, contexts, strict=True):
        kind = kinds[episode.id]
        if kind in ACT_KINDS:
            rows.append(act_example(kind, turns[episode.id], prompts, to_say))
        else:
            told = context if kind == "distill" else None
            rows.append(make_example(cast(OneShotKind, kind), episode, prompts, picture=other, privileged=told))
    return rows


def _kinds(episodes: Iterable[Episode], shares: Mapping[Kind, float], seed: int) -> dict[str, Kind]:
    """The kind of row that is made of each episode, by its id."""
    levels: dict[tuple[str, int], list[Episode]] = {}
    for episode in episodes:
        levels.setdefault((episode.task, episode.level), []).append(episode)
    kinds: dict[str, Kind] = {}
    for level in levels.values():
        drawn = sorted(level, key=lambda episode: _draw(seed, episode))
        kinds.update(zip((episode.id for episode in drawn), _shared_out(shares, len(drawn)), strict=True))
    return kinds


def _draw(seed: int, episode: Episode) -> bytes:
    return sha256(f"mgsd-kinds-v1/{seed}/{get_task(episode.task).key(episode.state)}".encode()).digest()


def _shared_out(shares: Mapping[Kind, float], count: int) -> list[Kind]:
    """``count`` items in these shares, rounded by largest remainder: never off by one or more."""
    whole = {item: int(share * count + 1e-9) for item, share in shares.items()}
    by_rest = sorted(shares, key=lambda item: whole[item] - shares[item] * count)
    for item in by_rest[: count - sum(whole.values())]:
        whole[item] += 1
    return [item for item, number in whole.items() for _ in range(number)]


def rows_digest(rows: Iterable[Example]) -> str:
    """SHA-256 over all that the rows depend on, in order, as 64 hexadecimal digits."""
    running = sha256()
    for row in rows:
        running.update(json.dumps(row.canonical()).encode())
        running.update(b"\n")
    return running.hexdigest()


def counts(rows: Iterable[Example]) -> dict[str, int]:
    """Number of rows by ``task/level/kind``, in order of appearance."""
    return dict(Counter(f"{row.episode.task}/{row.episode.level}/{row.kind}" for row in rows))


def as_dataset(rows: Sequence[Example], image_size: int) -> Dataset:
    """The rows as a map-style dataset that draws a row's picture when the row is asked for.

    It holds row numbers only. What comes out are the columns of :meth:`mgsd_baselines.data.examples.Example.to_trl`.

    Args:
        rows: the rows, all with or all without an answer.
        image_size: pixels a side.

    Raises:
        ValueError: some rows have an answer and others have none, so that the columns would differ.
    """
    from datasets import Dataset

    if len({(row.completion is None, row.privileged is None) for row in rows}) > 1:
        raise ValueError("rows with an answer and rows without one do not go into one dataset")
    # the column is called as one that every trainer knows: a trainer told to remove unused columns keeps it
    numbers = Dataset.from_dict({_STORED: list(range(len(rows)))})
    acts = any(row.turn is not None for row in rows)
    return numbers.with_transform(Drawing(tuple(rows), image_size, {"tried": None} if acts else {}))


_STORED = "prompt"


@dataclass(frozen=True, slots=True)
class Drawing:
    """Makes batches of columns out of batches of row numbers; picklable, for the workers of a data loader.

    Attributes:
        rows: the rows.
        image_size: pixels a side.
        others: values of the columns that only some of the rows have, for those that have none.
    """

    rows: tuple[Example, ...]
    image_size: int
    others: Mapping[str, None]

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[object]]:
        """The columns of the rows with these numbers."""
        made = [{**self.others, **self.rows[number].to_trl(self.image_size)} for number in batch[_STORED]]
        return {column: [row[column] for row in made] for column in made[0]} if made else {}
