"""Episodes that are acted in step by step by simple policies, without prompts, backends or folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.summary import summarise
from mgsd_bench.prompts import Condition
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.lines import facts_row
from mgsd_bench.runs.loop_sample import loop_sample
from mgsd_bench.runs.loop_scoring import Ending
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import SCORER_VERSION
from mgsd_bench.runs.turns import TurnRecord
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.suite import digest
from mgsd_envs import Cursor, Episode, Fact, Task, get_task, make_episode
from mgsd_envs.acting import act
from mgsd_envs.views import View
from support.tasks import sampled

Policy = Callable[[Task[Any], Any, Cursor], Sequence[str]]
"""What is tried in a state's cursor: the actions of one turn, none where nothing can be read."""
Seer = Callable[[Task[Any], Any], frozenset[Fact]]
"""What is stated of the state as it is now."""

MOST_TURNS = 40
LAKE = {"size": 4, "player": [0, 0], "goal": [3, 3], "holes": [[1, 1], [2, 3]]}
"""A lake with a wall above and to the left of the player, a hole two steps away, and ways around."""


def episode_of(task: str, level: int = 4, number: int = 0, **state: Any) -> Episode:
    """An episode with this state, or with one that is drawn, always the same."""
    of = get_task(task)
    made = of.from_json(state) if state else sampled(of, level)
    return make_episode(of, of.level_of(made), f"{task}/{of.level_of(made)}/{number:04}", made)


def walk(episode: Episode, policy: Policy, seer: Seer | None = None, most: int = MOST_TURNS) -> list[TurnRecord]:
    """The turns of an episode in which a policy acts, until it is solved, lost or out of steps."""
    return list(_turns(episode, policy, seer, most))


def _turns(episode: Episode, policy: Policy, seer: Seer | None, most: int) -> Iterator[TurnRecord]:
    task, state = get_task(episode.task), episode.state
    cursor = task.start(state)
    for number in range(most):
        facts = seer(task, task.state_at(state, cursor)) if seer else frozenset()
        before, actions, effects, rule, ended = cursor, [], [], None, False
        for action in policy(task, state, cursor):
            effect, cursor, rule = act(task, state, cursor, action)
            actions.append(action)
            effects.append(effect)
            ended = effect == "fatal" or task.solved(state, cursor)
            if effect != "done" or ended:
                break
        yield turn(number, actions, effects, facts, rule, before=str(before), after=str(cursor), episode=episode.id)
        if ended:
            return


def turn(
    number: int,
    actions: Sequence[str] = (),
    effects: Sequence[str] = (),
    facts: frozenset[Fact] = frozenset(),
    rule: str | None = None,
    *,
    finish_reason: str = "stop",
    before: str = "",
    after: str = "",
    episode: str = "",
    form: str = "",
) -> TurnRecord:
    """A turn with these actions, said in the form that was asked for."""
    return TurnRecord(
        episode=episode,
        condition="act",
        repeat=0,
        turn=number,
        prompt_digest=f"{number:064}",
        text=f"<answer>{' '.join(actions)}</answer>",
        finish_reason=finish_reason,
        prompt_tokens=100,
        completion_tokens=5,
        seconds=0.5,
        form=form or ("asked" if actions else "none"),
        facts=facts_row(facts),
        actions=list(actions),
        effects=list(effects),
        rule=rule,
        before=before,
        after=after,
    )


def walked(
    episode: Episode,
    policy: Policy,
    condition: Condition = "act",
    *,
    loop: LoopSettings | None = None,
    seer: Seer | None = None,
    most: int = MOST_TURNS,
    repeat: int = 0,
) -> Sample:
    """The sample of an episode in which a policy acts."""
    loop = loop or LoopSettings()
    turns = walk(episode, policy, seer, most)
    return loop_sample(episode, condition, repeat, loop, turns, ending(episode, turns))


def ending(episode: Episode, turns: Sequence[TurnRecord]) -> Ending | None:
    """How turns end of which none comes after the end."""
    task, cursor = get_task(episode.task), get_task(episode.task).start(episode.state)
    for of_turn in turns:
        for action in of_turn.actions:
            effect, cursor, _ = act(task, episode.state, cursor, action)
            if effect == "fatal" or task.solved(episode.state, cursor):
                return None
    return "out_of_steps"


def oracle(task: Task[Any], state: Any, cursor: Cursor) -> list[str]:
    """A step that leads nearer to success."""
    here = task.to_go(state, cursor)
    for action in task.actions:
        effect, after, _ = act(task, state, cursor, action)
        if effect == "done" and here is not None and task.to_go(state, after) == here - 1:
            return [action]
    raise AssertionError("no way on")


def careless(rng: Random) -> Policy:
    """Actions drawn evenly, one to three a turn, and now and then nothing that can be read."""

    def policy(task: Task[Any], state: Any, cursor: Cursor) -> list[str]:
        return rng.choices(task.actions, k=rng.randrange(4))

    return policy


def scripted(*turns: Sequence[str]) -> Policy:
    """These turns one after another, the last one again and again."""
    left = list(turns)
    return lambda task, state, cursor: left.pop(0) if len(left) > 1 else left[0]


def sees(task: Task[Any], state: Any) -> frozenset[Fact]:
    """One who sees everything as it is."""
    return task.facts(state)


def believer(seer: Seer) -> Policy:
    """One who takes the best step in the state that it sees, or waits at the upper wall where there is none."""

    def policy(task: Task[Any], state: Any, cursor: Cursor) -> list[str]:
        try:
            world = task.from_facts(seer(task, task.state_at(state, cursor)))
            return oracle(task, world, task.resume(world))
        except (ValueError, AssertionError):
            return [task.actions[0]]

    return policy


def run_of(
    samples: Sequence[Sample],
    *,
    view: str = "full",
    model: str = "walker",
    path: str = "",
    history: int | None = 4,
    **identity: Any,
) -> Run:
    """A finished run of these samples, which is in no folder."""
    acts = any(sample.loop is not None for sample in samples)
    loop = {"loop": {**LoopSettings(view=View.parse(view), history=history).to_json(), "protocol": "loop-1"}}
    record = {
        "format": 1,
        "status": "complete",
        "sessions": [],
        "identity": {
            "suite": "walks",
            "model": model,
            "digest": "d",
            "episodes_digest": "e",
            "conditions": sorted({sample.condition for sample in samples}),
            "repeats": 1 + max(sample.repeat for sample in samples),
            **(loop if acts else {}),
            **identity,
        },
    }
    return Run(Path(path or f"runs/{model}-{view}"), record, given=list(samples))


def at_once(sample: Sample, condition: str = "direct") -> Sample:
    """The same episode, its plan said at once: an action that was blocked makes it illegal."""
    assert sample.loop is not None
    solved = sample.outcome == "solved" and not sample.loop.blocked
    return replace(
        sample,
        condition=condition,
        loop=None,
        outcome="solved" if solved else "illegal" if sample.loop.blocked or sample.illegal else "wrong",
        prompt_digest=sha256(f"{condition} {sample.episode}".encode()).hexdigest(),
    )


def store(folder: Path, run: Run, episodes: Sequence[Episode]) -> Path:
    """A run as the folder that it would be in."""
    identity = {**run.identity, "episodes_digest": digest(episodes), "scorer": SCORER_VERSION}
    with RunFolder.open(folder, identity, Packed(episodes)) as opened:
        for sample in run.samples:
            opened.append(sample)
        opened.write_metrics(summarise(run.frame).to_json())
        opened.write_record(status="complete")
    return folder
