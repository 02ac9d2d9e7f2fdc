"""The study of what self-distillation is worth: its trainings are there, and its tables say what was answered."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.errors import UserError

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("self_distillation", ROOT / "benchmarks" / "self_distillation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_training_is_a_recipe_of_its_own_with_each_seed(script: Any) -> None:
    study = script.read_study()
    jobs = script.jobs(study, list(study.questions), 100)
    assert {job.name for job in jobs} == study.trainings.keys()
    for job in jobs:
        assert job.training.recipe is None or job.digest
    assert len({(job.digest, job.name) for job in jobs}) == len(jobs)
    assert {job.seed for job in jobs if job.training.recipe} == set(study.seeds)
    assert len(study.seeds) >= 3
    with pytest.raises(UserError, match="question privileges: choose from privilege, "):
        script.jobs(study, ["privileges"], 1)


def test_a_training_that_nobody_describes_is_an_error(script: Any, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "seeds: [0]\ntrainings: {a: {label: A, model: tiny-base}}\n"
        "questions: {q: {asks: Why, about: B., compared: [a, b]}}\n"
    )
    with pytest.raises(UserError, match=r"study\.yaml: questions\.q: b is not described under trainings"):
        script.read_study(file)


def outcome(script: Any, name: str, seed: int, solved: str) -> Any:
    places = dict.fromkeys(("frozenlake/3", "maze/3"), solved)
    return script.Outcome(name, seed, "d", "s", {"E2E": places, "Plan-on-GT": places}, (0.9, 0.8, 1.0))


def test_tables_compare_seed_by_seed_on_the_same_episodes(script: Any) -> None:
    study = script.read_study()
    whole = [outcome(script, "whole", seed, "1110" * 25) for seed in study.seeds]
    state = [outcome(script, "state", seed, "1100" * 25) for seed in study.seeds]
    base = [outcome(script, "cold-start", 0, "0000" * 25)]
    lines = list(script.page(study, [*state, *whole, *base]))
    of_state = next(line for line in lines if line.startswith("| state alone"))
    assert "| 3 | 90.0 ± 0.0 (80–100) | 50.0 ± 0.0" in of_state
    assert of_state.count("-25.0 (") == 2
    assert next(line for line in lines if line.startswith("| no second stage")).count("-75.0 (") == 2
    assert "| plan alone | not yet | | | | | |" in lines
    assert script.estimates(whole)["E2E"].value == 0.75
    turned = [replace(each, solved={**each.solved, "E2E": {"frozenlake/3": "1", "maze/3": "1"}}) for each in state]
    with pytest.raises(ValueError, match="same episodes"):
        script.difference(whole, turned, "E2E")


def test_outcomes_are_kept_one_a_training(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "REPORT", tmp_path / "report")
    for solved in ("10", "11"):
        script.keep(outcome(script, "whole", 1, solved))
    script.keep(outcome(script, "noise-40", 1, "00"))
    assert {(each.name, each.solved["E2E"]["maze/3"]) for each in script.read_outcomes()} == {
        ("whole", "11"),
        ("noise-40", "00"),
    }
    (figure,) = script.curves(script.read_study(), script.read_outcomes())
    assert figure.read_text().startswith("<?xml")
