"""Prompt sets: the texts that models are asked with, kept as data files.

A task brings its texts with it, a folder a prompt set (:attr:`mgsd_envs.Task.prompts`): one text a one-shot condition
(``visual.txt``, ``symbolic.txt``, ``perceive.txt``, ``direct.txt``), three for closed loop (``act.txt`` for all
conditions with pictures, ``act-symbolic.txt``, and ``act.say.txt`` where the model is to state what it sees) and one a
theme (``look.classic.txt``: what the things in the picture look like). A set of one's own is a folder with such a
folder for each task. In a text, ``{look}`` stands for the theme's look, ``{state}`` for the state as text and
``{mission}`` for what is to be done where a task's episodes ask for different things. The test image follows the text.

In texts for closed loop, ``{protocol}`` or its short form ``{protocol:compact}`` stands for how turns are taken and
answered (:mod:`mgsd_bench.prompts.protocol`): so a set of texts chooses between the two. State and pictures come with
the turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mgsd_bench.errors import UserError, option
from mgsd_envs import get_task
from mgsd_envs.files import read_text

if TYPE_CHECKING:
    from mgsd_envs import Episode

OneShot = Literal["visual", "symbolic", "perceive", "direct"]
ClosedLoop = Literal["act", "act-symbolic", "act-stale", "act-blind"]
Condition = Literal[OneShot, ClosedLoop]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""Every condition; the one-shot ones come first."""

ONE_SHOT: frozenset[Condition] = frozenset(get_args(OneShot))
"""Asked once: the answer is scored."""

CLOSED_LOOP: frozenset[Condition] = frozenset(get_args(ClosedLoop))
"""Asked turn by turn: each answer is carried out, and what came of it is asked about next."""

WITH_IMAGE: frozenset[Condition] = frozenset({"visual", "perceive", "direct", "act", "act-stale", "act-blind"})
"""A picture is shown, if only the first one."""

WITH_FACTS: frozenset[Condition] = frozenset({"visual", "perceive"})
"""The state is asked for in any case."""

WITH_PLAN: frozenset[Condition] = frozenset[Condition]({"visual", "symbolic", "direct"}) | CLOSED_LOOP
"""There is a plan: the one that is answered, or what was done."""

PROTOCOLS = ("{protocol}", "{protocol:compact}")
"""What stands in a text for closed loop where the taking of turns is to be told, at length or in short."""


