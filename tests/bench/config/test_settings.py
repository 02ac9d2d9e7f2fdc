"""Settings that front ends share: one name, default and text each, and values from Python checked as any others."""

from __future__ import annotations

from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.backends import BackendConfig, Sampling
from mgsd_bench.config.layers import Layers
from mgsd_bench.config.settings import Panel, declared, make_settings, read_settings
from mgsd_bench.config.validate import json_schema
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.evaluate import Evaluation
from mgsd_bench.evaluation.settings import DiagnosisSettings, EvaluationSettings, ScoreSettings
from mgsd_bench.gating.settings import GateSettings, NoiseSettings

MODELS = (EvaluationSettings, DiagnosisSettings, ScoreSettings, NoiseSettings, GateSettings)


@pytest.mark.parametrize("model", MODELS)
def test_fields_come_panel_by_panel(model: type) -> None:
    fields = list(declared(model).values())
    panels = [list(Panel).index(field.setting.panel) for field in fields]
    assert panels == sorted(panels)
    assert all(field.setting.help.strip() for field in fields)
    assert sum(field.default is MISSING for field in fields) == (model is not ScoreSettings)  # answers, or a run


def test_defaults_are_those_of_the_engine_and_the_sampling() -> None:
    settings = make_settings(EvaluationSettings, model="oracle", backend="scripted")
    job = Evaluation.from_settings(settings)
    assert settings == EvaluationSettings(model="oracle", backend="scripted")
    assert job.config == BackendConfig("oracle", Sampling())
    assert (job.suite.name, job.conditions, job.out) == ("mgsd-v1", ["visual"], Path("runs/mgsd-v1-oracle"))


def test_python_values_become_an_evaluation() -> None:
    settings = make_settings(
        EvaluationSettings, model=Path("a/b:c"), backend="openai", base_url=["http://x/v1"], engine={"retries": 1},
        suite="smoke", tasks="maze,frozenlake", levels=[3, "4,5"], conditions=["visual", "direct,visual"], limit=2,
        temperature=1, seed=3, out="runs/x",
    )  # fmt: skip
    job = Evaluation.from_settings(settings)
    assert {(part.task, part.level) for part in job.suite.parts} == {
        (task, level) for task in ("maze", "frozenlake") for level in (3, 4, 5)
    }
    assert job.conditions == ["visual", "direct"]
    assert job.config == BackendConfig(
        "a/b:c", Sampling(temperature=1.0, seed=3), engine_args={"retries": 1, "base_url": ["http://x/v1"]}
    )
    assert (job.limit, job.repeats, job.out) == (2, 1, Path("runs/x"))
    assert Evaluation.from_settings(make_settings(EvaluationSettings, model="a/b:c", suite="smoke")).out == Path(
        "runs/smoke-b-c"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"limit": 0}, "limit=0: must be a whole number of 1 or more"),
        ({"repeats": 100_000}, "repeats=100000: must be a whole number of 1 or more, and at most 99,999"),
        ({"limt": 1}, "limt=1: no such argument; did you mean limit?"),
        ({"levels": [3, "x"]}, "levels=x: must be a whole number of 1 or more"),
        ({"conditions": "visual,smel"}, "conditions=smel: choose from visual, symbolic, perceive, direct"),
        ({"backend": "vlm"}, "backend=vlm: did you mean vllm?"),
        ({"temperature": -1}, "temperature=-1: must be a number of 0 or more"),
        ({"strict": "yes"}, "strict=yes: is neither true nor false"),
        ({"conditions": []}, "conditions: name at least one of visual, symbolic, perceive, direct"),
        ({"suite": "nope"}, "suite=nope: unknown suite, and no such file or folder; choose from mgsd-v1"),
        ({"tasks": "maze,chess"}, "tasks=chess: not in suite mgsd-v1"),
        ({"min_pixels": 3, "max_pixels": 2}, "min_pixels=3: must not exceed max_pixels=2"),
        ({"base_url": ["http://x"]}, "base_url=http://x: backend=vllm asks no server; add backend=openai"),
        ({"engine": {"base_url": "x"}}, "engine['base_url']=...: use base_url"),
        ({"history": "many"}, "history=many: must be a whole number of 0 or more, or all"),
        ({"history": -1}, "history=-1: must be a whole number of 0 or more, or all"),
        ({"chunk": "0"}, "chunk=0: must be a whole number of 1 or more, or plan"),
        ({"view": "fog:0"}, "view=fog:0: must be full, fog:R or window:R, with R from 1 to 32"),
    ],
)
def test_a_mistake_in_python_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Evaluation.from_settings(make_settings(EvaluationSettings, model="oracle", **values))
    assert str(caught.value).startswith(message)


def test_answers_from_elsewhere_are_to_questions_asked_once() -> None:
    given = make_settings(EvaluationSettings, model="oracle", conditions="act-blind,visual").conditions
    assert given == ("act-blind", "visual")
    with pytest.raises(UserError, match=r"conditions=act: choose from visual, symbolic, perceive, direct$"):
        make_settings(ScoreSettings, conditions="act")


@pytest.mark.parametrize(("history", "chunk"), [(2, 3), ("2", "3")])
def test_numbers_of_the_closed_loop_may_be_written_as_numbers(history: object, chunk: object) -> None:
    loop = make_settings(EvaluationSettings, model="oracle", history=history, chunk=chunk).loop()
    assert (loop.history, loop.chunk) == (2, 3)
    assert make_settings(EvaluationSettings, model="oracle", history="all", chunk="plan").loop().history is None


def test_a_file_needs_what_has_no_default() -> None:
    with pytest.raises(UserError, match=r"^a\.yaml: model: is missing; set it$"):
        read_settings(EvaluationSettings, Layers({"limit": 1}, {(): "a.yaml", ("limit",): "a.yaml"}))


@pytest.mark.parametrize("model", MODELS)
def test_editors_are_told_what_the_help_says(model: type) -> None:
    properties = json_schema(model)["$defs"][model.__name__]["properties"]
    for name, field in declared(model).items():
        assert properties[name]["description"] == field.setting.help
