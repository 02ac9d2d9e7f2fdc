"""Why an answer failed, as Markdown for inspect's viewer: the true world and the stated one, and what was done in each.

Texts of models stand in code blocks alone, where they are shown as they are.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO

from mgsd_bench.analysis.attribution import Attribution, SampleDiagnosis, believed_state
from mgsd_bench.analysis.stored_answers import StoredAnswer
from mgsd_bench.analysis.transcript import Transcript
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.prompts import WITH_FACTS
from mgsd_bench.report.drawing import draw_plan
from mgsd_bench.report.replay import answer_lines
from mgsd_bench.report.text import markdown_text
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_envs import Episode, Fact, Plan, get_task

PIXELS = 160
"""Side of a picture."""
MOST_FACTS = 12
"""Facts that are named, of each kind of mistake."""
MOST_LINES = 120
"""Lines of a replay; of longer ones the middle is left out."""
MOST_DRAWN = 500
"""Actions of a plan that are drawn."""

_CAUSES = {
    Attribution.PERCEPTION: "the plan works in the world that was stated, which is not the true one",
    Attribution.PLANNING: "just the true state is stated, and the plan fails",
    Attribution.BOTH: "the world that was stated is not the true one, and the plan fails in it too",
    Attribution.UNSTATED: "no complete state is stated, so that seeing and planning cannot be told apart",
    Attribution.FORMAT: "there is no plan to be read",
}
_NO_WAY = "in the world that was stated, which is not the true one, no way leads to the goal, or none is needed"


def explain(episode: Episode, sample: Sample, found: SampleDiagnosis, transcript: Transcript | None) -> str:
    """An answer explained.

    Args:
        episode: what was asked.
        sample: the answer, scored.
        found: what comes of comparing the two.
        transcript: its turns, of one that was acted out.
    """
    done = tuple(sample.plan or ()) if transcript is None else _carried_out(transcript)
    worlds = _worlds(episode, sample)
    parts = [*_said(episode, sample, found), _pictures(worlds, done), _replay(episode, sample, transcript)]
    return "\n\n".join(part for part in parts if part)


def _carried_out(transcript: Transcript) -> Plan:
    """The actions that changed something, and one that ended the episode."""
    steps = (step for turn in transcript.turns for step in turn.steps)
    return tuple(step.action for step in steps if step.effect != "blocked")


def _said(episode: Episode, sample: Sample, found: SampleDiagnosis) -> Iterator[str]:
    yield f"**{markdown_text(sample.outcome)}**: {_outcome(episode, sample)}"
    if found.attribution in _CAUSES:
        no_way = found.attribution == Attribution.PERCEPTION and found.misplanned is None
        yield f"**cause**: {found.attribution}; {_NO_WAY if no_way else _CAUSES[Attribution(found.attribution)]}"
    if found.state_tp is not None:
        yield "\n".join(_facts(episode, sample, found))


def _outcome(episode: Episode, sample: Sample) -> str:
    rules = get_task(episode.task).rules
    enough = f"a shortest plan has {episode.shortest}"
    turns = "" if sample.loop is None else f" in {sample.loop.turns} turns"
    match sample.outcome:
        case Outcome.ERROR:
            return markdown_text(str(sample.error))
        case Outcome.SOLVED if sample.plan is not None:
            return f"{len(sample.plan)} actions{turns}, {enough}"
        case Outcome.WRONG if sample.plan is not None:
            return f"{sample.steps} legal actions that end short of the goal; {enough}"
        case Outcome.ILLEGAL | Outcome.FATAL if sample.plan is not None:
            number = len(sample.plan) if sample.loop is not None else sample.steps + 1
            action = write_plan((sample.plan[number - 1],))
            rule = rules.get(sample.illegal or "", "no such action")
            return f"action {number}, {markdown_text(action)}, is {markdown_text(rule)}; {enough}"
        case Outcome.STUCK:
            return f"the same question was answered alike three times{turns}"
        case Outcome.OUT_OF_STEPS:
            return f"no steps are left{turns}; {enough}"
        case Outcome.NO_ANSWER:
            return "nothing can be read" if sample.loop is None else "nothing can be read in three answers in a row"
        case Outcome.TRUNCATED:
            return "out of tokens before a complete answer"
        case _:
            return "just the true state is stated" if sample.outcome == Outcome.SOLVED else "another state is stated"


def _facts(episode: Episode, sample: Sample, found: SampleDiagnosis) -> Iterator[str]:
    task = get_task(episode.task)
    true, stated = task.seen(task.facts(episode.state)), task.seen(sample.stated)
    yield f"**state**: F1 {found.state_f1:.2f}; {found.state_tp} facts stated and true"
    for name, facts in (("stated, but false", stated - true), ("true, but not stated", true - stated)):
        if facts:
            shown = ", ".join(_fact(fact) for fact in sorted(facts, key=str)[:MOST_FACTS])
            more = f", and {len(facts) - MOST_FACTS} more" if len(facts) > MOST_FACTS else ""
            yield f"- {len(facts)} {name}: {shown}{more}"


def _fact(fact: Fact) -> str:
    name, *rest = fact
    if len(rest) < 2:
        return markdown_text(" ".join(map(str, fact)))
    return markdown_text(" ".join([str(name), f"({rest[0]},{rest[1]})", *map(str, rest[2:])]))


def _worlds(episode: Episode, sample: Sample) -> dict[str, Episode]:
    """The true world and, where it was stated and is another one, the stated one; none of what was solved or failed."""
    if sample.error is not None or sample.outcome == Outcome.SOLVED:
        return {}
    worlds, task = {"the world": episode}, get_task(episode.task)
    if sample.condition in WITH_FACTS and sample.stated and sample.stated != task.facts(episode.state):
        state = believed_state(task, sample.stated)
        if state is not None:
            worlds["the world that was stated"] = replace(episode, state=state, level=task.level_of(state))
    return worlds


def _pictures(worlds: Mapping[str, Episode], done: Plan) -> str:
    """Worlds side by side, each with what was planned or done in it."""
    shown = [_picture(world, done[:MOST_DRAWN]) for world in worlds.values()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (worlds, ["---"] * len(shown), shown) if shown)


def _picture(world: Episode, plan: Plan) -> str:
    file = BytesIO()
    draw_plan(world, plan, PIXELS).quantize(128).save(file, "PNG", optimize=True)
    return f"![{markdown_text(world.id)}](data:image/png;base64,{b64encode(file.getvalue()).decode()})"


def _replay(episode: Episode, sample: Sample, transcript: Transcript | None) -> str:
    """The answer step by step, as ``mgsd-bench show`` replays it, in a code block."""
    lines = list(answer_lines(StoredAnswer(episode, sample, transcript)))
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} lines left out ...", *lines[-half:]]
    return "\n".join(f"    {line}" for line in lines)
