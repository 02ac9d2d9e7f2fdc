"""Rows that trainers read: what is in them, and that each is about the question that an evaluation asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.integrations.rewards import compute_score, success
from mgsd_envs import episode_from_json
from support.commands import error, mgsd

pytest.importorskip("datasets")
ASKED = ("--tasks", "frozenlake,maze", "--levels", "3", "--count", "2", "--prompts", "compact")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for form in ("parquet", "trl", "verl"):
        made[form] = tmp_path_factory.mktemp("rows") / form
        mgsd("generate", str(made[form]), "--format", form, *ASKED, "--condition", "visual,symbolic")
    return made


def rows(folder: Path) -> list[dict[str, Any]]:
    from datasets import load_dataset

    return list(load_dataset(str(folder / "frozenlake"), split="train", cache_dir=str(folder.parent / "cache")))


def test_rows_for_trainers_ask_what_the_dataset_asks(folders: dict[str, Path]) -> None:
    dataset, trl, verl = (rows(folders[form]) for form in ("parquet", "trl", "verl"))
    assert len(dataset) == len(trl) == len(verl) == 4
    for row, to_trl, to_verl in zip(dataset, trl, verl, strict=True):
        (turn,), (said,) = to_trl["prompt"], to_verl["prompt"]
        shown = row["image"] is not None
        assert shown == (row["condition"] == "visual")
        assert turn["content"][0] == {"type": "text", "text": row["prompt"]}
        assert [part["type"] for part in turn["content"]] == ["text", "image"][: 1 + shown]
        assert said == {"role": "user", "content": row["prompt"] + "<image>" * shown}
        for images in (to_trl["images"], to_verl["images"]):
            assert [image.convert("RGB").tobytes() for image in images] == (
                [row["image"].convert("RGB").tobytes()] if shown else []
            )
        assert to_trl["episode"] == to_verl["reward_model"]["ground_truth"] == row["episode"]
        answer = f"<answer>{write_plan(episode_from_json(json.loads(row['episode'])).plan)}</answer>"
        assert success([answer], **{name: [value] for name, value in to_trl.items()}) == [1.0]
        reward_model = to_verl["reward_model"]
        assert compute_score(to_verl["data_source"], answer, reward_model["ground_truth"], to_verl["extra_info"]) == 1.0


def test_rows_for_trainers_are_no_dataset_to_publish(folders: dict[str, Path]) -> None:
    assert sorted(path.name for path in folders["verl"].iterdir()) == ["frozenlake", "maze", "suite.json"]
    assert "--format parquet" in error("publish", str(folders["verl"]), "--dry-run")


def test_perceive_asks_for_no_plan(tmp_path: Path) -> None:
    shown = error("generate", str(tmp_path / "new"), "--format", "trl", *ASKED, "--condition", "perceive")
    assert "rewards are of plans" in shown


def test_a_mark_for_a_picture_is_not_the_prompts_to_use(folders: dict[str, Path]) -> None:
    from mgsd_bench.errors import UserError
    from mgsd_bench.suites.trainer_rows import to_verl

    (row, *_) = rows(folders["parquet"])
    with pytest.raises(UserError, match="reword it"):
        to_verl({**row, "prompt": "Look at <image>."})