def in_order(conditions: Collection[str]) -> tuple[Condition, ...]:
    """Some conditions in the order of :data:`CONDITIONS`."""
    return tuple(condition for condition in CONDITIONS if condition in conditions)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The texts of a prompt set that a run needs.

    Attributes:
        name: ``default`` or another set of the tasks, or the folder given by the user.
        texts: template by (task, condition), for example ``("maze", "visual")``, or by task and the stem of a look's
            file.
    """

    name: str
    texts: dict[tuple[str, str], str]

    def render(self, episode: Episode, condition: Condition) -> str:
        """The text of the user turn for one episode, without the image.

        Of a condition of closed loop it is the text of the first turn, without the protocol
        (:func:`mgsd_bench.prompts.protocol.opening`).
        """
        text = self.texts[episode.task, condition]
        if "{look}" in text:
            text = text.replace("{look}", self.texts[episode.task, f"look.{episode.theme}"])
        if "{mission}" in text:
            text = text.replace("{mission}", get_task(episode.task).mission(episode.state))
        if "{state}" in text:
            text = text.replace("{state}", get_task(episode.task).describe(episode.state))
        return text

    def by_question(self) -> dict[str, str]:
        """The texts by ``task/condition``, with the look in its place if there is but one; what a run records."""
        looks: dict[str, list[str]] = {}
        for (task, stem), text in self.texts.items():
            looks.setdefault(task, []).extend([text] if stem.startswith("look.") else [])
        return {
            f"{task}/{stem}": text.replace("{look}", looks[task][0]) if len(looks[task]) == 1 else text
            for (task, stem), text in sorted(self.texts.items())
            if not stem.startswith("look.")
        }

    def canonical(self) -> list[str]:
        """The texts with their names, sorted; what run digests are taken over."""
        return [f"{task}/{stem}\n{text}" for (task, stem), text in sorted(self.texts.items())]


def load_prompts(
    name: str, episodes: Iterable[Episode], conditions: Collection[Condition], *, say_state: bool = False
) -> PromptSet:
    """Read the texts that these episodes and conditions need.

    Args:
        name: a set that the tasks bring with them, or a folder of the user's.
        episodes: the episodes to be asked about.
        conditions: the conditions to be asked under.
        say_state: in closed loop with pictures, ask for the state that is seen in every turn.

    Raises:
        UserError: the set or one of its files is missing, is not UTF-8, or lacks the placeholder it needs.
    """
    missions: dict[tuple[str, str], str] = {}
    for episode in episodes:
        missions.setdefault((episode.task, episode.theme), get_task(episode.task).mission(episode.state))
    asked = sorted(missions)
    folders = _folders(name, dict.fromkeys(task for task, _ in asked))
    texts: dict[tuple[str, str], str] = {}
    for task, theme in asked:
        prefix = f"{option('prompts', name)}: {task}/"
        mission = bool(missions[task, theme])
        of_task = read_texts(folders[task], [theme], conditions, prefix, missions=mission, say_state=say_state)
        texts |= {(task, stem): text for stem, text in of_task.items()}
    return PromptSet(name, texts)


def read_texts(
    folder: Path,
    themes: Collection[str],
    conditions: Iterable[str],
    prefix: str = "",
    *,
    missions: bool = False,
    say_state: bool = False,
) -> dict[str, str]:
    """One task's texts of a prompt set: by condition, and its looks by file stem.

    Args:
        folder: where they are.
        themes: looks to be described.
        conditions: the conditions to be asked under.
        prefix: what stands before a file's name in errors.
        missions: whether the task's episodes ask for different things.
        say_state: in closed loop with pictures, ask for the state that is seen in every turn.

    Raises:
        UserError: a file is missing, is not UTF-8, or lacks the placeholder it needs.
    """
    texts: dict[str, str] = {}
    for condition in conditions:
        stem = file_stem(condition, say_state=say_state)
        text = _read(folder / f"{stem}.txt")
        if condition == "symbolic" and "{state}" not in text:
            raise UserError(f"{prefix}{stem}.txt needs {{state}} where the state belongs")
        if condition in WITH_IMAGE and "{state}" in text:
            raise UserError(f"{prefix}{stem}.txt gives the state away: remove {{state}}")
        if condition == "act-symbolic" and "{state}" in text:
            raise UserError(f"{prefix}{stem}.txt tells a state that comes with every turn: remove {{state}}")
        if condition in CLOSED_LOOP and not any(each in text for each in PROTOCOLS):
            raise UserError(f"{prefix}{stem}.txt needs {' or '.join(PROTOCOLS)} where the taking of turns is told")
        if missions and condition in WITH_PLAN and "{mission}" not in text:
            raise UserError(f"{prefix}{stem}.txt needs {{mission}} where the mission belongs")
        if "{look}" in text:
            texts |= {f"look.{theme}": _read(folder / f"look.{theme}.txt") for theme in themes}
        texts[condition] = text
    return texts


def file_stem(condition: str, *, say_state: bool = False) -> str:
    """Which file, ``.txt`` left off, has a condition's text; all closed loops with pictures are told the same."""
    if condition in CLOSED_LOOP and condition in WITH_IMAGE:
        return "act.say" if say_state else "act"
    return condition


def _folders(name: str, tasks: Iterable[str]) -> dict[str, Path]:
    """Where each task's texts are."""
    sets = {task: prompt_sets(task) for task in tasks}
    having = [task for task, of_task in sets.items() if name in of_task]
    if len(having) == len(sets):
        return {task: of_task[name] for task, of_task in sets.items()}
    if not having and Path(name).is_dir():
        return {task: Path(name, task) for task in sets}
    task, of_task = next((task, of_task) for task, of_task in sets.items() if name not in of_task)
    known = ", ".join(of_task) or "none"
    raise UserError(f"{option('prompts', name)}: no such folder, and not one of the sets of task {task}: {known}")


def prompt_sets(task: str) -> dict[str, Path]:
    """The prompt sets that a task brings with it: names and folders."""
    folder = get_task(task).prompts
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path for path in found if path.is_dir() and not path.name.startswith((".", "_"))}


def _read(path: Path) -> str:
    try:
        return read_text(path).strip()
    except FileNotFoundError as error:
        raise UserError(
            f"{option('prompts')}: {path} is missing; a prompt set needs it for this task and condition"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{option('prompts')}: {path} cannot be read as UTF-8 text: {error}") from error
