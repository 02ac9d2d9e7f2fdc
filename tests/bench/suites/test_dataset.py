"""Datasets of Parquet files: what the datasets library makes of them, what their cards say, and reading them again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mgsd_bench.prompts import load_prompts
from mgsd_bench.suites import parquet
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.dataset import in_suite_order, read_about, read_split, write_dataset
from mgsd_bench.suites.dataset_card import size_category
from mgsd_bench.suites.parquet import COLUMNS, Asked, features
from mgsd_bench.suites.suite import digest, episodes, select, subsample
from mgsd_envs import episode_from_json, get_task
from support.commands import error, mgsd
from support.fuzz_folders import SUITE_FILES, folder_of, suite_seeds

pytestmark = pytest.mark.slow
datasets = pytest.importorskip("datasets")

ASKED = ("--suite", "smoke", "--tasks", "frozenlake,maze", "--levels", "3,4", "--limit", "2", "--format", "parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("datasets") / "made"
    shown = mgsd("generate", str(out), *ASKED, "--condition", "symbolic,visual", "--prompts", "compact", "--train", "2")
    assert "16 episodes in 32 rows, prompts compact, 4 files of " in shown
    assert "test episodes among those to train on" in shown
    return out


def load(folder: Path, *name: str, **more: Any) -> Any:
    return datasets.load_dataset(str(folder), *name, cache_dir=str(folder.parent / "cache"), **more)


def test_load_dataset_gives_prompt_picture_and_state(folder: Path) -> None:
    rows = load(folder, "frozenlake", split="test")
    asked = subsample(episodes(select(find_suite("smoke"), ["frozenlake"], [3, 4])), 2)
    prompts = load_prompts("compact", asked, ["visual", "symbolic"])
    assert [column.name for column in COLUMNS] == rows.column_names
    assert len(rows) == 2 * len(asked) == 8
    for episode, seen, told in zip(asked, rows.select(range(0, 8, 2)), rows.select(range(1, 8, 2)), strict=True):
        assert seen["id"] == told["id"] == episode.id
        assert (seen["condition"], told["condition"]) == ("visual", "symbolic")
        assert episode_from_json(json.loads(seen["episode"])) == episode
        assert seen["prompt"] == prompts.render(episode, "visual")
        assert told["prompt"] == prompts.render(episode, "symbolic")
        assert seen["text"] in told["prompt"]
        assert seen["text"] == get_task("frozenlake").describe(episode.state)
        assert (np.asarray(seen["image"].convert("RGB")) == episode.shown()).all()
        assert told["image"] is None
        assert (tuple(seen["plan"]), int(seen["plans"])) == (episode.plan, episode.plans)
        assert (seen["shortest"], seen["level"]) == (episode.shortest, episode.level)
        assert seen["prompt_set"] == "compact"


def test_all_tasks_are_what_comes_without_a_name(folder: Path) -> None:
    found = load(folder)
    assert {split: len(rows) for split, rows in found.items()} == {"test": 16, "train": 16}
    assert {row["task"] for row in found["train"]} == {"frozenlake", "maze"}
    assert {row["split"] for row in found["train"]} == {"train"}


def test_the_card_says_what_the_files_hold(folder: Path) -> None:
    """The viewer's rules: every configuration's files are there, and have the features that the card says."""
    import pyarrow.parquet

    front = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert [each["config_name"] for each in front["configs"]] == ["all", "frozenlake", "maze"]
    infos = {each["config_name"]: each for each in front["dataset_info"]}
    for config in front["configs"]:
        info = infos[config["config_name"]]
        known = datasets.Features._from_yaml_list(info["features"])
        sizes = {each["name"]: each["num_examples"] for each in info["splits"]}
        for data in config["data_files"]:
            files = [pyarrow.parquet.ParquetFile(path) for path in folder.glob(data["path"])]
            assert sizes[data["split"]] == sum(file.metadata.num_rows for file in files) > 0
            for file in files:
                assert datasets.Features.from_arrow_schema(file.schema_arrow) == known
    assert features() == datasets.Features.from_arrow_schema(file.schema_arrow)._to_yaml_list()
    assert front["task_categories"] == ["image-text-to-text"]
    assert front["size_categories"] == ["n<1K"]
    benchmark = yaml.safe_load((folder / "eval.yaml").read_text())
    assert benchmark["evaluation_framework"] == "mgsd-bench"
    assert [each["id"] for each in benchmark["tasks"]] == ["e2e", "state_f1", "plan_on_gt"]
    assert {(each["config"], each["split"]) for each in benchmark["tasks"]} == {("all", "test")}


@pytest.mark.parametrize(("rows", "word"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M")])
def test_size_categories(rows: int, word: str) -> None:
    assert size_category(rows) == word


def test_the_same_command_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    mgsd("generate", str(again), *ASKED, "--condition", "visual,symbolic", "--prompts", "compact", "--train", "2")
    for path in folder.rglob("*"):
        assert path.is_dir() or path.read_bytes() == (again / path.relative_to(folder)).read_bytes()


def test_files_and_row_groups_are_of_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer holds one row group and not the dataset; a file ends once it is as large as files are to be."""
    import pyarrow.parquet

    monkeypatch.setattr(parquet, "ROW_GROUP", 100_000)
    monkeypatch.setattr(parquet, "SHARD", 300_000)
    asked = episodes(select(find_suite("smoke"), ["frozenlake"], [3, 5]))
    about = write_dataset(
        {"test": asked}, tmp_path / "many", "smoke", Asked(load_prompts("default", asked, ["visual"]))
    )
    names = [each.path for each in about.files]
    assert names == [f"frozenlake/test-{number:05d}.parquet" for number in range(len(names))]
    assert len(names) > 1
    for name in names:
        metadata = pyarrow.parquet.ParquetFile(tmp_path / "many" / name).metadata
        groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        assert max(groups) < 100_000 + 80_000  # and the last row
        assert sum(groups[:-1]) < 300_000
    assert list(read_split(tmp_path / "many", about, "test")) == list(asked)


