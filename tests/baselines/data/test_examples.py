"""What only the teacher of self-distillation is told: more, less, or something false."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mgsd_baselines.data.examples import make_example, privileged_context, shuffled
from mgsd_baselines.recipe import Teacher
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.errors import UserError
from mgsd_envs import Episode, generate, get_task


@pytest.mark.parametrize("context", ["state+plan", "state", "plan", "none"])
def test_context_leaves_out_what_it_does_not_name(episodes: list[Episode], context: Any) -> None:
    for episode, (state, plan) in zip(episodes, privileged_context(episodes, Teacher(context=context)), strict=True):
        assert (state is not None) == ("state" in context)
        assert (plan is not None) == ("plan" in context)
        row = make_example("teacher", episode, SimpleNamespace(render=lambda *_: ""))  # type: ignore[arg-type]
        assert (state or "") in row.prompt
        assert (plan or "") in row.prompt


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffling_leaves_no_state_in_its_place(episodes: list[Episode], seed: int) -> None:
    other = shuffled(episodes, seed)
    assert all(
        a.state != b.state and (a.task, a.level) == (b.task, b.level) for a, b in zip(episodes, other, strict=True)
    )
    assert {e.id for e in other} == {e.id for e in episodes}
    assert other == shuffled(episodes, seed)
    assert other != shuffled(episodes, seed + 1)
    assert shuffled(episodes[::-1], seed) == other[::-1]
    doubled = shuffled([*episodes, *episodes], seed)
    assert doubled == [*other, *other]
    assert privileged_context(episodes, Teacher(corruption="shuffle"), seed) == privileged_context(other, Teacher())


def test_a_single_state_cannot_be_shuffled(episodes: list[Episode]) -> None:
    with pytest.raises(UserError, match="single episode"):
        shuffled([episodes[0], episodes[0]], 0)


def test_noise_misreads_facts_and_plans_in_what_it_sees(episodes: list[Episode]) -> None:
    true, noisy = privileged_context(episodes, Teacher()), privileged_context(episodes, Teacher(corruption="noise 0.2"))
    assert noisy == privileged_context(episodes, Teacher(corruption="noise 0.2"))
    assert noisy != privileged_context(episodes, Teacher(corruption="noise 0.2"), seed=1)
    assert noisy[3] == privileged_context([episodes[3]], Teacher(corruption="noise 0.2"))[0]
    changed = [a[0] != b[0] for a, b in zip(true, noisy, strict=True)]
    assert sum(changed) > 0.7 * len(changed)
    missed = total = solved = 0
    for episode, (text, plan) in zip(episodes, noisy, strict=True):
        task = get_task(episode.task)
        facts = task.facts(episode.state)
        believed = task.from_facts(task.parse(text or ""))
        assert believed.size == episode.level
        missed, total = missed + len(facts - task.facts(believed)), total + len(facts) - 1
        if best := task.solve(believed):
            solved += 1
            assert plan == write_plan(best)
    assert 0.15 < missed / total < 0.25
    assert solved > 10


@pytest.mark.parametrize("noise", ["noise 0.5", "noise 1"])
def test_every_misread_state_can_be_told(noise: str) -> None:
    """Among them rooms whose printer the misread table boxes in, with no floor to pick it up from."""
    episodes = list(generate(get_task("minibehaviour"), 5, 150, split="train", stream="test-distill"))
    for state, plan in privileged_context(episodes, Teacher(corruption=noise)):
        assert state is not None
        assert plan is not None
