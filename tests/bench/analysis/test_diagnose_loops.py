"""The diagnosis of models that act step by step, against policies of known skill."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

import numpy as np
import pytest

from mgsd_bench.analysis.closed_loop import KINDS, LoopDiagnosis
from mgsd_bench.analysis.comparable import ASPECTS, Question, differences
from mgsd_bench.analysis.diagnose_loops import acts, diagnose_loops
from mgsd_bench.analysis.metrics import GATED
from mgsd_bench.analysis.results import MACRO
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.records import to_json
from mgsd_bench.runs.loop_sample import loop_sample
from mgsd_bench.runs.sample import Sample
from mgsd_bench.statistics.intervals import holm
from mgsd_envs import Episode, Fact, Task, make_episode
from mgsd_envs.views import View
from support.tasks import FROZENLAKE, MAZE
from support.walking import at_once, believer, careless, oracle, run_of, scripted, sees, walked

TASKS: tuple[Task[Any], ...] = (FROZENLAKE, MAZE)
N = 12


UP = scripted(["up"])


def _episodes() -> list[Episode]:
    """As many of each level, none of which is solved by going up."""
    found: list[Episode] = []
    for task in TASKS:
        rng, numbers = np.random.default_rng(7), count()
        while len(found) % N or not found or found[-1].task != task.name:
            level, number = 3 + len(found) % 2, next(numbers)
            state = task.sample(level, rng)
            if state is not None:
                episode = make_episode(task, level, f"{task.name}/{level}/{number:04}", state)
                found += [episode] if walked(episode, UP).outcome != "solved" else []
    return found


EPISODES = _episodes()


def _acted(policy: Any, condition: str = "act", **more: Any) -> list[Sample]:
    return [replace(walked(e, policy, **more), condition=condition) for e in EPISODES]  # type: ignore[arg-type]


def _half(right: Any, wrong: Any, condition: str = "act") -> list[Sample]:
    """Every other episode by one policy, the others by another one."""
    pairs = zip(_acted(right, condition), _acted(wrong, condition), strict=True)
    return [pair[i // 2 % 2] for i, pair in enumerate(pairs)]


@pytest.fixture(scope="module")
def whole() -> LoopDiagnosis:
    samples = _half(oracle, UP) + _acted(oracle, "act-symbolic") + _acted(UP, "act-stale") + _acted(UP, "act-blind")
    said = [at_once(sample) for sample in _half(oracle, UP)]
    fog = run_of(_acted(oracle, loop=LoopSettings(view=View("fog", 1))), view="fog:1")
    window = run_of(_half(oracle, UP), view="window:1")
    return diagnose_loops([run_of([*samples, *said]), fog, window])


def test_every_difference_is_measured(whole: LoopDiagnosis) -> None:
    found = {gap.name: (gap.before, gap.after, gap.macro.difference.value) for gap in whole.gaps}
    assert found == {
        "feedback gain": ("direct", "act, strict", 0.0),
        "feedback gain, bumps forgiven": ("direct", "act", 0.0),
        "picture use, over the first one": ("act-stale", "act", 0.5),
        "picture use, over none": ("act-blind", "act", 0.5),
        "modality gap": ("act", "act-symbolic", 0.5),
        "memory gap": ("act, window:1", "act, fog:1", 0.5),
        "exploration gap": ("act, fog:1", "act", -0.5),
    }
    for gap in whole.gaps:
        assert gap.macro.n == 2 * N
        assert gap.macro.difference.low <= gap.macro.difference.value <= gap.macro.difference.high
        assert [row.n for row in gap.tasks.values()] == [N, N]
        assert {task: row.holm_p for task, row in gap.tasks.items()} == holm(
            {task: row.mid_p for task, row in gap.tasks.items()}
        )


def test_p_values_are_adjusted_over_the_differences_that_stand_alone(whole: LoopDiagnosis) -> None:
    alone = [gap for gap in whole.gaps if gap.macro.holm_p is not None]
    assert [gap.name for gap in whole.gaps if gap not in alone] == ["feedback gain, bumps forgiven"]
    assert {gap.name: gap.macro.holm_p for gap in alone} == holm({gap.name: gap.macro.mid_p for gap in alone})


def test_a_bump_is_forgiven_but_not_strictly() -> None:
    """Who bumps once and then goes the shortest way gains all by being forgiven, and nothing by looking again."""

    def bumps_first() -> Any:
        bumped: list[bool] = []

        def policy(task: Any, state: Any, cursor: Any) -> list[str]:
            if bumped:
                return oracle(task, state, cursor)
            bumped.append(True)
            blocked = [a for a in task.actions if str(task.step(state, cursor, a)) in {*task.rules} - task.fatal]
            return blocked[:1] or oracle(task, state, cursor)

        return policy

    acted = [walked(episode, bumps_first()) for episode in EPISODES]
    found = {gap.name: gap for gap in diagnose_loops([run_of([*acted, *map(at_once, acted)])]).gaps}
    assert found["feedback gain"].macro.difference.value == 0.0
    assert found["feedback gain, bumps forgiven"].macro.difference.value > 0.5
    assert found["feedback gain, bumps forgiven"].macro.after.value == 1.0


def test_arms_have_their_figures_by_place(whole: LoopDiagnosis) -> None:
    assert [arm.name for arm in whole.arms] == [
        "act", "act, fog:1", "act, window:1", "act-symbolic", "act-stale", "act-blind"
    ]  # fmt: skip
    act = whole.arm("act")
    assert act is not None
    assert (act.macro.solved.value, act.macro.solved.n) == (0.5, 2 * N)
    assert 0 < act.macro.figures["loop"].value < 0.5  # some who go up end in a hole
    assert act.macro.figures["repeat"].value == 1.0
    assert list(act.tasks) == ["frozenlake", "maze"]
    assert [*act.tasks["maze"].levels] == [3, 4]
    assert act.tasks["maze"].levels[3].n == N // 2
    fog = whole.arm("act", "fog:1")
    assert fog is not None
    assert fog.macro.figures["explorer"].value == 1.0
    assert "coverage" not in act.macro.figures
    assert whole.arm("act-stale", "fog:1") is None


def test_what_is_stored_is_read_back(whole: LoopDiagnosis) -> None:
    stored = json.loads(json.dumps(whole.to_json()))
    assert LoopDiagnosis.from_json(stored).to_json() == stored
    with pytest.raises(ValueError, match="not a LoopDiagnosis: arms"):
        LoopDiagnosis.from_json({**stored, "arms": 3})


def test_results_are_those_of_the_registry(whole: LoopDiagnosis) -> None:
    metrics = [name for name in GATED if name.startswith("act")]
    results = whole.results(metrics)
    assert (
        set(results.places[MACRO]) == set(metrics) == {"act", "act_symbolic", "act_strict", "act_spl", "act_progress"}
    )
    act = whole.arm("act")
    assert act is not None
    assert results.estimate("act_spl", "maze", 4) == act.tasks["maze"].levels[4].figures["spl"]
    assert results.estimate("act_symbolic") == whole.arm("act-symbolic").macro.solved  # type: ignore[union-attr]
    assert list(results.places)[-1] == MACRO
    foggy = whole.results(metrics, "fog:1")
    assert set(foggy.places[MACRO]) == {"act", "act_strict", "act_spl", "act_progress"}
    table = whole.to_pandas()
    cell = table.query("condition == 'act' and view == 'full' and metric == 'spl' and scope == 'macro'")
    assert cell["value"].tolist() == [act.macro.figures["spl"].value]


def test_steps_are_counted_by_kind() -> None:
    samples = [walked(episode, careless(Random(i))) for i, episode in enumerate(EPISODES)]
    (arm,) = diagnose_loops([run_of(samples)]).arms
    letters = Counter("".join(sample.loop.kinds for sample in samples if sample.loop))
    wanted = {"useful": "u", "neutral": "n", "harmful": "hi", "blocked": "b", "fatal": "f", "irreversible": "i"}
    assert arm.macro.steps == {kind: sum(letters[x] for x in of_kind) for kind, of_kind in wanted.items()}
    shares = [arm.macro.shares[kind].value for kind in KINDS if kind in arm.macro.shares]
    assert sum(shares) == pytest.approx(1)
    for task in arm.tasks.values():
        total = sum(count for kind, count in task.steps.items() if kind != "irreversible")
        assert task.shares["blocked"].value == pytest.approx(task.steps["blocked"] / total)
        assert task.shares["blocked"] == task.figures["blocked"]  # one figure has one value and one interval


def test_the_curve_says_what_happens_in_each_turn() -> None:
    samples = [walked(episode, careless(Random(i))) for i, episode in enumerate(EPISODES)]
    (arm,) = diagnose_loops([run_of(samples)]).arms
    turns = [sample.loop.kinds.split() for sample in samples if sample.loop]
    assert len(arm.curve) == max(map(len, turns))
    for shares in arm.curve:
        there = [of_try[shares.turn - 1] for of_try in turns if len(of_try) >= shares.turn]
        assert shares.n == len(there)
        letters = Counter("".join(there))
        assert sum(share.value for share in shares.shares.values()) == pytest.approx(1)
        assert shares.shares["unreadable"].value == pytest.approx(letters["-"] / letters.total())
        assert shares.shares["harmful"].value == pytest.approx((letters["h"] + letters["i"]) / letters.total())
        assert all(share.n == shares.n and share.low <= share.value <= share.high for share in shares.shares.values())


def _sloppy(share: float, seed: int) -> Any:
    """Forgets holes and states others, always the same of one state."""

    def seer(task: Task[Any], state: Any) -> frozenset[Fact]:
        rng = Random(f"{seed} {task.key(state)}")
        return frozenset(
            fact for fact in sorted(task.facts(state), key=str) if fact[0] != "hole" or rng.random() >= share
        )

    return seer


def test_faulty_steps_of_one_who_plans_well_are_due_to_seeing() -> None:
    seer = _sloppy(0.7, 1)
    says = LoopSettings(say_state=True)
    samples = [walked(e, believer(seer), loop=says, seer=seer) for e in EPISODES if e.task == "frozenlake"]
    (arm,) = diagnose_loops([run_of(samples)]).arms
    assert sum(arm.macro.faults["fatal"].values()) > 0
    assert arm.macro.causes["seeing"].value == 1.0
    assert arm.macro.causes["seeing"].low < 1.0
    assert {kind: sum(causes.values()) for kind, causes in arm.macro.faults.items()} == {
        kind: arm.macro.steps[kind] for kind in ("harmful", "blocked", "fatal")
    }


def test_faulty_steps_of_one_who_sees_well_are_due_to_planning() -> None:
    says = LoopSettings(say_state=True)
    samples = [walked(e, careless(Random(i)), loop=says, seer=sees) for i, e in enumerate(EPISODES)]
    (arm,) = diagnose_loops([run_of(samples)]).arms
    assert arm.macro.causes["planning"].value == 1.0
    assert (arm.macro.causes["seeing"].value, arm.macro.causes["both"].value) == (0.0, 0.0)


def test_without_stated_states_nothing_is_attributed(whole: LoopDiagnosis) -> None:
    assert all(arm.macro.faults == {} == arm.macro.causes for arm in whole.arms)


def test_repeats_are_not_new_episodes() -> None:
    samples = [walked(e, careless(Random(i)), repeat=k) for k in range(3) for i, e in enumerate(EPISODES)]
    (once,) = diagnose_loops([run_of(samples[: 2 * N])]).arms
    (thrice,) = diagnose_loops([run_of(samples)]).arms
    assert thrice.macro.n == once.macro.n
    assert to_json(thrice.macro.shares) == to_json(once.macro.shares)
    assert to_json(thrice.curve) == to_json(once.curve)


def test_an_episode_without_a_turn_is_in_the_denominator() -> None:
    failed = [loop_sample(e, "act", 0, LoopSettings(), [], "error", error="reset") for e in EPISODES]
    (arm,) = diagnose_loops([run_of(failed)]).arms
    assert (arm.macro.solved.value, arm.macro.n, arm.curve, arm.macro.shares) == (0.0, 2 * N, (), {})
    assert set(arm.macro.figures) == {
        "strict", "within_1", "within_1_5", "within_2", "within_3", "spl", "progress", "loop", "revisit"
    }  # fmt: skip


def _refused(runs: Iterable[Any], **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        diagnose_loops(list(runs), **more)
    assert "\n" not in str(caught.value)
    return f"{caught.value.code} {caught.value}"


def test_what_may_not_be_set_side_by_side_is_refused_in_one_line() -> None:
    acted = _acted(oracle)
    code = int(Exit.NOT_COMPARABLE)
    other = run_of(acted, history=0, view="fog:1", path="runs/other")
    found = _refused([run_of(acted), other])
    assert found.startswith(f"{code} ")
    assert "closed loop" in found
    assert "history" in found
    assert "view" not in found.split("closed loop")[1].split(";")[0]
    allowed = diagnose_loops([run_of(acted), other], ["closed-loop"])
    assert any("closed-loop" in note for note in allowed.notes)
    assert f"{code} " in _refused([run_of(acted), run_of(acted, model="another", view="fog:1")])


@pytest.mark.parametrize("question", Question)
def test_the_closed_loop_is_an_aspect_where_one_is_compared(question: Question) -> None:
    acted = _acted(oracle)
    first, other = run_of(acted), run_of(acted, history=0, path="runs/other")
    wanted = {"closed-loop"} if question in ASPECTS["closed-loop"].matters else set()
    assert {difference.aspect for difference in differences([first, other], question, ["act"])} == wanted
    seen = run_of(acted, view="fog:2", path="runs/fog")
    wanted -= {"closed-loop"} if question == Question.GAP else set()
    assert {difference.aspect for difference in differences([first, seen], question, ["act"])} == wanted


def test_plans_said_at_once_alone_are_refused() -> None:
    said = run_of([at_once(sample) for sample in _acted(oracle)])
    assert not acts(said)
    assert "nobody acts here; run one of act, act-symbolic, act-stale, act-blind first" in _refused([said])


def test_a_run_without_closed_loop_agrees_with_any() -> None:
    acted = _acted(oracle)
    found = diagnose_loops([run_of(acted), run_of(list(map(at_once, acted)), path="runs/said")])
    assert [gap.name for gap in found.gaps] == ["feedback gain", "feedback gain, bumps forgiven"]
