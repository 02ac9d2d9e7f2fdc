"""The gate on the shipped checkpoints, through a real engine, against the committed baseline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("vllm")

ROOT = Path(__file__).parents[3]


@pytest.mark.engine
def test_a_checkpoint_that_lost_its_answers_fails_early(tmp_path: Path) -> None:
    out, summary = tmp_path / "run", tmp_path / "summary.md"
    done = subprocess.run(
        [
            sys.executable, "-m", "mgsd_bench", "gate", "--model", "tiny-coldstart", "--baseline", "tiny-mgsd",
            "--policy", "baselines/gate/policy.yaml", "--sequential", "--out", str(out), "--markdown", str(summary),
        ],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL: E2E dropped" in done.stdout
    text = summary.read_text()
    assert all(f"| {task} | E2E |" in text for task in ("frozenlake", "maze", "minibehaviour"))
    assert "lost frozenlake/3/" in text
    verdict = json.loads((out / "verdict.json").read_text())
    assert verdict["metrics"][0]["n"] < 300
    assert json.loads((out / "run.json").read_text())["status"] == "stopped"
