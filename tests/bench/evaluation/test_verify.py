"""A run that holds is found to hold, and whatever does not is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import mgsd_bench
from mgsd_bench.evaluation.verify import verify
from support.commands import mgsd
from support.stored import line, rewrite


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    return mgsd_bench.evaluate(
        model="faulty:0.1,0.2,0.1", backend="scripted", suite="smoke", limit=3,
        conditions=("visual", "symbolic", "perceive", "direct"), out=out,
    ).path  # fmt: skip


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_run_holds(run: Path) -> None:
    found = verify(run)
    assert found.faults == ()
    assert found.samples == found.sealed == len((run / "samples.jsonl").read_bytes().splitlines())
    assert "samples: holds" in mgsd("verify", str(run))


@pytest.mark.slow
def test_several_processes_find_the_same(run: Path) -> None:
    rewrite(run, lambda i, row: {**row, "steps": row["steps"] + (i % 7 == 3)})
    alone = verify(run)
    assert len(alone.faults) > 3
    assert verify(run, block=alone.samples // 2) == alone


def first(run: Path, **changes: Any) -> None:
    """Change the first row, and give it the checksum that it would have had: only its own text speaks against it."""
    rewrite(run, lambda i, row: {**row, **changes} if i == 0 else row)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outcome": "illegal"}, "outcome is not that of the plan"),
        ({"plan": ["up", "up", "up"]}, "plan is not that of the text"),
        ({"facts": [["hole", 0, 0], ["hole", 7, 7]]}, "facts are not those of the text"),
        ({"facts": []}, "facts is otherwise today"),
        ({"form": "none"}, "form is otherwise today"),
        ({"task": "maze"}, "task is not that of the episode"),
        ({"shortest": 99}, "shortest is not that of the episode"),
        ({"episode": "maze/3/9999"}, "is not in the run"),
        ({"error": "reset"}, "outcome and error do not agree"),
    ],
)
def test_a_false_score_is_named(run: Path, changes: dict[str, Any], said: str) -> None:
    first(run, **changes)
    faults = verify(run).faults
    assert any(fault.startswith("samples.jsonl:1: ") and said in fault for fault in faults)
    shown = mgsd("verify", str(run), code=2)
    assert "does not hold" in shown
    assert said in shown


def test_a_lost_and_a_second_answer_are_named(run: Path) -> None:
    path = run / "samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[1:], lines[-1]]))
    assert sorted(verify(run).faults) == sorted(
        [
            f"1 of {len(lines)} questions have no answer, and the run is called complete",
            f"{_key(lines[-1])}: a second answer",
        ]
    )


def test_an_answer_that_is_not_asked_is_named(run: Path) -> None:
    path = run / "samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, line({**json.loads(lines[0]), "repeat": 1})]))
    assert [fault.rpartition(": ")[2] for fault in verify(run).faults] == ["is not asked"]


def test_lines_that_are_no_samples_are_counted_with_the_others(run: Path) -> None:
    path = run / "samples.jsonl"
    path.write_bytes(path.read_bytes() + line({"episode": "maze/3/0000"}))
    found = verify(run)
    assert found.samples == found.sealed == len(path.read_bytes().splitlines())
    assert "without a checksum" not in mgsd("verify", str(run), code=2)


@pytest.mark.timeout(20)
def test_as_many_questions_as_a_record_likes(run: Path) -> None:
    """A million million of them take no time and no memory."""
    record = json.loads((run / "run.json").read_text())
    record["identity"]["repeats"] = 99_999
    record["identity"]["conditions"] += [f"no. {i}" for i in range(100_000)]
    (run / "run.json").write_text(json.dumps(record))
    (fault,) = verify(run).faults
    assert "questions have no answer, and the run is called complete" in fault


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "7", "{}"])
def test_figures_that_are_damaged(run: Path, content: str) -> None:
    (run / "metrics.json").write_text(content)
    faults = verify(run).faults
    assert bool(faults) == (content != "{}")


def test_other_figures_are_named(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["conditions"]["visual"]["macro"]["accuracy"]["value"] += 0.01
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert verify(run).faults == ("metrics.json: holds other figures than samples.jsonl comes to",)


def test_changed_episodes_are_named(run: Path) -> None:
    path = run / "episodes.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[::-1]))
    assert verify(run).faults[0] == "episodes.jsonl: not the episodes of run.json"


def test_the_shipped_baseline_holds() -> None:
    assert verify(Path(__file__).parents[3] / "baselines" / "gate" / "tiny-mgsd").faults == ()


def _key(stored: bytes) -> str:
    row = json.loads(stored)
    return f"{row['episode']}/{row['condition']}/{row['repeat']}"
