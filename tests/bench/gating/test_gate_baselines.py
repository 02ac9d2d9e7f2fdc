"""Saved baselines, and the version of the scorer that they and their candidates carry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.evaluation.verify import verify
from mgsd_bench.gating.baselines import save_baseline
from mgsd_bench.gating.noise import noise
from mgsd_bench.runs.scoring import SCORER_VERSION
from support.gating import LOOSE, call, copy, edit
from support.long_runs import long_run, peak
from support.stored import line


def test_baselines(runs: Path, tmp_path: Path) -> None:
    folder = ("--dir", tmp_path / "kept")
    call("baseline", "save", runs / "old", "v1", *folder)
    kept = tmp_path / "kept" / "v1"
    assert sorted(path.name for path in kept.iterdir()) == [
        "episodes.jsonl", "metrics.json", "run.json", "samples.jsonl",
    ]  # fmt: skip
    assert json.loads((kept / "metrics.json").read_text()) == json.loads((runs / "old" / "metrics.json").read_text())
    assert str(tmp_path) not in (kept / "run.json").read_text()
    assert "v1" in call("baseline", "list", *folder)
    assert "episodes_digest" in call("baseline", "show", "v1", *folder)
    call("gate", "--baseline", "v1", "--candidate", runs / "worse", *folder, "--json", tmp_path / "v.json", code=1)
    assert "exists" in call("baseline", "save", runs / "old", "v1", *folder, code=2)
    assert "not a name" in call("baseline", "save", runs / "old", "../v1", *folder, code=2)
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    call("baseline", "save", runs / "old", "v1", "--force", *folder)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_the_order_of_answers_leaves_no_trace_in_a_baseline(runs: Path, tmp_path: Path) -> None:
    other = copy(runs / "old", tmp_path / "other")
    lines = (other / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (other / "samples.jsonl").write_bytes(b"".join(reversed(lines)))
    folders = [save_baseline(run, name, tmp_path) for run, name in ((runs / "old", "a"), (other, "b"))]
    assert folders[0].joinpath("samples.jsonl").read_bytes() == folders[1].joinpath("samples.jsonl").read_bytes()


def test_a_baseline_holds_the_last_answer_to_each_question(runs: Path, tmp_path: Path) -> None:
    other = copy(runs / "old", tmp_path / "other")
    lines = (other / "samples.jsonl").read_bytes().splitlines(keepends=True)
    failed = {"text": "", "plan": None, "facts": [], "form": "none", "outcome": "error", "error": "lost",
              "optimal": False, "illegal": None, "steps": 0, "finish_reason": "error"}  # fmt: skip
    first = line({**json.loads(lines[0]), **failed})
    (other / "samples.jsonl").write_bytes(b"".join((first, first, *lines)))
    folders = [save_baseline(run, name, tmp_path) for run, name in ((runs / "old", "a"), (other, "b"))]
    assert folders[0].joinpath("samples.jsonl").read_bytes() == folders[1].joinpath("samples.jsonl").read_bytes()


def test_texts_are_not_held(runs: Path, tmp_path: Path) -> None:
    def growth(work: Callable[[Run], object]) -> float:
        several = [load_run(tmp_path / str(repeats)) for repeats in (1, 6)]
        peaks = [peak(lambda run=run: work(run)) for run in several]  # type: ignore[misc]
        return (peaks[1] - peaks[0]) / (len(several[1].frame) - len(several[0].frame))

    for repeats in (1, 6):
        long_run(runs / "old", tmp_path / str(repeats), repeats, 10_000)
    assert growth(lambda run: save_baseline(run.path, run.path.name, tmp_path / "kept")) < 2_000
    assert growth(lambda run: noise(run, run)) < 2_000
    assert growth(lambda run: verify(run.path)) < 2_000


def test_an_unfinished_run_is_no_baseline(runs: Path, tmp_path: Path) -> None:
    half = copy(runs / "old", tmp_path / "half")
    record = json.loads((half / "run.json").read_text())
    (half / "run.json").write_text(json.dumps({**record, "status": "running"}))
    assert "not finished" in call("baseline", "save", half, "x", "--dir", tmp_path, code=3)


def test_a_baseline_says_nothing_of_the_machine_that_made_it(runs: Path, tmp_path: Path) -> None:
    run = edit(copy(runs / "old", tmp_path / "old"), model=str(tmp_path / "models" / "mine"))
    record = json.loads((run / "run.json").read_text())
    record["sessions"][0]["backend"] = {"engine": "vllm", "model": str(tmp_path), "hardware": {}, "dtype": "b"}
    (run / "run.json").write_text(json.dumps(record))
    kept = json.loads((save_baseline(run, "x", tmp_path / "kept") / "run.json").read_text())
    assert kept["identity"]["model"] == "mine"
    (session,) = kept["sessions"]
    assert session.keys() == {"versions", "git", "backend"}
    assert session["backend"] == {"engine": "vllm", "dtype": "b"}


# --- the version of the scorer ---


def test_answers_of_two_scorers_are_not_compared(runs: Path, tmp_path: Path) -> None:
    other = edit(copy(runs / "old", tmp_path / "other"), scorer=SCORER_VERSION + 1)
    for words in (("gate", "--baseline", runs / "old", "--candidate", other), ("compare", runs / "old", other)):
        assert f"scored by version {SCORER_VERSION + 1}" in call(*words, code=3)
    assert "scored by version" in call("diagnose", runs / "old", other, code=3)
    shown = call("gate", "--baseline", other, "--model", "oracle", "--out", tmp_path / "x", code=3)
    assert "mgsd-bench score --rescore" in shown
    assert not (tmp_path / "x").exists()


def test_old_answers_are_scored_anew(runs: Path, tmp_path: Path) -> None:
    other, anew = edit(copy(runs / "old", tmp_path / "other"), scorer=0), tmp_path / "anew"
    call("score", "--rescore", other, "--out", anew)
    assert load_run(anew).record["identity"]["scorer"] == SCORER_VERSION
    policy = tmp_path / "gate.yaml"
    policy.write_text(LOOSE)
    assert "PASS" in call("gate", "--baseline", runs / "old", "--candidate", anew, "--policy", policy)


def test_a_run_that_names_no_scorer_is_of_the_first(runs: Path, tmp_path: Path) -> None:
    old = copy(runs / "old", tmp_path / "old")
    record = json.loads((old / "run.json").read_text())
    assert record["identity"].pop("scorer") == SCORER_VERSION
    (old / "run.json").write_text(json.dumps(record))
    assert load_run(old).record["identity"]["scorer"] == 1
