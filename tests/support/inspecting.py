"""Scripted models for inspect: they know a question by what it says and shows, and answer as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from inspect_ai import Task, eval  # noqa: A004
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import ChatMessage, Model, ModelOutput, ModelUsage, get_model


def said(messages: Sequence[ChatMessage]) -> str:
    """What messages say and show."""
    return json.dumps([message.model_dump(mode="json", include={"role", "content"}) for message in messages])


def questions(made: Task) -> dict[str, str]:
    """The ids of a task's episodes by what is asked at first."""
    found = {said(sample.input): str(sample.id) for sample in made.dataset if not isinstance(sample.input, str)}
    assert len(found) == len(made.dataset)
    return found


def scripted_model(answer: Callable[[str], str]) -> Model:
    """A model that is given what :func:`said` makes of the messages."""

    def output(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        found = ModelOutput.from_content("scripted", answer(said(messages)), "stop")
        found.usage = ModelUsage()  # else inspect counts tokens, with a file from the network
        return found

    return get_model("mockllm/model", custom_outputs=output, memoize=False)


def run_task(task: str, answer: Callable[[str], str], *, options: Any = None, **choice: Any) -> EvalLog:
    """The log of a task, by its name or the file's path, that a scripted model answers."""
    model = scripted_model(answer)
    (log,) = eval(task, model=model, task_args=choice, display="none", log_level="error", **(options or {}))
    return log


def samples_of(log: EvalLog) -> list[EvalSample]:
    """The samples of a log, which has some."""
    assert log.samples
    return log.samples
