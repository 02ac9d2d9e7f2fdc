"""Old texts read anew: nothing else changes, and nothing of the old run is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mgsd_bench
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.rescore import rescore
from mgsd_bench.runs.scoring import SCORER_VERSION
from support.commands import mgsd
from support.stored import line, rewrite


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return mgsd_bench.evaluate(
        model="faulty:0.1,0.2,0.3",
        backend="scripted",
        suite="smoke",
        limit=3,
        conditions=("visual", "symbolic", "perceive"),
        out=tmp_path_factory.mktemp("old") / "run",
    )


FAILED = {
    "text": "", "plan": None, "facts": [], "form": "none", "outcome": "error", "error": "lost", "optimal": False,
    "illegal": None, "steps": 0, "finish_reason": "error",
}  # fmt: skip


def changed(run: Run, folder: Path, **changes: object) -> Run:
    """The run with its first sample and its identity changed, as another version would have left it."""
    folder.mkdir()
    for path in run.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    rewrite(folder, lambda i, row: {**row, **changes} if i == 0 else row)
    record = json.loads((folder / "run.json").read_text())
    record["identity"]["scorer"] = SCORER_VERSION - 1
    (folder / "run.json").write_text(json.dumps(record))
    return load_run(folder)


def test_the_same_reader_gives_the_same_run(run: Run, tmp_path: Path) -> None:
    found = rescore(run, tmp_path / "new")
    assert (found.outcomes, found.found, found.lost, found.replanned, found.restated) == (0, 0, 0, 0, 0)
    for name in ("samples.jsonl", "episodes.jsonl", "metrics.json"):
        assert (found.out / name).read_bytes() == (run.path / name).read_bytes(), name
    new = load_run(found.out)
    assert new.status == run.status
    assert new.record["sessions"] == run.record["sessions"]
    assert new.record["prompts"] == run.record["prompts"]
    assert new.record["rescored"]["run"] == "run"


def test_what_another_version_read_is_read_anew(run: Run, tmp_path: Path) -> None:
    old = changed(run, tmp_path / "old", plan=None, facts=[], outcome="no_answer", form="none", optimal=False, steps=0)
    before = {path.name: path.read_bytes() for path in old.path.iterdir()}
    found = rescore(old)
    assert found.out == tmp_path / f"old-scorer-{SCORER_VERSION}"
    assert (found.found, found.lost, found.outcomes) == (1, 0, 1)
    assert load_run(found.out).identity == run.identity
    assert {path.name: path.read_bytes() for path in old.path.iterdir()} == before
    assert sorted(load_run(found.out).samples, key=lambda s: s.key) == sorted(run.samples, key=lambda s: s.key)


def test_of_a_question_that_was_asked_again_the_last_sample_is_read(run: Run, tmp_path: Path) -> None:
    again = load_run(shutil.copytree(run.path, tmp_path / "again"))
    rows = [json.loads(each) for each in (run.path / "samples.jsonl").read_text().splitlines()]
    failed = [{**row, **FAILED} for row in rows[:3]]
    lines = [line(row) for row in (*failed, *failed[:2], *rows[2:], rows[0])]  # the second one stays failed
    (again.path / "samples.jsonl").write_bytes(b"".join(lines))
    found = rescore(again, tmp_path / "new")
    assert (found.outcomes, found.found, found.lost, found.summary.samples) == (0, 0, 0, len(rows))
    new = {sample.key: sample for sample in load_run(found.out).samples}
    assert [sample.key for sample in new.values() if sample.outcome == "error"] == [run.samples[1].key]
    assert len((found.out / "samples.jsonl").read_bytes().splitlines()) == len(rows) == len(new)
    assert all(new[sample.key] == sample for sample in run.samples if sample.key != run.samples[1].key)


def test_what_cannot_be_read_again_leaves_no_folder(tmp_path: Path) -> None:
    run = mgsd_bench.evaluate(
        model="random", backend="scripted", suite="smoke", limit=1, levels=(4,), conditions=("act",),
        out=tmp_path / "acted",
    )  # fmt: skip
    turns = (run.path / "turns.jsonl").read_bytes().splitlines(keepends=True)
    last = json.loads(turns[-1])["episode"].encode()
    (run.path / "turns.jsonl").write_bytes(b"".join(turn for turn in turns if last not in turn))
    with pytest.raises(UserError, match=r"turns\.jsonl: .*copy the whole run folder"):
        rescore(load_run(run.path), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_into_itself_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match="is the run itself"):
        rescore(run, run.path)


def test_command(run: Run, tmp_path: Path) -> None:
    assert "0 outcomes changed" in mgsd("score", "--rescore", str(run.path), "--out", str(tmp_path / "new"))
    assert "leave it out" in mgsd("score", "--rescore", str(run.path), "--limit", "3", code=2)
    assert "give --answers or --rescore" in mgsd("score", code=2)
    assert "no run here" in mgsd("score", "--rescore", str(tmp_path / "nowhere"), code=2)
