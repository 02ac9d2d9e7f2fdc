"""The suites as tasks of inspect_ai: ``inspect eval mgsd_bench/visual --model anthropic/...``.

inspect finds this module by its entry point, or the file by its path: ``inspect eval .../inspect_tasks.py@visual``. The
questions are those of ``mgsd-bench eval``, text and picture, and an answer is worth what it is worth there. A request
that fails is scored too, as not solved, so that it stays in the denominator.

Arguments mean what the options of ``mgsd-bench eval`` mean; ``repeats`` is what inspect calls epochs. ``others`` takes
what no argument is called: an error here, where inspect would only warn.
"""

from __future__ import annotations

from inspect_ai import Task, task

from mgsd_bench.integrations.inspect_playing import play
from mgsd_bench.integrations.inspect_questions import Items, make_task
from mgsd_bench.integrations.inspect_scoring import estimates, simulator

__all__ = ["act", "act_symbolic", "direct", "estimates", "perceive", "play", "simulator", "symbolic", "visual"]


@task
def visual(
    suite: str = "mgsd-v1",
    tasks: Items | None = None,
    levels: Items | None = None,
    limit: int | None = None,
    repeats: int = 1,
    prompts: str = "default",
    theme: str | None = None,
    data_root: str | None = None,
    image: str | None = None,
    **others: object,
) -> Task:
    """A picture is shown: say what is there, and plan."""
    return make_task(
        "visual",
        others,
        suite=suite,
        tasks=tasks,
        levels=levels,
        limit=limit,
        repeats=repeats,
        prompts=prompts,
        theme=theme,
        data_root=data_root,
        image=image,
    )


@task
def symbolic(
    suite: str = "mgsd-v1",
    tasks: Items | None = None,
    levels: Items | None = None,
    limit: int | None = None,
    repeats: int = 1,
    prompts: str = "default",
    theme: str | None = None,
    data_root: str | None = None,
    image: str | None = None,
    **others: object,
) -> Task:
    """The state is told as text: plan."""
    return make_task(
        "symbolic",
        others,
        suite=suite,
        tasks=tasks,
        levels=levels,
        limit=limit,
        repeats=repeats,
        prompts=prompts,
        theme=theme,
        data_root=data_root,
        image=image,
    )


@task
def perceive(
    suite: str = "mgsd-v1",
    tasks: Items | None = None,
    levels: Items | None = None,
    limit: int | None = None,
    repeats: int = 1,
    prompts: str = "default",
    theme: str | None = None,
    data_root: str | None = None,
    image: str | None = None,
    **others: object,
) -> Task:
    """A picture is shown: say what is there."""
    return make_task(
        "perceive",
        others,
        suite=suite,
        tasks=tasks,
        levels=levels,
        limit=limit,
        repeats=repeats,
        prompts=prompts,
        theme=theme,
        data_root=data_root,
        image=image,
    )


@task
def direct(
    suite: str = "mgsd-v1",
    tasks: Items | None = None,
    levels: Items | None = None,
    limit: int | None = None,
    repeats: int = 1,
    prompts: str = "default",
    theme: str | None = None,
    data_root: str | None = None,
    image: str | None = None,
    **others: object,
) -> Task:
    """A picture is shown: plan."""
    return make_task(
        "direct",
        others,
        suite=suite,
        tasks=tasks,
        levels=levels,
        limit=limit,
        repeats=repeats,
        prompts=prompts,
        theme=theme,
        data_root=data_root,
        image=image,
    )


@task
def act(
    suite: str = "mgsd-v1",
    tasks: Items | None = None,
    levels: Items | None = None,
    limit: int | None = None,
    repeats: int = 1,
    prompts: str = "default",
    theme: str | None = None,
    data_root: str | None = None,
    image: str | None = None,
    view: str = "full",
    history: str | int = "4",
    feedback: str = "result",
    remember: str = "answers",
    chunk: str | int = "1",
    say_state: bool = False,
    no_stop_stuck: bool = False,
    **others: object,
) -> Task:
    """Closed loop: a picture is shown in every turn, and an action is done."""
    return make_task(
        "act",
        others,
        suite=suite,
        tasks=tasks,
        levels=levels,
        limit=limit,
        repeats=repeats,
        prompts=prompts,
        theme=theme,
        data_root=data_root,
        image=image,
        loop={
            "view": view,
            "history": history,
            "feedback": feedback,
            "remember": remember,
            "chunk": chunk,
            "say_state": say_state,
            "no_stop_stuck": no_stop_stuck,
        },
    )


@task
def act_symbolic(
    suite: str = "mgsd-v1",
    tasks: Items | None = None,
    levels: Items | None = None,
    limit: int | None = None,
    repeats: int = 1,
    prompts: str = "default",
    theme: str | None = None,
    data_root: str | None = None,
    image: str | None = None,
    view: str = "full",
    history: str | int = "4",
    feedback: str = "result",
    remember: str = "answers",
    chunk: str | int = "1",
    no_stop_stuck: bool = False,
    **others: object,
) -> Task:
    """Closed loop: the state is told as text in every turn, and an action is done."""
    return make_task(
        "act-symbolic",
        others,
        suite=suite,
        tasks=tasks,
        levels=levels,
        limit=limit,
        repeats=repeats,
        prompts=prompts,
        theme=theme,
        data_root=data_root,
        image=image,
        loop={
            "view": view,
            "history": history,
            "feedback": feedback,
            "remember": remember,
            "chunk": chunk,
            "no_stop_stuck": no_stop_stuck,
        },
    )