def test_a_dataset_is_a_suite(folder: Path, tmp_path: Path) -> None:
    """Also in several looks, whose rows stand task by task: the order and the digest are the suite's."""
    file = tmp_path / "looks.yaml"
    file.write_text(
        "name: looks-v1\ncount: 2\nparts: [{task: maze, levels: [3, 4]}, {task: frozenlake, levels: [3]}]\n"
        "looks: [classic, classic+blur-2, night]\nprompts: compact\n"
    )
    out = tmp_path / "data"
    shown = mgsd("generate", str(out), "--suite", str(file), "--format", "parquet", "--condition", "symbolic,visual")
    assert "18 episodes in 24 rows, prompts compact" in shown  # what shows no picture is asked once
    suite = find_suite(str(out))
    assert list(episodes(suite)) == list(episodes(find_suite(str(file))))
    assert read_about(out).splits["test"].digest == digest(episodes(suite))
    run = tmp_path / "run"
    mgsd(
        *("eval", "--model", "oracle", "--backend", "scripted", "--suite", str(out), "--out", str(run)),
        *("--condition", "visual", "--prompts", "compact", "--tasks", "maze", "--limit", "1"),
    )
    assert len((run / "samples.jsonl").read_text().splitlines()) == 6


def test_only_what_is_asked_is_written(tmp_path: Path) -> None:
    asked = episodes(find_suite("smoke"))
    ids = [*asked.ids[:2], *(f"{name}@blur-2" for name in asked.ids[:2])]
    assert in_suite_order([ids[0], ids[2], ids[1], ids[3]]) == [0, 2, 1, 3]
    out = tmp_path / "told"
    mgsd("generate", str(out), *ASKED, "--condition", "symbolic")
    rows = load(out, "maze", split="test")
    assert set(rows["image"]) == {None}
    assert not (out / "maze" / "train-00000.parquet").exists()


def test_a_dataset_that_was_changed_is_no_suite(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    mgsd("generate", str(other), *ASKED)
    (other / "maze" / "test-00000.parquet").write_bytes((folder / "maze" / "test-00000.parquet").read_bytes())
    asked = (
        "eval",
        "--model",
        "oracle",
        "--backend",
        "scripted",
        "--out",
        str(tmp_path / "run"),
        "--suite",
        str(other),
    )
    assert len(find_suite(str(other)).given or ()) == 8  # the same episodes, in more rows
    (other / "maze" / "test-00000.parquet").write_bytes((folder / "maze" / "train-00000.parquet").read_bytes())
    assert "write the dataset anew" in error(*asked)
    (other / "maze" / "test-00000.parquet").write_bytes(b"PAR1")
    assert "maze/test-00000.parquet: cannot be read as a file of the dataset" in error(*asked)
    (other / "maze" / "test-00000.parquet").unlink()
    assert "maze/test-00000.parquet: cannot be read" in error(*asked)


def test_training_data_alone(tmp_path: Path) -> None:
    out = tmp_path / "train"
    made = ("--count", "2", "--tasks", "frozenlake", "--levels", "4")
    mgsd("generate", str(out), *made, "--format", "parquet")
    assert not (out / "eval.yaml").exists()
    front = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert [each["config_name"] for each in front["configs"]] == ["frozenlake"]
    assert len(load(out, split="train")) == 2
    assert "would be sent" in mgsd("publish", str(out), "--dry-run")
    both = ("generate", str(tmp_path / "new"), *made, "--format", "parquet", "--train", "1")
    assert "--train: all episodes are of the train split already" in error(*both)


def test_hf_is_what_parquet_was_called(tmp_path: Path) -> None:
    shown = mgsd("generate", str(tmp_path / "hf"), *ASKED[:-1], "hf")
    assert "--format hf: is now called parquet" in shown
    assert read_about(tmp_path / "hf").suite == "smoke"


def test_others_states_have_others_licence(tmp_path: Path) -> None:
    sets = folder_of(suite_seeds()[1], SUITE_FILES)[1]
    out = tmp_path / "data"
    suite = ("--suite", "diffthinker-frozenlake", "--data-root", str(sets), "--format", "parquet")
    mgsd("generate", str(out), *suite)
    assert "license: unknown" in (out / "README.md").read_text()
    assert "license: name one" in mgsd("publish", str(out), "--dry-run", code=2)
    shown = mgsd("generate", str(tmp_path / "new"), *suite, "--train", "2", code=2)
    assert "--train: suite diffthinker-frozenlake is read, not made" in shown


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = str(tmp_path / "new")
    for option, value in {"--prompts": "compact", "--condition": "visual", "--train": "3"}.items():
        line = error("generate", new, *ASKED[:-2], option, value)
        assert f"{option}: of --format parquet" in line
    assert "--condition act: choose from visual" in error("generate", new, *ASKED, "--condition", "act")
    assert "--prompts none: no such folder" in error("generate", new, *ASKED, "--prompts", "none")
    assert "--train 0: must be at least 1" in error("generate", new, *ASKED, "--train", "0")
    few = ("generate", new, "--tasks", "maze", *ASKED[-2:])
    assert "ask for fewer" in error(*few, "--suite", "smoke", "--levels", "3", "--train", "9999")
    assert "--size 32: " in error(*few, "--levels", "20", "--count", "1", "--size", "32")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'mgsd-bench[datasets]'" in error("generate", new, *ASKED)
    assert list(tmp_path.iterdir()) == []
