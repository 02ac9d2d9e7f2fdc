"""The suites as tasks of inspect_ai: ``inspect eval mgsd_bench/visual --model anthropic/...``.

inspect finds this module by its entry point; nothing else of mgsd_bench imports inspect. The questions are those of
``mgsd-bench eval``, text and picture, and the answers are scored by :func:`mgsd_bench.runs.scoring.score`. A request
that fails is scored too, as not solved, so that it stays in the denominator.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from click import ClickException  # inspect's command line is one of click's
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, GenerateConfig, ModelOutput
from inspect_ai.scorer import Metric, SampleScore, Scorer, Target, Value, metric, scorer
from inspect_ai.scorer import Score as InspectScore
from inspect_ai.solver import TaskState

from mgsd_bench.analysis.attribution import Counts, count_facts
from mgsd_bench.analysis.groups import group_column
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.backends import FinishReason, Response, Sampling
from mgsd_bench.backends.chat_api import user_turn
from mgsd_bench.errors import SettingValue, UserError, option, python
from mgsd_bench.prompts import WITH_FACTS, WITH_IMAGE, WITH_PLAN, Condition, PromptSet, load_prompts
from mgsd_bench.records import DECIMALS, to_json
from mgsd_bench.runs.lines import facts_row
from mgsd_bench.runs.scoring import SCORER_VERSION, Outcome, Score, score
from mgsd_bench.statistics.intervals import Estimate
from mgsd_bench.suites.choose import choose_suite, numbers, split_list
from mgsd_bench.suites.settings import SuiteSettings
from mgsd_bench.suites.suite import digest, episodes, subsample
from mgsd_envs import Episode, TaskError, episode_from_json, get_task

Items = str | int | list[str | int]
"""What ``-T name=a,b`` comes to: one item, or a list of them."""

_ENDS: dict[str, FinishReason] = {"stop": "stop", "unknown": "stop", "max_tokens": "length", "model_length": "length"}


def _task_of(condition: Condition) -> Callable[..., Task]:
    def make(
        suite: str = "mgsd-v1",
        tasks: Items | None = None,
        levels: Items | None = None,
        limit: int | None = None,
        prompts: str = "default",
        theme: str | None = None,
        data_root: str | None = None,
        image: str | None = None,
        **others: object,
    ) -> Task:
        """A suite under one condition; the arguments are the options of ``mgsd-bench eval`` of the same names.

        Raises:
            ClickException: one of them names nothing there is; inspect's command line shows its one line.
        """
        try:
            for name in others.keys() - {"model"}:  # inspect passes its model to tasks that take any argument
                raise UserError(f"{option(name)}: these tasks have no such option")
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
            asked = episodes(chosen)
            if limit is not None:
                asked = subsample(asked, _whole("limit", limit))
            texts = load_prompts(str(prompts), asked, [condition])
            samples = [_sample(episode, condition, texts) for episode in asked]
        except UserError as error:
            raise ClickException(error.spelled(_task_argument)) from error
        except TaskError as error:
            raise ClickException(str(error)) from error
        sampling = Sampling()
        return Task(
            dataset=MemoryDataset(samples, name=chosen.name),
            scorer=simulator(condition),
            config=GenerateConfig(max_tokens=sampling.max_tokens, temperature=sampling.temperature),
            score_on_error=True,
            version=SCORER_VERSION,
            metadata={
                "condition": condition,
                "suite": chosen.name,
                "digest": digest(asked, texts.canonical()),
                "episodes_digest": digest(asked),
                "prompts": str(prompts),
            },
        )

    return task(name=condition)(make)


visual = _task_of("visual")
symbolic = _task_of("symbolic")
perceive = _task_of("perceive")
direct = _task_of("direct")


def _task_argument(name: str, value: SettingValue) -> str:
    return f"-T {python(name, value)}"


def _items(value: Items | None) -> list[str]:
    return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise UserError(f"{option(name, value)}: must be a whole number")
    return value


def _sample(episode: Episode, condition: Condition, prompts: PromptSet) -> Sample:
    right = write_plan(episode.plan) if condition in WITH_PLAN else get_task(episode.task).describe(episode.state)
    return Sample(
        id=episode.id,
        input=[_turn(prompts.render(episode, condition), episode if condition in WITH_IMAGE else None)],
        target=right,
        metadata={
            "task": episode.task,
            "level": episode.level,
            "shortest": episode.shortest,
            "straight": episode.straight,
            "detour": episode.detour,
            "episode": episode.to_json(),
        },
    )


def _turn(text: str, shown: Episode | None) -> ChatMessageUser:
    """The user turn that the openai backend sends, in inspect's types."""
    try:
        (message,) = user_turn(text, None if shown is None else shown.shown())
    except ValueError as error:
        raise UserError(str(error)) from error
    if isinstance(message["content"], str):
        return ChatMessageUser(content=message["content"])
    said, picture = message["content"]
    return ChatMessageUser(content=[ContentText(text=said["text"]), ContentImage(image=picture["image_url"]["url"])])


