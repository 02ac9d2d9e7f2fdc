"""Scores of inspect that are ours: the same outcome for the same answer, the same figures for the same samples."""

from __future__ import annotations

from typing import Any

import pandas as pd
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import TaskState

from mgsd_bench.analysis.attribution import SampleDiagnosis, diagnose_sample
from mgsd_bench.analysis.groups import group_column
from mgsd_bench.analysis.transcript import Transcript
from mgsd_bench.analysis.transcript import play as play_again
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.evaluation.rescore import read_anew
from mgsd_bench.integrations.inspect_explaining import explain
from mgsd_bench.integrations.inspect_messages import read_output
from mgsd_bench.integrations.inspect_playing import Played
from mgsd_bench.prompts import CLOSED_LOOP, Condition
from mgsd_bench.records import DECIMALS, to_json
from mgsd_bench.runs.conversation import Question, score_response
from mgsd_bench.runs.loop_sample import loop_sample
from mgsd_bench.runs.loop_scoring import ending_of
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_bench.statistics.intervals import Estimate
from mgsd_envs import Episode, episode_from_json


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
def simulator() -> Scorer:
    """Tries the plan in the simulator, and compares the stated facts with the true ones.

    The score's values are ``solved``, ``optimal`` and, where facts are asked for, ``state_f1``, from 0 to 1. Its
    explanation says why an answer failed, with pictures of the true world and of the stated one. Its metadata hold
    ``attribution`` under ``visual``, ``loop`` in the closed loop, and ``outcome``, ``plan``, ``form``, ``illegal``,
    ``steps``, ``dead_end`` (if there is one), ``facts``, their ``counts`` (stated and true, stated but false, true but
    not stated), ``finish_reason`` and ``error``, as in ``samples.jsonl``.
    """

    async def score_state(state: TaskState, target: Target) -> Score:
        episode, transcript = episode_from_json(state.metadata["episode"]), None
        condition: Condition = state.metadata["condition"]
        if condition in CLOSED_LOOP:
            sample, transcript = _played(episode, condition, state)
        else:
            question = Question(episode, condition, state.epoch - 1)
            sample = score_response(question, "", read_output(state.output))
        found = diagnose_sample(episode, sample)
        values = {"solved": float(sample.outcome == Outcome.SOLVED), "optimal": float(sample.optimal)}
        if found.state_f1 is not None:
            values["state_f1"] = found.state_f1
        return Score(
            value=values,
            answer=None if sample.plan is None else write_plan(tuple(sample.plan)),
            explanation=explain(episode, sample, found, transcript),
            metadata=_metadata(sample, found),
        )

    return score_state


def _played(episode: Episode, condition: Condition, state: TaskState) -> tuple[Sample, Transcript | None]:
    """What was played, with its answers read as they are read today, as a rescored run's are."""
    played = Played.kept(state.store)
    settings = played.settings
    turns = [read_anew(turn, say_state=settings.say_state) or turn for turn in played.turns]
    ending = ending_of(played.outcome)
    sample = loop_sample(episode, condition, state.epoch - 1, settings, turns, ending, error=played.error)
    causes = None if sample.loop is None else sample.loop.causes
    return sample, play_again(episode, settings.view, turns, causes) if turns else None


def _metadata(sample: Sample, found: SampleDiagnosis) -> dict[str, Any]:
    counted = found.state_tp is not None
    return {
        "outcome": sample.outcome,
        **({} if found.attribution is None else {"attribution": found.attribution}),
        "plan": sample.plan,
        "form": sample.form,
        "illegal": sample.illegal,
        "steps": sample.steps,
        **({} if sample.dead_end is None else {"dead_end": sample.dead_end}),
        **({} if sample.loop is None else {"loop": sample.loop.to_row()}),
        "finish_reason": sample.finish_reason,
        "error": sample.error,
        "counts": [found.state_tp, found.state_fp, found.state_fn] if counted else None,
        "facts": sample.facts,
    }
