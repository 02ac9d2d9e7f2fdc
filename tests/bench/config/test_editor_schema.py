"""JSON Schemas for editors: shipped files are right by them, common mistakes are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgsd_baselines.recipe_file import recipes_dir, shipped
from mgsd_bench.cli import app
from mgsd_bench.config.layers import read_layer
from mgsd_bench.errors import UserError
from mgsd_bench.package_data import shipped_folder

jsonschema = pytest.importorskip("jsonschema")

BASELINES = shipped_folder("published").parent
FILES = {
    "evaluation": [],
    "recipe": [recipes_dir() / f"{name}.yaml" for name in shipped()],
    "policy": [BASELINES / "gate" / "policy.yaml"],
    "table": [BASELINES / f"{name}.yaml" for name in ("models", "table1", "diagnostics", "ablations", "tiny")],
}


def schema(kind: str) -> dict[str, Any]:
    shown = CliRunner().invoke(app, ["schema", kind])
    assert shown.exit_code == 0, shown.output
    found: dict[str, Any] = json.loads(shown.output)
    jsonschema.Draft202012Validator.check_schema(found)
    return found


@pytest.mark.parametrize("kind", FILES)
def test_shipped_files_are_right(kind: str) -> None:
    validator = jsonschema.Draft202012Validator(schema(kind))
    for path in FILES[kind]:
        assert [error.message for error in validator.iter_errors(read_layer(path).values)] == [], path


@pytest.mark.parametrize("kind", FILES)
def test_every_key_is_described(kind: str) -> None:
    found = schema(kind)
    for name, of in {"whole": found, **found["$defs"]}.items():
        for key, value in of.get("properties", {}).items():
            assert value.get("description") or key == "method", (name, key)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("evaluation", {"limt": 3}),
        ("evaluation", {"limit": 0}),
        ("evaluation", {"conditions": ["smell"]}),
        ("recipe", {"bse": "x"}),
        ("recipe", {"data": {"levels": {"mase": [3]}}}),
        ("recipe", {"stages": {"first": {"method": "sft", "rollouts": 2}}}),
        ("recipe", {"stages": {"first": {"tuning": "lora"}}}),
        ("policy", {"metrics": {"e2": 3}}),
        ("policy", {"sequential": {"looks": 1}}),
        ("table", {"models": {"mine": {"backend": "vlm"}}}),
        ("table", {"tables": {"mine": {"layout": "wide"}}}),
    ],
)
def test_mistakes_are_not(kind: str, values: dict[str, Any]) -> None:
    assert list(jsonschema.Draft202012Validator(schema(kind)).iter_errors(values))


@pytest.mark.parametrize("conditions", ["visual,symbolic", ["visual", "symbolic"]])
def test_items_may_be_one_text(conditions: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema("evaluation"))
    assert list(validator.iter_errors({"conditions": conditions, "levels": "3,4", "limit": None, "engine": {}})) == []


def test_what_a_file_extends_may_hold_the_rest_and_null_takes_away() -> None:
    validator = jsonschema.Draft202012Validator(schema("recipe"))
    stages = {"first": None, "second": {"beta": 0.5, "data": None, "tuning": {"lora": {"rank": 8}}}}
    assert list(validator.iter_errors({"extends": "tiny", "seed": None, "stages": stages})) == []


def test_a_file_can_be_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schema", "policy", "--out", str(tmp_path / "a" / "policy.schema.json")])
    assert done.exit_code == 0
    assert json.loads((tmp_path / "a" / "policy.schema.json").read_text()) == schema("policy")


def test_an_unknown_kind() -> None:
    done = CliRunner().invoke(app, ["schema", "recipes"])
    assert isinstance(done.exception, UserError)
    assert "did you mean recipe?" in str(done.exception)
