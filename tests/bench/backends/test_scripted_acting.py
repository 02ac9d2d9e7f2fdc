"""Scripted models that act step by step do what their names say."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from scipy.stats import binomtest

from mgsd_bench.backends import BackendConfig, hold, open_backend, single_turn
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import Condition, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, closed_loop, step_limits
from mgsd_bench.runs.conversation import Question
from mgsd_bench.runs.loop_score import FAULTY
from mgsd_bench.runs.loop_scoring import Step, replay
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TurnRecord
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes, subsample
from mgsd_envs import Episode, Fact, generate, get_task, task_names
from mgsd_envs.errors import SearchError
from mgsd_envs.views import View

Row = tuple[TurnRecord, frozenset[Fact], list[Step]]
PARTIAL = ("fog:1", "fog:2", "window:1", "window:2")
IN_PICTURES: tuple[Condition, ...] = ("act", "act-stale", "act-blind")


@cache
def boards(each: int, suite: str = "mgsd-v1") -> list[Episode]:
    return subsample(episodes(find_suite(suite)), each)


def act(
    model: str, asked: list[Episode], condition: Condition = "act-symbolic", view: str = "full", **settings: Any
) -> tuple[list[Sample], list[TurnRecord]]:
    """The samples and turns of a model, in the order of their episodes."""
    loop = LoopSettings(view=View.parse(view), **settings)
    prompts = load_prompts("compact", asked, [condition], say_state=loop.say_state)
    playing = Loop(loop, step_limits(asked, loop.view))
    turns: list[TurnRecord] = []
    questions = (Question(episode, condition, 0) for episode in asked)
    with open_backend("scripted", BackendConfig(model)) as backend:
        samples = list(hold(backend, (closed_loop(q, prompts, 0, playing, (), turns.append) for q in questions)))
    by_id = {sample.episode: sample for sample in samples}
    return [by_id[episode.id] for episode in asked], turns


def solved(samples: list[Sample]) -> float:
    return sum(sample.outcome == "solved" for sample in samples) / len(samples)


def explorer_ratio(samples: list[Sample]) -> float:
    ratios = []
    for sample in samples:
        assert sample.loop is not None
        assert sample.loop.explorer is not None
        way = sample.loop.explorer / max(sample.loop.explorer, sample.loop.actions)
        ratios.append(way if sample.outcome == "solved" else 0.0)
    return sum(ratios) / len(ratios)


def steps_of(samples: list[Sample], kinds: str) -> int:
    return sum(sample.loop.kinds.count(kind) for sample in samples if sample.loop for kind in kinds)


class TestOracle:
    @pytest.mark.parametrize("condition", [*IN_PICTURES, "act-symbolic"])
    @pytest.mark.parametrize("chunk", [1, 3, None])
    def test_it_solves_everything_by_shortest_plans(self, condition: Condition, chunk: int | None) -> None:
        samples, turns = act("oracle", boards(1), condition, chunk=chunk)
        assert all(sample.outcome == "solved" and sample.optimal for sample in samples)
        if chunk is None:
            assert len(turns) == len(samples)

    @pytest.mark.parametrize("task", task_names())
    def test_in_every_task(self, task: str) -> None:
        of = get_task(task)
        asked = list(generate(of, of.levels[0], 3, split="test", stream="acting"))
        samples, _ = act("oracle", asked)
        assert all(sample.optimal for sample in samples)
        # who sees all of the board has nothing to explore
        assert act("explorer", asked)[0] == samples


class TestStraight:
    @pytest.mark.parametrize("suite", ["mgsd-v1", "sokoban-v1"])
    @pytest.mark.parametrize("chunk", [1, 2, None])
    def test_without_a_bump_it_solves_just_the_straight_episodes(self, suite: str, chunk: int | None) -> None:
        asked = boards(10, suite)
        samples, _ = act("straight", asked, chunk=chunk)
        strict = [s.outcome == "solved" and s.loop is not None and not s.loop.blocked for s in samples]
        assert strict == [episode.straight for episode in asked]
        assert 0 < sum(strict) < len(asked) / 3

    def test_a_suite_without_straight_episodes(self) -> None:
        asked = episodes(find_suite("smoke"))
        assert not any(episode.straight for episode in asked)
        assert solved(act("straight", asked)[0]) == 0

    def test_it_looks_once(self) -> None:
        straight = [episode for episode in boards(10) if episode.straight]
        assert all(solved(act("straight", straight, condition)[0]) == 1 for condition in IN_PICTURES)


def test_random_is_poor_and_takes_all_actions_alike() -> None:
    samples, turns = act("random", boards(10))
    assert solved(samples) < 0.6 * solved(act("noisy-step:0.5", boards(10))[0])
    for task in {sample.task for sample in samples}:
        actions = [action for turn in turns if turn.episode.startswith(task) for action in turn.actions]
        for action in get_task(task).actions:
            assert binomtest(actions.count(action), len(actions), 1 / len(get_task(task).actions)).pvalue > 0.001


@pytest.mark.parametrize("condition", ["act-symbolic", "act"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5])
def test_noisy_steps_are_useless_at_their_rate(condition: Condition, rate: float) -> None:
    samples, _ = act(f"noisy-step:{rate}", boards(5), condition)
    steps = sum(sample.loop.actions for sample in samples if sample.loop)
    assert binomtest(steps - steps_of(samples, "u"), steps, rate).pvalue > 0.001


def test_noisy_steps_of_a_whole_plan_are_useless_at_their_rate() -> None:
    samples, _ = act("noisy-step:0.2", boards(5), chunk=None)
    steps = sum(sample.loop.actions for sample in samples if sample.loop)
    assert binomtest(steps - steps_of(samples, "u"), steps, 0.2).pvalue > 0.001


class TestExplorer:
    @pytest.mark.parametrize("view", PARTIAL)
    @pytest.mark.parametrize("condition", ["act", "act-symbolic"])
    def test_its_ratio_is_one(self, view: str, condition: Condition) -> None:
        samples, _ = act("explorer", boards(2), condition, view)
        assert explorer_ratio(samples) == 1.0

    @pytest.mark.parametrize("radius", [1, 2])
    def test_who_forgets_is_worse_under_a_window_alone(self, radius: int) -> None:
        asked = boards(4)
        best, _ = act("explorer", asked, view=f"window:{radius}")
        ratios = [explorer_ratio(act(f"forgetful:{k}", asked, view=f"window:{radius}")[0]) for k in (1, 3)]
        assert ratios[0] < ratios[1] < 1
        assert act(f"forgetful:{10**6}", asked, view=f"window:{radius}")[0] == best
        assert act("forgetful:1", asked, view="fog:1")[0] == act("explorer", asked, view="fog:1")[0]

    def test_who_sees_one_picture_alone_goes_nowhere(self) -> None:
        samples, _ = act("explorer", boards(3), "act-stale")
        assert solved(samples) < 0.1
        assert solved(act("explorer", boards(3), "act-blind")[0]) == 1


class TestFaultySeers:
    def rows(self, episode: Episode, turns: list[TurnRecord]) -> list[Row]:
        """Each turn with the true facts before it, and its steps."""
        task = get_task(episode.task)
        cursor, found = task.start(episode.state), []
        for turn, steps in zip(turns, replay(task, episode.state, turns), strict=True):
            found.append((turn, task.facts(task.state_at(episode.state, cursor)), steps))
            cursor = steps[-1].after if steps else cursor
        return found

    def ask(self, model: str, each: int) -> tuple[list[Sample], list[Row]]:
        samples, turns = act(model, boards(each), "act", say_state=True)
        of = {episode.id: [turn for turn in turns if turn.episode == episode.id] for episode in boards(each)}
        return samples, [row for episode in boards(each) for row in self.rows(episode, of[episode.id])]

    @pytest.mark.parametrize("rate", [0.05, 0.3])
    def test_they_misread_at_their_rate(self, rate: float) -> None:
        _, rows = self.ask(f"noisy-perception:{rate}", 2)
        kept = total = 0
        for turn, truth, _ in rows:
            facts = {fact for fact in truth if fact[0] != "size"}
            kept += len(facts & {tuple(fact) for fact in turn.facts})
            total += len(facts)
        assert binomtest(total - kept, total, rate).pvalue > 0.001

    def test_their_faulty_steps_are_put_down_to_seeing(self) -> None:
        samples, _ = self.ask("noisy-perception:0.2", 3)
        assert set("".join(sample.loop.causes or "" for sample in samples if sample.loop)) == {"s"}
        assert steps_of(samples, "".join(FAULTY)) > 100

    def test_faulty_steps_of_who_plans_badly_are_put_down_to_planning(self) -> None:
        samples, _ = self.ask("noisy-planning:0.3", 3)
        assert set("".join(sample.loop.causes or "" for sample in samples if sample.loop)) == {"p"}
        assert steps_of(samples, "".join(FAULTY)) > 50

    def test_both_faults_and_the_format_come_back(self) -> None:
        _, rows = self.ask("faulty:0.03,0.25,0.1", 5)
        exact = [steps for turn, truth, steps in rows if {tuple(fact) for fact in turn.facts} == truth and steps]
        wrong = sum(step.kind != "u" for (step,) in exact)
        assert binomtest(wrong, len(exact), 0.25).pvalue > 0.001
        unread = sum(not turn.actions for turn, *_ in rows)
        assert binomtest(unread, len(rows), 0.1).pvalue > 0.001

    def test_seeing_is_not_at_fault_where_the_state_is_told(self) -> None:
        assert all(sample.optimal for sample in act("noisy-perception:1", boards(1), "act-symbolic")[0])

    def test_what_they_see_in_the_first_picture_again(self) -> None:
        assert solved(act("noisy-step:0", boards(3), "act-stale")[0]) < 0.1
        assert solved(act("noisy-step:0", boards(3), "act-blind")[0]) == 1


def test_a_state_that_is_too_large_is_walked_in_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object) -> int:
        raise SearchError("too large")

    task = get_task("maze")
    asked = list(generate(task, 5, 1, split="train", stream="too large"))
    monkeypatch.setattr(type(task), "to_go", too_large)
    for model in ("explorer", "oracle"):
        samples, turns = act(model, asked)
        assert samples[0].loop is not None
        assert samples[0].loop.progress is None
        assert len({action for turn in turns for action in turn.actions}) > 1


@pytest.mark.parametrize(
    "name", ["explorer:1", "forgetful", "forgetful:0", "forgetful:x", "noisy-step", "noisy-step:2"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(UserError, match="model="):
        open_backend("scripted", BackendConfig(name))


@pytest.mark.parametrize("name", ["explorer", "forgetful:2", "noisy-step:0.1"])
def test_who_only_acts_has_no_plan_to_say(name: str) -> None:
    with open_backend("scripted", BackendConfig(name)) as backend:
        backend.submit(single_turn("x", "", None, 0, "visual", boards(1)[0]))
        (response,) = backend.collect()
    assert response.error is not None
    assert "acts step by step" in response.error
