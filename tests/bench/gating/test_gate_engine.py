"""The gate on the shipped checkpoints, through a real engine, against the committed baseline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import mgsd

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[3]


def test_a_checkpoint_that_lost_its_answers_fails_early(no_engine: None, tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    out, summary = tmp_path / "run", tmp_path / "summary.md"
    shown = mgsd(
        "gate", "--model", "tiny-coldstart", "--baseline", "tiny-mgsd", "--policy", "baselines/gate/policy.yaml",
        "--sequential", "--out", str(out), "--markdown", str(summary), cwd=ROOT, code=1,
    )  # fmt: skip
    assert "FAIL: E2E dropped" in shown
    text = summary.read_text()
    assert all(f"| {task} | E2E |" in text for task in ("frozenlake", "maze", "minibehaviour"))
    assert "lost frozenlake/3/" in text
    verdict = json.loads((out / "verdict.json").read_text())
    assert verdict["metrics"][0]["n"] < 300
    assert json.loads((out / "run.json").read_text())["status"] == "stopped"
