"""Old texts read anew: nothing else changes, and nothing of the old run is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mgsd_bench
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.rescore import rescore
from mgsd_bench.runs.scoring import SCORER_VERSION
from support.commands import mgsd
from support.stored import rewrite


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


def test_into_itself_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match="is the run itself"):
        rescore(run, run.path)


def test_command(run: Run, tmp_path: Path) -> None:
    assert "0 outcomes changed" in mgsd("score", "--rescore", str(run.path), "--out", str(tmp_path / "new"))
    assert "leave it out" in mgsd("score", "--rescore", str(run.path), "--limit", "3", code=2)
    assert "give --answers or --rescore" in mgsd("score", code=2)
    assert "no run here" in mgsd("score", "--rescore", str(tmp_path / "nowhere"), code=2)
