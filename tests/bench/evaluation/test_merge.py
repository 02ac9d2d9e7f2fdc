"""A run in shards, merged, is the run; and what is no whole set of shards of one run is said, in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import mgsd_bench as mb
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.merge import merge
from mgsd_bench.evaluation.verify import verify

OF = 7


def evaluate(out: Path, **settings: object) -> Path:
    asked: dict[str, object] = {
        "model": "faulty:0.2,0.2,0.2",
        "backend": "scripted",
        "suite": "smoke",
        "conditions": ["visual", "symbolic", "act"],
        "prompts": "compact",
    }
    return mb.evaluate(out=out, **{**asked, **settings}).path  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("shards") / "run"
    return [evaluate(out, shard=f"{number}/{OF}") for number in range(1, OF + 1)]


@pytest.fixture
def shards(made: list[Path], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(folder, tmp_path / "shards" / folder.name)) for folder in made]


def test_seven_shards_are_the_run(whole: Path, shards: list[Path], tmp_path: Path) -> None:
    assert [folder.name for folder in shards] == [f"shard-{number}-of-7" for number in range(1, 8)]
    before = {path: path.read_bytes() for folder in shards for path in folder.iterdir()}
    summary = merge(shards[::-1], tmp_path / "merged")
    for name in ("metrics.json", "episodes.jsonl"):
        assert (tmp_path / "merged" / name).read_bytes() == (whole / name).read_bytes()
    merged, run = mb.load_run(tmp_path / "merged"), mb.load_run(whole)
    assert merged.identity == run.identity
    assert merged.status == run.status == "complete"
    assert summary.samples == len(run.samples)
    columns = [name for name in run.to_pandas().columns if name not in ("run", "seconds")]
    assert merged.to_pandas()[columns].equals(run.to_pandas()[columns])
    assert verify(tmp_path / "merged").faults == ()
    assert {session["shard"] for session in merged.record["sessions"]} == {f"{n}/7" for n in range(1, 8)}
    assert {path: path.read_bytes() for folder in shards for path in folder.iterdir()} == before
    assert mb.compare(tmp_path / "merged", whole).macro.difference.value == 0


def test_a_shard_is_a_run_of_its_own(shards: list[Path]) -> None:
    assert verify(shards[2]).faults == ()
    assert 0 < len(mb.load_run(shards[2]).samples) < 144


def test_a_merged_run_is_not_written_over(shards: list[Path], tmp_path: Path) -> None:
    merge(shards, tmp_path / "merged")
    with pytest.raises(UserError, match="already holds something"):
        merge(shards, tmp_path / "merged")


def _status(shards: list[Path]) -> None:
    record = json.loads((shards[2] / "run.json").read_text())
    (shards[2] / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))


def _identity(key: str, value: object) -> Callable[[list[Path]], None]:
    def change(shards: list[Path]) -> None:
        record = json.loads((shards[2] / "run.json").read_text())
        record["identity"][key] = value
        (shards[2] / "run.json").write_text(json.dumps(record))

    return change


def _weights(shards: list[Path]) -> None:
    record = json.loads((shards[2] / "run.json").read_text())
    record["sessions"][0]["backend"]["fingerprint"] = "other"
    (shards[2] / "run.json").write_text(json.dumps(record))


def _lose(name: str) -> Callable[[list[Path]], None]:
    def change(shards: list[Path]) -> None:
        lines = (shards[2] / name).read_text().splitlines(keepends=True)
        (shards[2] / name).write_text("".join(lines[:-1]))

    return change


def _no_episodes(shards: list[Path]) -> None:
    """Lines that are none, in a record that says so."""
    (shards[2] / "episodes.jsonl").write_text('{"id":[]}\n[1]\n')


def _gone(shards: list[Path]) -> None:
    (shards[2] / "episodes.jsonl").unlink()


def _other_answers(shards: list[Path]) -> None:
    shutil.copy(shards[1] / "samples.jsonl", shards[2])


@pytest.mark.parametrize(
    ("damage", "words", "code"),
    [
        (_status, r"shard-3-of-7: shard 3/7 is not finished \(interrupted\)", Exit.USAGE),
        (_identity("model", "x"), "shard-3-of-7: is of another run than .*shard-1-of-7: model differs", None),
        (_identity("suite", "x"), "suite differs", None),
        (_identity("shard", {"number": 9, "of": 7}), "was not written by this version", Exit.USAGE),
        (_weights, "shard-3-of-7: was answered by other weights", None),
        (_lose("samples.jsonl"), r"samples.jsonl: holds answers to \d+ of \d+ questions", Exit.USAGE),
        (_lose("episodes.jsonl"), "shard-3-of-7/episodes.jsonl: does not hold the episodes", Exit.USAGE),
        (_no_episodes, "shard-3-of-7/episodes.jsonl:2: not an episode", Exit.USAGE),
        (_gone, "shard-3-of-7/episodes.jsonl: cannot be read", Exit.USAGE),
        (_other_answers, "which shard 3/7 does not ask", Exit.USAGE),
        (lambda shards: shards.pop(), "of 7 shards there is no 7", Exit.USAGE),
        (lambda shards: shards.append(shards[0]), "shard 1/7 is in .* too", Exit.USAGE),
    ],
)
def test_what_is_no_run(
    damage: Callable[[list[Path]], object], words: str, code: Exit | None, shards: list[Path], tmp_path: Path
) -> None:
    damage(shards)
    with pytest.raises(UserError, match=words) as raised:
        merge(shards, tmp_path / "merged")
    assert raised.value.code == (code or Exit.NOT_COMPARABLE)
    assert not (tmp_path / "merged").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]


def test_a_whole_run_is_no_shard(whole: Path, shards: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a whole run, no shard of one"):
        merge([*shards, whole], tmp_path / "merged")


def test_a_begun_run_makes_its_episodes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = evaluate(tmp_path / "run", conditions=["visual"])
    lines = (folder / "samples.jsonl").read_text().splitlines(keepends=True)
    figures = (folder / "metrics.json").read_bytes()
    (folder / "samples.jsonl").write_text("".join(lines[:20]))
    monkeypatch.setattr("mgsd_bench.evaluation.asked.episodes", lambda suite: pytest.fail("made anew"))
    evaluate(tmp_path / "run", conditions=["visual"])
    assert (folder / "metrics.json").read_bytes() == figures
    monkeypatch.undo()
    with pytest.raises(UserError, match="holds another run"):
        evaluate(tmp_path / "run", conditions=["visual"], limit=3)
