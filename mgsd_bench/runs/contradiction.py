"""Whether a stored sample can be what its own text and episode come to."""

from __future__ import annotations

from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.prompts import WITH_FACTS, WITH_PLAN
from mgsd_bench.runs.loop_contradiction import loop_contradiction
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_envs import Episode, get_task, rollout


def contradiction(sample: Sample, episode: Episode | None) -> str | None:
    """What in a sample cannot be; None if nothing is found.

    The plan's fate is simulated anew. Plan and facts are read anew too, but another version of the reader may have read
    an answer in an unusual form otherwise: what is held against them is the reading of the form that was asked for, and
    facts that are neither among those read today nor hold all of them.

    Args:
        sample: the sample, with its text.
        episode: its episode; None if the run has none of that name.
    """
    if episode is None:
        return f"episode {sample.episode[:40]!r} is not in the run"
    for name in ("task", "level", "shortest", "straight", "detour"):
        if getattr(sample, name) != getattr(episode, name):
            return f"{name} is not that of the episode"
    if (sample.error is None) != (sample.outcome != Outcome.ERROR):
        return "outcome and error do not agree"
    if sample.loop is not None:
        return loop_contradiction(sample, episode)
    if sample.outcome == Outcome.ERROR:
        return None if not sample.plan and not sample.facts else "a failed request has no plan and no facts"
    task = get_task(episode.task)
    answer = parse_answer(sample.text, task, whole=sample.finish_reason != "length")
    stated = sample.stated
    read = task.with_given(episode.state, answer.facts) if sample.condition in WITH_FACTS else frozenset()
    if not (stated <= read or read <= stated):
        return "facts are not those of the text"
    if sample.condition not in WITH_PLAN:
        right = stated == task.facts(episode.state)
        wanted = {Outcome.SOLVED} if right else {Outcome.WRONG} if stated else {Outcome.NO_ANSWER, Outcome.TRUNCATED}
        return None if sample.outcome in wanted and sample.optimal == right else "outcome is not that of the facts"
    plan = None if sample.plan is None else tuple(sample.plan)
    if answer.form == "asked" and plan != answer.plan:
        return "plan is not that of the text"
    if plan is None:
        cut = sample.finish_reason == "length"
        return None if sample.outcome == (Outcome.TRUNCATED if cut else Outcome.NO_ANSWER) else "outcome without a plan"
    fate = rollout(task, episode.state, plan)
    best = fate.outcome == "solved" and fate.steps == episode.shortest
    found = (sample.outcome, sample.optimal, sample.illegal, sample.steps)
    return None if found == (fate.outcome, best, fate.illegal, fate.steps) else "outcome is not that of the plan"
