"""The files for schedulers: what each asks to be run is run, with the variables that the scheduler sets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import mgsd_bench as mb

FILES = Path(__file__).parents[2] / "examples" / "cluster"
SCRIPTS = sorted(FILES.glob("*.sh"))
ASKED = ("--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--levels", "3", "--prompts", "compact")
SRUN = """\
#!/usr/bin/env bash
set -euo pipefail
shift
for i in 0 1 2; do SLURM_PROCID=$i SLURM_NTASKS=3 "$@"; done
"""


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FILES / name).read_text())
    return found


def bash(folder: Path, *words: str, **variables: str) -> None:
    """Run a script with mgsd-bench, and a stand-in for srun, in its path."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in (
        ("srun", SRUN),
        ("mgsd-bench", f'#!/bin/sh\nexec "{sys.executable}" -m mgsd_bench "$@"\n'),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "JOB_"))}
    environment = {**inherited, "PATH": f"{programs}:{os.environ['PATH']}", **variables}
    done = subprocess.run(["bash", *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_job_array(tmp_path: Path) -> None:
    for task in ("1", "2"):
        told = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "1"}
        bash(tmp_path, str(FILES / "slurm-array.sh"), *ASKED, "--out", "big", **told)
    assert sorted(path.name for path in (tmp_path / "big").iterdir()) == ["shard-1-of-2", "shard-2-of-2"]


@pytest.mark.slow
def test_the_steps_of_a_job(tmp_path: Path) -> None:
    bash(tmp_path, str(FILES / "slurm-steps.sh"), "big", *ASKED)
    assert mb.load_run(tmp_path / "big-merged").status == "complete"


@pytest.mark.slow
def test_an_indexed_job(tmp_path: Path) -> None:
    job = load("kubernetes.yaml")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    (completions,) = container["env"]
    assert job["completionMode"] == "Indexed"
    assert completions == {"name": "JOB_COMPLETIONS", "value": str(job["completions"])}
    command = container["command"]
    command[command.index("--model") + 1] = "oracle"
    command[command.index("--out") + 1] = "big"
    asked = [*command, *ASKED[:2], *ASKED[4:]]
    bash(tmp_path, "-c", '"$@"', "x", *asked, JOB_COMPLETION_INDEX="7", JOB_COMPLETIONS=completions["value"])
    record = json.loads((tmp_path / "big" / "shard-8-of-8" / "run.json").read_text())
    assert record["status"] == "complete"


def test_the_manifest_is_valid() -> None:
    validator = pytest.importorskip("kubernetes_validate")
    validator.validate(load("kubernetes.yaml"), validator.latest_version(), strict=True)


@pytest.mark.slow
def test_nodes_of_a_cloud(tmp_path: Path) -> None:
    task = load("skypilot.yaml")
    assert list(task["file_mounts"]) == ["/runs"]
    command = task["run"].replace("/runs/", f"{tmp_path}/").replace("Qwen/Qwen3-VL-8B-Instruct", "oracle")
    asked = command.replace("eval ", f"eval {' '.join(ASKED[:2] + ASKED[4:])} ")
    home = tmp_path / "home"
    home.mkdir()
    bash(tmp_path, "-euc", asked, HOME=str(home), SKYPILOT_NODE_RANK="1", SKYPILOT_NUM_NODES="2")
    assert (tmp_path / "big" / "shard-2-of-2" / "metrics.json").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script: Path) -> None:
    if not (shellcheck := shutil.which("shellcheck")):
        pytest.skip("no shellcheck found")
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
