"""A write that fails, is cut short, or is the process's last: nothing is lost, and the same command goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.faults import KINDS, build, run

QUESTIONS = ("--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--tasks", "maze", "--limit", "1")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = build(tmp_path_factory.mktemp("faults"))
    if found is None:
        pytest.skip("needs a C compiler and Linux")
    return found


@pytest.fixture(scope="module")
def metrics(library: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole") / "run"
    code, _, calls = run(library, out, ["eval", *QUESTIONS, "--out", str(out)])
    assert code == 0
    assert calls > 12
    return (out / "metrics.json").read_bytes()


@pytest.fixture(scope="module")
def acted(library: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("acted") / "run"
    code, _, calls = run(library, out, ["eval", *QUESTIONS, "--condition", "act", "--out", str(out)])
    assert code == 0
    assert calls > 30
    return (out / "metrics.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "kind"),
    [(2, "kill"), (9, "killed"), (10, "short write"), (11, "ENOSPC"), (4, "EIO"), (12, "EINTR")],
)
def test_a_fault_in_any_write(library: Path, metrics: bytes, tmp_path: Path, at: int, kind: str) -> None:
    out = tmp_path / "run"
    command = ["eval", *QUESTIONS, "--out", str(out)]
    code, shown, calls = run(library, out, command, at, kind)
    assert calls >= at
    assert "Traceback" not in shown
    assert code in ({-9} if kind in ("kill", "killed") else {0, 2, 5})
    code, shown, _ = run(library, out, command)
    assert code == 0, shown
    assert (out / "metrics.json").read_bytes() == metrics
    assert sorted(path.name for path in out.iterdir()) == [
        "episodes.jsonl",
        "metrics.json",
        "run.json",
        "samples.jsonl",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "kind"),
    [(3, "kill"), (12, "killed"), (14, "short write"), (17, "ENOSPC"), (21, "EIO"), (9, "EINTR")],
)
def test_a_fault_in_any_write_of_the_closed_loop(
    library: Path, acted: bytes, tmp_path: Path, at: int, kind: str
) -> None:
    out = tmp_path / "run"
    command = ["eval", *QUESTIONS, "--condition", "act", "--out", str(out)]
    code, shown, calls = run(library, out, command, at, kind)
    assert calls >= at
    assert "Traceback" not in shown
    assert code in ({-9} if kind in ("kill", "killed") else {0, 2, 5})
    turns = out / "turns.jsonl"
    kept = turns.read_bytes().rpartition(b"\n")[0] if turns.exists() else b""
    code, shown, _ = run(library, out, command)
    assert code == 0, shown
    assert (out / "metrics.json").read_bytes() == acted
    assert turns.read_bytes().startswith(kept)


def test_every_kind_is_tried_by_name() -> None:
    assert set(KINDS) == {"kill", "killed", "short write", "ENOSPC", "EIO", "EINTR"}
