"""The checkpoints that come with the project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mgsd_baselines.recipe_file import load_recipe
from mgsd_bench.backends.checkpoints import locate
from mgsd_bench.package_data import shipped, shipped_folder, shipped_names
from mgsd_bench.suites.choose import find_suite

pytestmark = pytest.mark.train

FAMILY = {"tiny-base": "pretrain", "tiny-coldstart": "cold-start", "tiny-mgsd": "self-distill"}


@pytest.mark.parametrize("name", FAMILY)
def test_the_tiny_family_is_whole(name: str) -> None:
    folder = shipped(name)
    assert folder is not None
    assert name in shipped_names()
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 16 * 2**20
    record = json.loads((folder / "training.json").read_text())
    assert record["stage"] == FAMILY[name]
    recipe = load_recipe("tiny").to_json()
    assert recipe.pop("vocabulary") == []
    for part in (recipe, *recipe["stages"]):
        assert (
            part.get("data", {}).pop("split_by", "state") == "state"
        )  # which they were trained by, before it had a name
        part["data"].pop("astray")  # of rows that they were not trained on
    assert record["recipe"] == recipe
    assert record["steps"] == load_recipe("tiny").stage(FAMILY[name]).trainer["max_steps"]
    for file in folder.glob("*.json*"):
        assert "/tmp" not in file.read_text()
        assert "/home" not in file.read_text()


def test_the_sister_that_acts_is_whole() -> None:
    folder, sister = shipped("tiny-act"), load_recipe("tiny-act")
    assert folder is not None
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 16 * 2**20
    record = json.loads((folder / "training.json").read_text())
    assert record["recipe"] == sister.to_json()
    assert record["steps"] == sister.stage(record["stage"]).trainer["max_steps"]
    assert record["start"]["model"] == "wide-tiny-mgsd"
    for file in folder.glob("*.json*"):
        assert "/tmp" not in file.read_text()


def test_each_starts_where_the_one_before_it_ended() -> None:
    from mgsd_bench.backends.checkpoints import fingerprint

    starts = [json.loads((shipped_folder("checkpoints") / n / "training.json").read_text())["start"] for n in FAMILY]
    for start, before in zip(starts[1:], FAMILY, strict=False):
        folder = shipped(before)
        assert folder is not None
        assert start["model"] == FAMILY[before]
        assert len(start["fingerprint"]) == len(fingerprint(folder)) == 64


def test_a_name_is_located_unless_a_folder_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("tiny-mgsd") == str(shipped("tiny-mgsd"))
    assert locate("Qwen/Qwen3-VL-4B-Instruct") == "Qwen/Qwen3-VL-4B-Instruct"
    (tmp_path / "tiny-mgsd").mkdir()
    assert locate("tiny-mgsd") == "tiny-mgsd"


def test_the_suite_has_the_levels_of_the_recipe() -> None:
    parts = {(part.task, part.level) for part in find_suite("tiny-v1").parts}
    assert parts == {(task, n) for task, levels in load_recipe("tiny").data.levels.items() for n in levels}
