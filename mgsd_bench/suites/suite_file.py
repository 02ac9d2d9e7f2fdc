"""Suites as YAML files: those that come with the project, and the user's own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from mgsd_bench.config.fields import Bounds, Check, Count, OneOf, Share
from mgsd_bench.config.layers import Key, Layers, read_layer, suggest
from mgsd_bench.config.validate import validate
from mgsd_bench.prompts import CONDITIONS
from mgsd_bench.suites.looks import perturbed
from mgsd_bench.suites.suite import Part, Suite, lengths_of
from mgsd_envs import Look, Mix, TaskError, get_task, task_names
from mgsd_envs.splits import Split, SplitBy

MOST_EPISODES = 100_000
"""Episodes a level that a file may ask for."""

_SHIPPED = Path(__file__).parent / "shipped"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _misnamed(name: str) -> str | None:
    return None if _NAME.fullmatch(name) else "{found} is no name; write letters, digits, '.', '_' and '-'"


def _no_lengths(text: str) -> str | None:
    return None if lengths_of(text) else "{found} is no length; write one or two as a text, such as '4' or 4-9"


@dataclass(frozen=True, slots=True)
class Digest:
    """What a suite that comes with the project always holds.

    Attributes:
        episodes: how many, in all its looks.
        digest: :func:`mgsd_bench.suites.suite.digest` of them.
    """

    episodes: int
    digest: str


Episodes = Annotated[int, Bounds(1, MOST_EPISODES)]
Lengths = Annotated[str, Check(_no_lengths)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEntry:
    """Levels of one task.

    Attributes:
        task: name of an installed task.
        levels: sizes, cells a side.
        count: episodes a level; the suite's if left out.
        length: allowed lengths of the shortest plan, such as 4-9; the suite's if left out.
        density: share of obstacle cells, for tasks that have any to choose; the suite's if left out.
    """

    task: str
    levels: tuple[Count, ...]
    count: Episodes | None = None
    length: Lengths | None = None
    density: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MixEntry:
    """Difficulty.

    Attributes:
        length: allowed lengths of the shortest plan, such as 4-9; balanced by difficulty if left out.
        density: share of obstacle cells, for tasks that have any to choose.
        straight: largest share of episodes that the plan of one who sees no obstacles may solve.
    """

    length: Lengths | None = None
    density: Share | None = None
    straight: Share = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFile:
    """A suite as files say it.

    Attributes:
        name: name and version; it also names the random stream, so another name has other episodes.
        about: one line for people.
        split: which states it is made of, ``train``, ``val`` or ``test``.
        split_by: what the split keeps apart, ``state`` or ``orbit`` (states with all their mirror images).
        count: episodes a level.
        parts: tasks and levels.
        mix: difficulty.
        stream: names the random stream in the name's place, so that two suites have the same episodes.
        looks: in which looks the episodes are shown; the first is what others are compared with.
        perturbed: severities at which the first look is perturbed, one axis at a time; with a second copy of it, and
            with two axes at once.
        cell: side of a cell in pixels, so that larger boards have larger pictures; else all are 256 pixels square.
        max_pixels: largest image area that a model's processor may scale to, if nothing else is asked for.
        conditions: how they are put to a model if nothing else is asked for.
        prompts: prompt set, or a folder beside the file, if nothing else is asked for.
    """

    name: Annotated[str, Check(_misnamed)]
    about: str = ""
    split: Split = "test"
    split_by: SplitBy = "state"
    count: Episodes = 100
    parts: tuple[PartEntry, ...]
    mix: MixEntry = MixEntry()
    stream: Annotated[str, Check(_misnamed)] | None = None
    looks: tuple[str, ...] = ("classic",)
    perturbed: tuple[Annotated[int, Bounds(1, 5)], ...] = ()
    cell: Annotated[int, Bounds(4, 128)] | None = None
    max_pixels: Count | None = None
    conditions: tuple[Annotated[str, OneOf(CONDITIONS)], ...] = ()
    prompts: str | None = None


EXAMPLE = """\
# A suite: which episodes a model is asked about. What is left out is as it stands here.
name: {name}             # name and version; it names the random stream too: another name has other episodes
about: my own levels     # one line for people
split: test              # states of which split: train, val or test
split_by: state          # what the split keeps apart: state, or orbit (states with all their mirror images)
count: 100               # episodes a level
parts:                   # tasks (mgsd-bench tasks) with their levels, which are sizes in cells a side
  - task: frozenlake
    levels: [4, 6, 8]
  - task: maze
    levels: [4, 6]
    count: 50            # of these levels alone
    length: 6-20         # lengths of the shortest plan, for these levels alone
mix:
  length: null           # lengths of the shortest plan; null: a third easy, a third medium, a third hard
  density: null          # share of obstacle cells, for tasks that have any to choose; null: the task's own mix
  straight: 0.3          # largest share of episodes that a plan solves which sees no obstacles
