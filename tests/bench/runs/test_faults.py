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


def test_every_kind_is_tried_by_name() -> None:
    assert set(KINDS) == {"kill", "killed", "short write", "ENOSPC", "EIO", "EINTR"}
