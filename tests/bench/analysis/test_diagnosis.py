"""State F1, attribution and the diagnosis, against worlds made by hand and faults that were planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mgsd_bench.analysis import diagnose as diagnosing
from mgsd_bench.analysis.attribution import (
    Attribution,
    attribute,
    count_by_kind,
    count_facts,
    diagnose_sample,
    fact_cells,
)
from mgsd_bench.analysis.diagnosis import Diagnosis
from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.backends import BackendConfig, Response, single_turn
from mgsd_bench.backends import generate as answered
from mgsd_bench.backends.scripted import Faults, ScriptedBackend
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.records import to_json
from mgsd_bench.runs.conversation import Question, request_seed, score_response
from mgsd_bench.runs.sample import Sample
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes, subsample
from mgsd_envs import Episode, Fact, get_task, make_episode
from mgsd_envs.episodes import generate
from support.stored import line

LAKE = get_task("frozenlake")


@pytest.fixture(scope="module")
def episode() -> Episode:
    """3x3: player top left, goal bottom left, a hole between them; shortest plan RDDL."""
    state = LAKE.from_json({"size": 3, "player": [0, 0], "goal": [2, 0], "holes": [[1, 0]]})
    return make_episode(LAKE, 3, "frozenlake/3/0000", state)


def say(episode: Episode, text: str, finish: str = "stop") -> Sample:
    return score_response(Question(episode, "visual", 0), "", Response("k", text, finish))  # type: ignore[arg-type]


TRUE = "size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: (1,0)\n"
BLIND = "size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: none\n"
WALLED = "size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: (1,0), (0,1)\n"
THERE = "size: 3\nplayer: (2,0)\ngoal: (2,0)\nholes: none\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TRUE + "<answer>RDDL</answer>", Attribution.SOLVED),
        (BLIND + "<answer>RDDL</answer>", Attribution.SOLVED),
        (TRUE + "<answer>DD</answer>", Attribution.PLANNING),
        (TRUE + "<answer>R</answer>", Attribution.PLANNING),
        (BLIND + "<answer>DD</answer>", Attribution.PERCEPTION),
        (WALLED + "<answer>DD</answer>", Attribution.PERCEPTION),
        (THERE + "<answer>R</answer>", Attribution.PERCEPTION),
        (BLIND + "<answer>U</answer>", Attribution.BOTH),
        ("player: (0,0)\n<answer>DD</answer>", Attribution.UNSTATED),
        ("<answer>DD</answer>", Attribution.UNSTATED),
        ("size: 3\nplayer: (0,0)\ngoal: (7,7)\n<answer>DD</answer>", Attribution.UNSTATED),
        (TRUE, Attribution.FORMAT),
        (BLIND + "<answer>go on down</answer>", Attribution.FORMAT),
    ],
)
def test_attribution(episode: Episode, text: str, expected: Attribution) -> None:
    assert attribute(episode, say(episode, text)) == expected


def test_failed_requests_and_cut_answers_are_format(episode: Episode) -> None:
    assert attribute(episode, say(episode, TRUE + "<answer>RD", "length")) == Attribution.FORMAT
    failed = score_response(Question(episode, "visual", 0), "", Response("k", "", "error", error="reset"))
    assert attribute(episode, failed) == Attribution.FORMAT


@pytest.mark.parametrize(
    ("text", "planned_well", "fails_there"),
    [
        (TRUE + "<answer>DD</answer>", True, True),
        (BLIND + "<answer>DD</answer>", False, False),
        (BLIND + "<answer>U</answer>", False, True),
        (WALLED + "<answer>DD</answer>", False, None),
        ("size: 3\nplayer: (0,0)\ngoal: (2,0)\nholes: (1,0), (2,2)\n<answer>DD</answer>", True, True),
        ("<answer>DD</answer>", False, None),
        (TRUE, True, None),
        (BLIND + "<answer>RDDL</answer>", True, False),
        (THERE + "<answer>RDDL</answer>", True, None),
        (THERE + "<answer>R</answer>", False, None),
        ("size: 3\nplayer: (0,0)\ngoal: (2,2)\nholes: none\n<answer>RRDD</answer>", False, False),
        ("size: 3\nplayer: (0,0)\ngoal: (2,1)\nholes: none\n<answer>U</answer>", False, True),
    ],
)
def test_counterfactuals(episode: Episode, text: str, planned_well: bool, fails_there: bool | None) -> None:
    found = diagnose_sample(episode, say(episode, text))
    assert found.if_planned_well == planned_well
    assert found.misplanned == fails_there


def test_a_failed_plan_is_worth_the_share_of_shortest_plans_that_would_have_worked() -> None:
    """The hole is not seen: of the two shortest plans to the goal one leads into it."""
    state = LAKE.from_json({"size": 2, "player": [0, 0], "goal": [1, 1], "holes": [[1, 0]]})
    asked = make_episode(LAKE, 2, "frozenlake/2/0000", state)
    seen = "size: 2\nplayer: (0,0)\ngoal: (1,1)\nholes: none\n"
    worth = {
        plan: diagnose_sample(asked, say(asked, f"{seen}<answer>{plan}</answer>")).if_planned_well
        for plan in ("RD", "DR", "UU", "go")
    }
    assert worth == {"RD": 1.0, "DR": 0.0, "UU": 0.5, "go": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults", [Faults(0.05), Faults(0.3), Faults(0.1, 0.1), Faults(0.1, 0.4, 0.1), Faults(0.3, 0.3)]
)
def test_planning_well_never_solves_less_than_was_solved(faults: Faults) -> None:
    asked = subsample(episodes(find_suite("mgsd-v1")), 2)
    by_id = {each.id: each for each in asked}
    gained = 0.0
    for seed in range(20):
        questions = {question.key: question for question in (Question(each, "visual", 0) for each in asked)}
        requests = (single_turn(k, "", None, request_seed(seed, k), "visual", q.episode) for k, q in questions.items())
        answers = answered(ScriptedBackend("faulty", faults), requests)
        frame = sample_frame([score_response(questions[answer.key], "", answer) for answer in answers], by_id)
        assert (frame["if_planned_well"] >= frame["solved"]).all()
        gained += float((frame["if_planned_well"] - frame["solved"]).sum())
        sound = (frame["misplanned"] == False) & frame["misplanned"].notna()  # noqa: E712
        assert (frame["if_planned_well"] == frame["solved"])[sound].all()
    assert (gained > 0) == (faults.planning > 0)


def test_invented_facts_are_reported_though_none_is_missed(tmp_path: Path) -> None:
    """A list of holes that is right and has two more in it."""
    folder = run(tmp_path / "run", "oracle", conditions=["visual"], limit=3).path
    samples = folder / "samples.jsonl"
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    for row in (row for row in rows if row["task"] == "frozenlake"):
        cells = ([r, c] for r in range(row["level"]) for c in range(row["level"]))
        row["facts"] += [["hole", *next(c for c in cells if ["hole", *c] not in row["facts"])], ["hole", 31, 31]]
    samples.write_bytes(b"".join(line(row) for row in rows))
    found = diagnose([load_run(folder)])
    lakes, rooms = found["tasks"]["frozenlake"], found["tasks"]["minibehaviour"]
    assert lakes["faults"]["misread"]["value"] == 0 < lakes["faults"]["invented"]["value"]
    assert lakes["facts"]["hole"]["missed"]["value"] == 0
    assert lakes["facts"]["hole"]["fp"] == 2 * lakes["n"]
    of_all = 2 * lakes["n"] / (2 * lakes["n"] + lakes["facts"]["hole"]["tp"])
    assert lakes["facts"]["hole"]["invented"]["value"] == pytest.approx(of_all, abs=1e-6)
    for level, grid in lakes["invented"].items():
        assert sum(map(sum, grid)) == pytest.approx(1)  # of two a lake, one off the grid
        assert lakes["misread"][level] == grid
        assert not any(map(any, lakes["missed"][level]))
    assert rooms["faults"]["invented"]["value"] == 0


def test_a_diagnosis_of_the_first_release_can_be_read(tmp_path: Path) -> None:
    """It has neither invented facts nor bounds."""
    new = diagnosing.diagnose([run(tmp_path / "run", "faulty:0.1,0.2,0.1", limit=2)]).to_json()
    old = json.loads(json.dumps(new))
    for task in old["tasks"].values():
        del task["missed"], task["invented"]
        for kind in task["facts"].values():
            del kind["missed"], kind["invented"]
        for scope in (task, *task["levels"]):
            del scope["attribution_bounds"], scope["faults"]["invented"]
    del old["macro"]["attribution_bounds"], old["macro"]["faults"]["invented"]
    read = Diagnosis.from_json(old)
    assert read.macro.attribution_bounds == {}
    assert read.macro.faults.invented is read.tasks["maze"].facts["open"].missed is None
    assert read.macro.if_planned_well == Diagnosis.from_json(new).macro.if_planned_well


FACTS = st.frozensets(st.tuples(st.sampled_from(["hole", "player"]), st.integers(0, 3), st.integers(0, 3)), max_size=12)


@given(FACTS, FACTS)
def test_counts_of_facts(true: frozenset[Fact], stated: frozenset[Fact]) -> None:
    counts = count_facts(true, stated)
    assert counts.tp + counts.fn == len(true)
    assert counts.tp + counts.fp == len(stated)
    assert counts == tuple(map(sum, zip((0, 0, 0), *count_by_kind(true, stated).values(), strict=True)))
    assert len(fact_cells(true - stated, 4)) == counts.fn
    assert len(fact_cells(stated - true, 4)) == counts.fp
    assert count_facts(true, true) == (len(true), 0, 0)


def test_contradictions_and_cells_outside_the_grid_are_false_facts() -> None:
    true = frozenset({("player", 0, 0), ("size", 3)})
    assert count_facts(true, frozenset({("player", 0, 0), ("player", 1, 1), ("size", 3)})) == (2, 1, 0)
    assert fact_cells(true, 3) == [(0, 0)]
    assert fact_cells(frozenset({("player", 9, 9), ("size", 4)}), 3) == []


def diagnose(runs: list[Run]) -> dict[str, Any]:
    """The JSON form, which is documented."""
    found = diagnosing.diagnose(runs)
    assert to_json(Diagnosis.from_json(found.to_json())) == found.to_json()
    return found.to_json()


def run(out: Path, model: str, **changes: Any) -> Run:
    settings: dict[str, Any] = {
        "suite": find_suite("mgsd-v1"), "limit": 25, "conditions": ["visual", "symbolic", "perceive", "direct"],
        "repeats": 1, "prompts": "compact", "backend": "scripted", "config": BackendConfig(model), "out": out,
    }  # fmt: skip
    evaluate(Evaluation(**{**settings, **changes}), Console(quiet=True))
    return load_run(out)


@pytest.mark.parametrize(
    ("model", "kind"),
    [("noisy-perception:0.1", "perception"), ("noisy-planning:0.3", "planning"), ("faulty:0,0,0.2", "format")],
)
@pytest.mark.slow
def test_single_planted_faults_are_found_every_time(tmp_path: Path, model: str, kind: str) -> None:
    counts = diagnose([run(tmp_path / "run", model)])["macro"]["attribution"]
    assert counts["solved"] + counts[kind] == 300
    assert counts[kind] > 20


@pytest.mark.parametrize("planted", [Faults(0.1, 0.2, 0.05), Faults(0.3, 0.05, 0.2)])
@pytest.mark.slow
def test_planted_rates_are_recovered(tmp_path: Path, planted: Faults) -> None:
    """Fixed seeds; benchmarks/validity.py measures how often the intervals cover."""
    model = f"faulty:{planted.perception},{planted.planning},{planted.format}"
    found = diagnose([run(tmp_path / "run", model)])["macro"]["faults"]
    assert found["misread"]["value"] == pytest.approx(planted.perception, abs=0.02)
    assert found["invented"]["value"] == pytest.approx(planted.perception, abs=0.03)
    assert found["misplanned"]["value"] == pytest.approx(planted.planning, abs=0.08)
    assert found["unreadable"]["value"] == pytest.approx(planted.format, abs=0.06)


def test_oracle_has_nothing_to_diagnose(tmp_path: Path) -> None:
    found = diagnose([run(tmp_path / "run", "oracle")])
    for scope in (found["macro"], *found["tasks"].values()):
        assert scope["state"]["f1"]["value"] == scope["plan_on_gt"]["value"] == scope["e2e"]["value"] == 1
        assert scope["perceive"]["exact"]["value"] == scope["direct"]["value"] == scope["if_planned_well"]["value"] == 1
        assert scope["gap"]["difference"]["value"] == 0
        assert scope["joint"]["counts"] == {**dict.fromkeys(scope["joint"]["counts"], 0), "111": scope["n"]}
    assert all(value == 0 for row in found["tasks"]["maze"]["misread"]["3"] for value in row)


def test_figures_of_a_diagnosis_add_up(tmp_path: Path) -> None:
    found = diagnose([run(tmp_path / "run", "faulty:0.1,0.2,0.1")])
    for task in found["tasks"].values():
        assert sum(task["attribution"].values()) == task["n"] == sum(level["n"] for level in task["levels"])
        assert sum(task["joint"]["counts"].values()) == sum(row["n"] for row in task["lengths"]) == task["n"]
        assert task["attribution"]["solved"] / task["n"] == pytest.approx(task["e2e"]["value"], abs=1e-6)
        assert task["gap"]["difference"]["value"] == pytest.approx(
            task["plan_on_gt"]["value"] - task["e2e"]["value"], abs=2e-6
        )
        assert task["facts"]["size"]["fn"] <= task["n"]
    mean = sum(task["e2e"]["value"] for task in found["tasks"].values()) / 3
    assert found["macro"]["e2e"]["value"] == pytest.approx(mean, abs=2e-6)
    assert found["macro"]["straight"]["value"] < 0.34


def test_conditions_that_were_not_run_are_none(tmp_path: Path) -> None:
    found = diagnose([run(tmp_path / "run", "faulty:0.1,0.2,0.1", conditions=["visual"], limit=3)])
    assert found["conditions"] == ["visual"]
    scope = found["macro"]
    assert scope["plan_on_gt"] is scope["gap"] is scope["joint"] is scope["perceive"] is scope["direct"] is None


@pytest.mark.slow
def test_reliability_over_repeats(tmp_path: Path) -> None:
    found = diagnose([run(tmp_path / "run", "noisy-planning:0.4", conditions=["visual"], repeats=4, limit=10)])["macro"]
    repeats = found["repeats"]
    once, always = ([cell["value"] for cell in repeats[key]] for key in ("at_least_once", "every_time"))
    assert repeats["tries"] == len(once) == len(always) == 4
    assert once[0] == always[0] == pytest.approx(found["e2e"]["value"], abs=2e-6)
    assert once == sorted(once)
    assert always == sorted(always, reverse=True)
    for k in range(1, 5):  # tries are independent here: each is solved with probability 0.6
        assert once[k - 1] == pytest.approx(1 - 0.4**k, abs=0.08)
        assert always[k - 1] == pytest.approx(0.6**k, abs=0.08)


def test_a_model_that_says_nothing(tmp_path: Path) -> None:
    found = diagnose([run(tmp_path / "run", "faulty:0,0,1", limit=2)])["macro"]
    assert found["attribution"]["format"] == found["n"] == 24
    assert found["faults"]["misplanned"] is None
    assert found["faults"]["misread"]["value"] == 1 - found["state"]["recall"]["value"]
    assert all(each["low"] == each["high"] == 0 for each in found["attribution_bounds"].values())


@pytest.mark.slow
def test_random_baseline_is_near_the_random_model(tmp_path: Path) -> None:
    """Scripted answers of the random model on many episodes, beside the baseline that a diagnosis gives."""
    found = diagnose([run(tmp_path / "run", "random", limit=None, conditions=["visual"])])
    for task in found["tasks"].values():
        assert task["random"]["value"] == pytest.approx(task["e2e"]["value"], abs=0.03)


def test_every_generated_state_is_attributed_without_an_exception() -> None:
    for name in ("frozenlake", "maze", "minibehaviour"):
        task = get_task(name)
        for made in generate(task, task.levels[0], 10, split="val", stream="x"):
            for text in ("", "size: 32\nplayer: (31,31)\ngoal: (0,0)\nagent: (1,1)\nprinter: (1,1)\ntable: (1,1)\n"):
                assert attribute(made, say(made, text + "<answer>U</answer>")) in Attribution
