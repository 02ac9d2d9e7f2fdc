"""From the arguments of a task of inspect to what is asked: the questions of ``mgsd-bench eval``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from click import ClickException  # inspect's command line is one of click's
from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.solver import generate
from inspect_ai.viewer import TaskSamplesColumn, TaskSamplesView, ViewerConfig

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.backends import Sampling, Turn
from mgsd_bench.config.settings import make_settings
from mgsd_bench.errors import SettingValue, UserError, option, python
from mgsd_bench.evaluation.settings import LoopOptions
from mgsd_bench.integrations.inspect_messages import chat
from mgsd_bench.integrations.inspect_playing import play
from mgsd_bench.integrations.inspect_scoring import simulator
from mgsd_bench.prompts import WITH_FACTS, WITH_IMAGE, WITH_PLAN, Condition, PromptSet, load_prompts
from mgsd_bench.runs.closed_loop import Loop, closed_loop, step_limits
from mgsd_bench.runs.conversation import Question
from mgsd_bench.runs.scoring import SCORER_VERSION
from mgsd_bench.suites.choose import choose_suite, numbers, split_list
from mgsd_bench.suites.settings import SuiteSettings
from mgsd_bench.suites.suite import Suite, digest, episodes, subsample
from mgsd_envs import Episode, TaskError, get_task

Items = str | int | list[str | int]
"""What ``-T name=a,b`` comes to: one item, or a list of them."""


def make_task(
    condition: Condition,
    others: Mapping[str, object],
    *,
    suite: str,
    tasks: Items | None,
    levels: Items | None,
    limit: int | None,
    repeats: int,
    prompts: str,
    theme: str | None,
    data_root: str | None,
    image: str | None,
    loop: Mapping[str, object] | None = None,
) -> Task:
    """A suite under one condition; the arguments are the options of ``mgsd-bench eval`` of the same names.

    Args:
        condition: how episodes are put to the model.
        others: arguments that none of these is called.
        suite: which suite.
        tasks: only these tasks.
        levels: only these levels.
        limit: episodes a level.
        repeats: how often each question is asked.
        prompts: the prompt set, or a folder.
        theme: look of the pictures.
        data_root: folder of an external suite.
        image: pictures of an external suite.
        loop: how the closed loop is played, for its conditions.

    Raises:
        ClickException: one of them names nothing there is; inspect's command line shows its one line.
    """
    try:
        for name in others.keys() - {"model"}:  # inspect passes its model to tasks that take any argument
            raise UserError(f"{option(name)}: these tasks have no such option")
        options = None if loop is None else make_settings(LoopOptions, **loop)
        chosen = choose_suite(
            SuiteSettings(
                suite=str(suite),
                tasks=tuple(split_list(_items(tasks))),
                levels=tuple(numbers(_items(levels))),
                theme=theme,
                data_root=None if data_root is None else Path(data_root),
                image=image,
            )
        )
        return _task(condition, chosen, limit, _whole("repeats", repeats), str(prompts), options)
    except UserError as error:
        raise ClickException(error.spelled(_task_argument)) from error
    except TaskError as error:
        raise ClickException(str(error)) from error


def _task(
    condition: Condition, chosen: Suite, limit: int | None, repeats: int, prompts: str, options: LoopOptions | None
) -> Task:
    whole = episodes(chosen)
    asked = whole if limit is None else subsample(whole, _whole("limit", limit))
    loop = None if options is None else Loop(options.loop(), step_limits(whole, options.loop().view))
    texts = load_prompts(prompts, asked, [condition], say_state=loop is not None and loop.settings.say_state)
    sampling = Sampling()
    return Task(
        dataset=MemoryDataset([_sample(episode, condition, texts, loop) for episode in asked], name=chosen.name),
        solver=generate() if options is None else play(prompts, **asdict(options)),
        scorer=simulator(),
        config=GenerateConfig(max_tokens=sampling.max_tokens, temperature=sampling.temperature),
        epochs=repeats,
        score_on_error=True,
        version=SCORER_VERSION,
        metadata={
            "condition": condition,
            "suite": chosen.name,
            "digest": digest(asked, texts.canonical()),
            "episodes_digest": digest(asked),
            "prompts": prompts,
            **({} if loop is None else {"loop": loop.settings.to_json()}),
        },
        viewer=_viewer(condition),
    )


def _task_argument(name: str, value: SettingValue) -> str:
    return f"-T {python(name, value)}"


def _items(value: Items | None) -> list[str]:
    return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise UserError(f"{option(name, value)}: must be a whole number")
    return value


def _sample(episode: Episode, condition: Condition, prompts: PromptSet, loop: Loop | None) -> Sample:
    right = write_plan(episode.plan) if condition in WITH_PLAN else get_task(episode.task).describe(episode.state)
    metadata: dict[str, Any] = {
        "condition": condition,
        "task": episode.task,
        "level": episode.level,
        "shortest": episode.shortest,
        "straight": episode.straight,
        "detour": episode.detour,
    }
    if loop is None:
        picture = episode.shown if condition in WITH_IMAGE else None
        turns: tuple[Turn, ...] = (Turn("user", prompts.render(episode, condition), picture),)
    else:
        turns = next(closed_loop(Question(episode, condition, 0), prompts, 0, loop)).turns
        metadata["steps"] = loop.limits[episode.task, episode.level]
    return Sample(id=episode.id, input=chat(turns), target=right, metadata={**metadata, "episode": episode.to_json()})


def _viewer(condition: Condition) -> ViewerConfig:
    """What the list of samples shows in inspect's viewer: no question's text, which is much the same in all of them."""
    values = ["solved", "optimal", *(["state_f1"] if condition in WITH_FACTS else [])]
    columns = [TaskSamplesColumn(id=name) for name in ("sampleStatus", "sampleId", "epoch", "target", "answer")]
    columns += [TaskSamplesColumn.score("simulator", value) for value in values]
    columns += [TaskSamplesColumn(id=name) for name in ("tokens", "duration", "error")]
    columns.append(TaskSamplesColumn(id="input", visible=False))
    return ViewerConfig(task_samples_view=TaskSamplesView(name=condition, columns=columns, multiline=False))
