"""The Python API: what the commands do, as functions with typed results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mgsd_bench as mb
from mgsd_bench.errors import Exit
from support.commands import mgsd

CONDITIONS = ("visual", "symbolic")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, mb.Run]:
    folder = tmp_path_factory.mktemp("api")
    return {
        model: mb.evaluate(
            model=model, backend="scripted", suite="smoke", conditions=CONDITIONS, limit=4, out=folder / model[:6]
        )
        for model in ("noisy-planning:0.3", "oracle")
    }


def test_every_name_is_there_and_imported_late() -> None:
    assert all(getattr(mb, name) is not None for name in mb.__all__)
    assert set(mb.__all__) <= set(dir(mb))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mb.nothing
    code = "import sys, mgsd_bench; print([m for m in ('pandas', 'numpy', 'pydantic', 'typer') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_version_is_that_of_the_command() -> None:
    assert mgsd("--version").strip() == f"mgsd-bench {mb.__version__}"


def test_evaluate_is_the_command(runs: dict[str, mb.Run], tmp_path: Path) -> None:
    mgsd("eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--condition", "visual,symbolic",
         "--limit", "4", "--out", str(tmp_path / "run"))  # fmt: skip
    ours = runs["oracle"]
    assert (ours.path / "metrics.json").read_bytes() == (tmp_path / "run" / "metrics.json").read_bytes()
    assert ours.status == "complete"
    assert ours.conditions() == ["symbolic", "visual"]


def test_diagnose_is_the_command(runs: dict[str, mb.Run]) -> None:
    run = runs["noisy-planning:0.3"]
    found = mb.diagnose(run)
    mgsd("diagnose", str(run.path))
    stored = json.loads((run.path / "diagnosis.json").read_text())
    assert found.to_json() == stored
    assert mb.Diagnosis.from_json(stored).to_json() == stored
    assert mb.diagnose(str(run.path)).macro == found.macro


def test_a_cell_has_one_value_and_one_interval(runs: dict[str, mb.Run]) -> None:
    run = runs["noisy-planning:0.3"]
    metrics = json.loads((run.path / "metrics.json").read_text())["conditions"]["visual"]
    scopes = mb.diagnose(run).to_json()
    change = mb.compare(run, runs["oracle"])
    assert metrics["macro"]["accuracy"] == scopes["macro"]["e2e"]
    for row in metrics["tasks"]:
        assert row["accuracy"] == scopes["tasks"][row["task"]]["e2e"]
        (same,) = [task for task in change.to_json()["tasks"] if task["task"] == row["task"]]
        assert same["a"] == row["accuracy"]
    for row in metrics["levels"]:
        (level,) = [at for at in scopes["tasks"][row["task"]]["levels"] if at["level"] == row["level"]]
        assert level["e2e"] == row["accuracy"]


def test_compare_round_trip_and_table(runs: dict[str, mb.Run]) -> None:
    change = mb.compare(runs["noisy-planning:0.3"], runs["oracle"].path)
    assert change.macro.difference.value > 0
    assert mb.Comparison.from_json(json.loads(json.dumps(change.to_json()))).to_json() == change.to_json()
    frame = change.to_pandas()
    assert frame["task"].tolist() == ["frozenlake", "maze", "minibehaviour", "macro"]
    assert (frame["low"] <= frame["difference"]).all()


def test_gate_round_trip_and_table(runs: dict[str, mb.Run], tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("metrics: {e2e: 50}\nlimits: {min_episodes: 1}\n")
    decision = mb.gate(runs["noisy-planning:0.3"], runs["oracle"], policy=policy)
    assert (decision.verdict.value, decision.exit_code) == ("pass", Exit.OK)
    again = mb.GateDecision.from_json(json.loads(json.dumps(decision.to_json())))
    assert again.to_json() == decision.to_json()
    assert decision.to_pandas()["metric"].tolist() == ["e2e"]


def test_runs_that_differ_are_refused_and_let_through(runs: dict[str, mb.Run], tmp_path: Path) -> None:
    other = mb.evaluate(
        model="oracle", backend="scripted", suite="smoke", conditions=CONDITIONS, limit=4, theme="plain",
        out=tmp_path / "plain",
    )  # fmt: skip
    with pytest.raises(mb.UserError, match="look") as refused:
        mb.compare(runs["oracle"], other)
    assert refused.value.code == Exit.NOT_COMPARABLE
    assert "episodes" not in str(refused.value)
    notes = mb.compare(runs["oracle"], other, allow=["look", "prompts"]).notes
    assert any("look" in note for note in notes)


def test_settings_are_named_as_python_names_them(tmp_path: Path) -> None:
    with pytest.raises(mb.UserError, match="limit=0: ") as wrong:
        mb.evaluate(model="oracle", backend="scripted", limit=0, out=tmp_path / "run")
    assert (wrong.value.code, "\n" in str(wrong.value)) == (Exit.USAGE, False)
    with pytest.raises(mb.UserError, match=r"limt=0: no such argument; did you mean limit\?"):
        mb.evaluate(model="oracle", backend="scripted", limt=0)


def test_answers_of_a_text() -> None:
    answer = mb.parse_answer("A wall is between (0,0) and (0,1).\n<answer>R, then down</answer>", task="maze")
    assert (answer.plan, answer.form) == (("right", "down"), "loose")
    assert mb.parse_answer("<answer>R D</answer>", "maze").plan == ("right", "down")
    assert mb.parse_answer("no idea", "maze").plan is None
    with pytest.raises(mb.UserError, match="task chess: not installed; installed tasks: frozenlake"):
        mb.parse_answer("", task="chess")


def test_load_runs_changes_nothing(runs: dict[str, mb.Run]) -> None:
    folders = [run.path for run in runs.values()]
    before = {path: path.stat().st_mtime_ns for folder in folders for path in folder.iterdir()}
    loaded = mb.load_runs(folders)
    assert [run.model for run in loaded] == list(runs)
    assert [len(run.to_pandas()) for run in loaded] == [len(run.samples) for run in runs.values()]
    assert {path: path.stat().st_mtime_ns for folder in folders for path in folder.iterdir()} == before
    with pytest.raises(mb.UserError, match="no run here"):
        mb.load_run(folders[0].parent)