stream: null             # names the random stream if the name is not to
looks: [classic]         # how the pictures look (mgsd-bench tasks); every episode is asked in each of them
perturbed: []            # severities, such as [1, 3, 5], at which the first look is perturbed too, axis by axis
cell: null               # side of a cell in pixels: larger boards, larger pictures; null: all are 256 pixels square
max_pixels: null         # largest area that a model's processor may scale pictures to, if nothing else is said
conditions: [visual]     # asked if nothing else is said: visual, symbolic, perceive, direct, act, ...
prompts: default         # asked with if nothing else is said; or a folder beside this file
"""


@cache
def shipped_names() -> tuple[str, ...]:
    """Names of the suites that come with the project; none is read."""
    names = (path.stem for path in _SHIPPED.glob("*.yaml"))
    return tuple(sorted(names, key=lambda name: (not name.startswith("mgsd-v"), name)))


@cache
def shipped_suite(name: str) -> Suite:
    """One of the suites that come with the project."""
    return read_suite(_SHIPPED / f"{name}.yaml")


def shipped_digests() -> dict[str, Digest]:
    """What the suites that come with the project hold, by name; none is made."""
    found = json.loads((_SHIPPED / "digests.json").read_text())
    return {name: Digest(**found[name]) for name in shipped_names()}


def read_suite(path: Path) -> Suite:
    """The suite that a file describes.

    Raises:
        UserError: the file cannot be read, or something in it is unknown or not possible.
    """
    layers = read_layer(path)
    file = validate(SuiteFile, layers)
    if path.parent != _SHIPPED and (_SHIPPED / f"{file.name}.yaml").exists():
        raise layers.error(("name",), f"{file.name!r} is the name of a suite of the project; choose another")
    if not file.parts:
        raise layers.error(("parts",), "is empty; write for example [{task: maze, levels: [3, 4]}]")
    theme, looks = _looks(file, layers)
    mix = _mix(file.mix.length, file.mix.density, file.mix.straight)
    parts = [part for i, entry in enumerate(file.parts) for part in _parts(entry, i, file, mix, layers)]
    levels = [(part.task, part.level) for part in parts]
    if twice := next((level for level in levels if levels.count(level) > 1), None):
        raise layers.error(("parts",), f"{twice[0]} {twice[1]} comes twice; leave one out")
    return Suite(
        name=file.name,
        about=file.about or "made to order",
        parts=tuple(parts),
        split=file.split,
        theme=theme,
        mix=mix,
        split_by=file.split_by,
        looks=looks,
        stream=file.stream,
        cell=file.cell,
    )


def asked_by(path: Path) -> Layers:
    """What a suite's file says of how it is to be asked, as settings of an evaluation.

    Raises:
        UserError: the file cannot be read, or something in it is unknown or not possible.
    """
    layers = read_layer(path)
    validate(SuiteFile, layers)
    values = {key: layers.values[key] for key in ("conditions", "prompts", "max_pixels") if layers.values.get(key)}
    if "prompts" in values and (folder := path.parent / values["prompts"]).is_dir():
        values["prompts"] = str(folder)
    return Layers(values, {key: origin for key, origin in layers.origins.items() if key and key[0] in values})


def shipped_file(name: str) -> Path | None:
    """The file of a suite that comes with the project; None if there is none of this name."""
    return _SHIPPED / f"{name}.yaml" if name in shipped_names() else None


def schema() -> dict[str, Any]:
    """The JSON Schema of suite files, for editors."""
    from mgsd_bench.config.editor_schema import editor_schema

    return editor_schema(SuiteFile, {}, extends=False)


def _looks(file: SuiteFile, layers: Layers) -> tuple[str, tuple[str, ...]]:
    """The first theme, and the looks if there are several."""
    if not file.looks:
        raise layers.error(("looks",), "is empty; write [classic]")
    read = []
    for text in file.looks:
        try:
            read.append(Look.parse(text))
        except ValueError as error:
            raise layers.error(("looks",), str(error)) from error
    theme = read[0].theme
    if read[0].perturbation is not None:
        raise layers.error(("looks",), f"{file.looks[0]!r} stands first and is perturbed; begin with its theme")
    looks = (*perturbed(theme, file.perturbed), *file.looks[1:]) if file.perturbed else file.looks
    if twice := next((look for look in looks if looks.count(look) > 1), None):
        raise layers.error(("looks",), f"{twice!r} comes twice; leave one out")
    return theme, looks if len(looks) > 1 else ()


def _parts(entry: PartEntry, number: int, file: SuiteFile, mix: Mix, layers: Layers) -> list[Part]:
    place: Key = ("parts", number)
    if entry.task not in task_names():
        raise layers.error((*place, "task"), f"{entry.task!r} is not installed; {suggest(entry.task, task_names())}")
    if not entry.levels:
        raise layers.error((*place, "levels"), "is empty; write for example [3, 4]")
    own = None
    if entry.length is not None or entry.density is not None:
        density = file.mix.density if entry.density is None else entry.density
        own = _mix(entry.length or file.mix.length, density, mix.straight)
    parts = [Part(entry.task, level, entry.count or file.count, own) for level in entry.levels]
    try:
        task = get_task(entry.task)
    except TaskError:  # said when its episodes are to be made: who takes other parts of the suite is not hurt by it
        return parts
    for level in entry.levels:
        if not task.min_level <= level <= task.max_level:
            known = f"{task.name} has levels {task.min_level} to {task.max_level}"
            raise layers.error((*place, "levels"), f"{level} is not possible; {known}")
    for look in file.looks:
        if (theme := Look.parse(look).theme) not in task.themes:
            raise layers.error(("looks",), f"{theme!r} is unknown to {task.name}; {suggest(theme, task.themes)}")
    return parts


def _mix(length: str | None, density: float | None, straight: float) -> Mix:
    return Mix(None if length is None else lengths_of(length), density, straight)