def read_output(output: ModelOutput) -> Response:
    """A model's output as a response, without its key.

    A stop reason that inspect does not know ends an answer like any other. No output at all (the request failed, or
    one of inspect's limits ended the sample), a content filter or a tool call is an error.
    """
    if output.empty:
        return Response("", "", "error", error="there is no output: the request failed, or a limit ended it")
    if output.stop_reason not in _ENDS:
        return Response("", "", "error", error=f"the answer ended with {output.stop_reason}, as no plain answer does")
    return Response("", output.completion, _ENDS[output.stop_reason])


@metric(scores="unreduced")
def estimates() -> Metric:
    """What ``metrics.json`` and ``diagnosis.json`` hold of a run: macro averages with 95 % intervals, and tasks.

    Made of the scores of all epochs: an episode counts once, with the mean over its epochs.
    """

    def compute(scores: list[SampleScore]) -> Value:
        if not scores:
            return {}
        frame = pd.DataFrame([_row(sample) for sample in scores])
        solved = group_column(frame, "solved")
        found = _figures("macro", solved.estimate())
        found |= {task: round(solved.at(task).estimate().value, DECIMALS) for task in solved.tasks}
        found["accuracy"] = float(frame["solved"].mean())
        found |= _figures("optimal", group_column(frame, "optimal").estimate())
        if "state_tp" in frame:
            found |= _figures("state_f1", group_column(frame, "state", "f1").estimate())
        found["errors"] = int((frame["outcome"] == Outcome.ERROR).sum())
        return found

    return compute


def _row(sample: SampleScore) -> dict[str, Any]:
    """A score as a row of the table of samples."""
    values: Any = sample.score.value
    about, found = sample.sample_metadata or {}, sample.score.metadata or {}
    counts = zip(("state_tp", "state_fp", "state_fn"), found["counts"] or (), strict=False)
    return {
        "task": about["task"],
        "level": about["level"],
        "episode": str(sample.sample_id),
        "solved": values["solved"],
        "optimal": values["optimal"],
        "outcome": found["outcome"],
        **dict(counts),
    }


def _figures(name: str, estimate: Estimate) -> dict[str, str | int | float | bool | None]:
    figures = to_json(estimate)
    return {name: figures["value"], f"{name}_low": figures["low"], f"{name}_high": figures["high"]}


@scorer(metrics=[estimates()])
def simulator(condition: Condition) -> Scorer:
    """Tries the plan in the simulator, and compares the stated facts with the true ones.

    The score's values are ``solved``, ``optimal`` and, where facts are asked for, ``state_f1``, from 0 to 1. Its
    metadata hold ``outcome``, ``plan``, ``form``, ``illegal``, ``steps``, ``dead_end`` (if there is one), ``facts``,
    their ``counts`` (stated and true, stated but false, true but not stated), ``finish_reason`` and ``error``, as in
    ``samples.jsonl``.
    """

    async def score_state(state: TaskState, target: Target) -> InspectScore:
        episode = episode_from_json(state.metadata["episode"])
        response = read_output(state.output)
        scored = score(episode, condition, response)
        values = {"solved": float(scored.outcome == Outcome.SOLVED), "optimal": float(scored.optimal)}
        counts = None
        if condition in WITH_FACTS:
            task = get_task(episode.task)
            counts = count_facts(task.seen(task.facts(episode.state)), task.seen(scored.facts))
            values["state_f1"] = 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn)
        return InspectScore(
            value=values,
            answer=None if scored.plan is None else write_plan(scored.plan),
            explanation=_explain(episode, scored, response, counts),
            metadata={
                "outcome": scored.outcome.value,
                "plan": None if scored.plan is None else list(scored.plan),
                "form": scored.form,
                "illegal": scored.illegal,
                "steps": scored.steps,
                **({} if scored.dead_end is None else {"dead_end": scored.dead_end}),
                "facts": facts_row(scored.facts),
                "counts": None if counts is None else list(counts),
                "finish_reason": response.finish_reason,
                "error": response.error,
            },
        )

    return score_state


def _explain(episode: Episode, scored: Score, response: Response, counts: Counts | None) -> str:
    match scored.outcome:
        case Outcome.ERROR:
            return f"error: {response.error}"
        case Outcome.SOLVED if scored.plan is not None:
            said = f"solved in {scored.steps} actions, of which {episode.shortest} are enough"
        case Outcome.WRONG if scored.plan is not None:
            said = f"wrong: {scored.steps} legal actions that end short of the goal"
        case Outcome.ILLEGAL:
            said = f"illegal: action {scored.steps + 1} breaks the rule {scored.illegal}"
        case Outcome.NO_ANSWER:
            said = "no answer that can be read"
        case Outcome.TRUNCATED:
            said = "truncated: out of tokens before a complete answer"
        case _:
            said = str(scored.outcome)
    facts = "" if counts is None else f"; facts stated: {counts.tp} true, {counts.fp} false, {counts.fn} left out"
    return said + facts
