"""Commands where packages with broken tasks are installed; run by ``tests/project/test_plugin.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mgsd_envs import TaskError, get_task, loadable_tasks
from support.commands import error, mgsd
from support.plugins import SMALL

SAID = {
    "raising": "raising:Task of raising cannot be loaded (ImportError: no module named torch_geometry)",
    "exiting": "exiting:Task of exiting cannot be loaded (SystemExit: 3)",
    "untyped": "untyped:Task of untyped is no mgsd_envs.Task",
    "unfinished": "unfinished:Task of unfinished cannot be loaded (TypeError: Can't instantiate abstract class Task",
    "misnamed": "misnamed:Task of misnamed calls itself 'maze'",
    "gone": "gone:Task of gone cannot be loaded (AttributeError: ",
    "maze": "given by maze_again and mgsd-bench; uninstall one of them",
}
SCRIPTED = ("eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--limit", "1")


@pytest.mark.parametrize("name", SAID)
def test_naming_one_is_one_line(name: str, tmp_path: Path) -> None:
    said = error("generate", str(tmp_path / "made"), "--count", "1", "--tasks", name)
    assert f"task {name}: " in said
    assert SAID[name] in said
    assert not (tmp_path / "made").exists()
    with pytest.raises(TaskError):
        get_task(name)


def test_others_are_not_hurt(tmp_path: Path) -> None:
    names, errors = loadable_tasks()
    assert {"frozenlake", "minibehaviour"} <= set(names)
    assert not set(names) & set(SAID)
    shown = mgsd("tasks")
    assert "frozenlake" in shown
    assert shown.count("mgsd-bench: task ") == len(errors) == len(SAID)
    mgsd(*SCRIPTED, "--tasks", "frozenlake,minibehaviour", "--out", str(tmp_path / "run"))
    mgsd("report", str(tmp_path / "run"), "--out", str(tmp_path / "report.html"))
    shown = mgsd("generate", str(tmp_path / "made"), "--count", "1", "--levels", "5")
    assert shown.count("mgsd-bench: task ") == 1
    assert "2 episodes in" in shown


def test_a_suite_with_one_is_one_line(tmp_path: Path) -> None:
    said = error(*SCRIPTED, "--out", str(tmp_path / "run"))
    assert SAID["maze"] in said


def test_training_names_one_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    mgsd("train", "tiny-smoke", "--dry-run", *SMALL, "--out", str(tmp_path / "train"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("extends: tiny-smoke\nabout: one\nname: one\ndata: {levels: {raising: [3]}}\n")
    assert SAID["raising"] in error("train", str(recipe), "--dry-run", "--out", str(tmp_path / "other"))


def test_inspect_says_one_line(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from click import ClickException

    from mgsd_bench.integrations import inspect_tasks

    with pytest.raises(ClickException, match="given by maze_again and mgsd-bench"):
        inspect_tasks.visual(suite="smoke", limit=1)
    assert len(inspect_tasks.visual(suite="smoke", tasks="frozenlake", limit=1).dataset) == 6


def test_gymnasium() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("mgsd_envs.gym:MGSD/FrozenLake-v0", level=4)
    env.reset(seed=0)


def test_from_a_process_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-m", "mgsd_bench", "tasks"], capture_output=True, text=True)
    assert done.returncode == 0
    assert len([line for line in done.stderr.splitlines() if line.startswith("mgsd-bench: task ")]) == len(SAID)
