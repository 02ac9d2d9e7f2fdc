"""Prompt sets: the texts that models are asked with, kept as data files.

A task brings its texts with it, a folder a prompt set (:attr:`mgsd_envs.Task.prompts`): one text a condition
(``visual.txt``, ``symbolic.txt``, ``perceive.txt``, ``direct.txt``) and one a theme (``look.classic.txt``: what the
things in the picture look like). A set of one's own is a folder with such a folder for each task. In a text,
``{look}`` stands for the theme's look, ``{state}`` for the state as text and ``{mission}`` for what is to be done where
a task's episodes ask for different things. The test image follows the text.
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

Condition = Literal["visual", "symbolic", "perceive", "direct", "act", "act-symbolic", "act-stale", "act-blind"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
ONE_SHOT: frozenset[Condition] = frozenset({"visual", "symbolic", "perceive", "direct"})
CLOSED_LOOP: frozenset[Condition] = frozenset({"act", "act-symbolic", "act-stale", "act-blind"})
WITH_IMAGE: frozenset[Condition] = frozenset({"visual", "perceive", "direct", "act", "act-stale", "act-blind"})
WITH_FACTS: frozenset[Condition] = frozenset({"visual", "perceive"})
WITH_PLAN: frozenset[Condition] = CLOSED_LOOP | {"visual", "symbolic", "direct"}


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The texts of a prompt set that a run needs.

    Attributes:
        name: ``default`` or another set of the tasks, or the folder given by the user.
        texts: template by (task, file stem), for example ``("maze", "visual")``.
    """

    name: str
    texts: dict[tuple[str, str], str]

    def render(self, episode: Episode, condition: Condition) -> str:
        """The text of the user turn for one episode, without the image."""
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


def load_prompts(name: str, episodes: Iterable[Episode], conditions: Collection[Condition]) -> PromptSet:
    """Read the texts that these episodes and conditions need.

    Args:
        name: a set that the tasks bring with them, or a folder of the user's.
        episodes: the episodes to be asked about.
        conditions: the conditions to be asked under.

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
        of_task = read_texts(folders[task], [theme], conditions, prefix, missions=bool(missions[task, theme]))
        texts |= {(task, stem): text for stem, text in of_task.items()}
    return PromptSet(name, texts)


def read_texts(
    folder: Path, themes: Collection[str], conditions: Iterable[str], prefix: str = "", *, missions: bool = False
) -> dict[str, str]:
    """One task's texts of a prompt set, by file stem.

    Args:
        folder: where they are.
        themes: looks to be described.
        conditions: the conditions to be asked under.
        prefix: what stands before a file's name in errors.
        missions: whether the task's episodes ask for different things.

    Raises:
        UserError: a file is missing, is not UTF-8, or lacks the placeholder it needs.
    """
    texts: dict[str, str] = {}
    for condition in conditions:
        text = _read(folder / f"{condition}.txt")
        if condition == "symbolic" and "{state}" not in text:
            raise UserError(f"{prefix}{condition}.txt needs {{state}} where the state belongs")
        if condition in WITH_IMAGE and "{state}" in text:
            raise UserError(f"{prefix}{condition}.txt gives the state away: remove {{state}}")
        if missions and condition in WITH_PLAN and "{mission}" not in text:
            raise UserError(f"{prefix}{condition}.txt needs {{mission}} where the mission belongs")
        if "{look}" in text:
            texts |= {f"look.{theme}": _read(folder / f"look.{theme}.txt") for theme in themes}
        texts[condition] = text
    return texts


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
