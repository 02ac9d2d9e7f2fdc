"""Drives that fail for good, clocks that jump, several processes at once, and commands that were stopped midway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.runs import folder as folders
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.terminal import Terminal
from support.commands import error, mgsd
from support.durable import FEW, MODEL, cases, stored
from support.faults import build, run


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and what it writes."""
    given = tmp_path_factory.mktemp("given")
    mgsd(*cases(FEW)[0].command(given, given))
    return given


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = build(tmp_path_factory.mktemp("faults"))
    if found is None:
        pytest.skip("needs a C compiler and Linux")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at"), [("full", 30), ("stale", 25)])
def test_a_drive_that_fails_for_good(library: Path, given: Path, tmp_path: Path, kind: str, at: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    words = cases(FEW)[0].command(given, out)
    code, shown, calls = run(library, out, words, at, kind)
    assert calls >= at
    assert code in (2, 5)
    assert "Traceback" not in shown
    assert shown.count("mgsd-bench: ") == 1
    code, shown, _ = run(library, out, words)
    assert code == 0, shown
    assert stored(out) == stored(given)


@pytest.mark.slow
def test_a_clock_that_jumps(library: Path, given: Path, tmp_path: Path) -> None:
    words = cases(FEW)[0].command(given, tmp_path)
    jumping = {**os.environ, "LD_PRELOAD": str(library), "FAULT_CLOCK": "315360000"}
    subprocess.run([sys.executable, "-m", "mgsd_bench", *words], env=jumping, check=True, capture_output=True)
    assert stored(tmp_path) == stored(given)
    (session,) = json.loads((tmp_path / "run" / "run.json").read_text())["sessions"]
    assert 0 <= session["seconds"] < 60


def test_a_run_that_began_and_ended_before_the_lock_is_seen(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its record would be overwritten by another model's, and its answers would be kept as that one's."""
    real, out = folders._lock, tmp_path / "run"

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(folders, "_lock", real)
        mgsd(*cases(FEW)[0].command(given, tmp_path))
        real(*arguments)

    monkeypatch.setattr(folders, "_lock", late)
    words = ["eval", "--backend", "scripted", "--model", "oracle", *FEW, "--condition", "visual,symbolic"]
    assert "holds another run, with model" in error(*words, "--out", str(out), code=3)
    assert stored(tmp_path) == stored(given)


def test_answers_are_on_the_disk_before_metrics_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda stream: order.append("disk"))
    monkeypatch.setattr(folders, "write_whole", lambda path, text: order.append(path.name))
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "samples.jsonl").open("a+b", buffering=0) as stream:
        RunFolder(tmp_path / "run", {}, {"samples.jsonl": stream}, {}, {}).write_metrics({})
    assert order == ["disk", "metrics.json"]


def test_scoring_that_was_stopped_goes_on(given: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (given / "run" / "samples.jsonl").read_text().splitlines()]
    texts = [{"episode": row["episode"], "text": row["text"]} for row in rows if row["condition"] == "visual"]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    words = ["score", "--answers", str(tmp_path / "answers.jsonl"), *FEW, "--out", str(tmp_path / "run")]
    mgsd(*words)
    samples, metrics = tmp_path / "run" / "samples.jsonl", (tmp_path / "run" / "metrics.json").read_bytes()
    samples.write_bytes(b"".join(samples.read_bytes().splitlines(keepends=True)[:5]))
    mgsd(*words)
    assert (tmp_path / "run" / "metrics.json").read_bytes() == metrics
    assert len(samples.read_bytes().splitlines()) == len(texts)


def test_answers_to_what_is_not_asked_are_still_refused(given: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"episode": "maze/3/9999", "text": ""}\n')
    words = ["score", "--answers", str(tmp_path / "answers.jsonl"), *FEW, "--out", str(tmp_path / "run")]
    assert "answers maze/3/9999/visual/0, which this suite and condition do not ask" in error(*words)


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_baseline_whose_saving_was_stopped_is_saved_anew(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: tuple[str, ...]
) -> None:
    words = ["baseline", "save", str(given / "run"), "kept", "--dir", str(tmp_path / "stopped"), *force]
    mgsd(*words[:-1], str(tmp_path / "whole")) if not force else mgsd(*words)
    expected = stored(tmp_path / ("stopped" if force else "whole"))

    from mgsd_bench.gating import baselines

    whole = baselines.write_whole

    def stopped(path: Path, text: str) -> None:
        if path.name == "metrics.json":
            raise KeyboardInterrupt
        whole(path, text)

    monkeypatch.setattr(baselines, "write_whole", stopped)
    with pytest.raises(KeyboardInterrupt):
        baselines.save_baseline(given / "run", "kept", tmp_path / "stopped", force=bool(force))
    assert not (tmp_path / "stopped" / "kept" / "run.json").exists()
    monkeypatch.undo()
    mgsd(*words)
    assert stored(tmp_path / "stopped") == expected


def test_a_folder_with_something_else_is_no_unfinished_baseline(given: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "letter.txt").write_text("mine")
    assert "exists" in error("baseline", "save", str(given / "run"), "kept", "--dir", str(tmp_path))


def test_a_drive_that_fails_outside_of_what_a_command_expects_is_one_line(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(*_: object, **__: object) -> None:
        raise OSError(116, "Stale file handle", str(tmp_path / "table.md"))

    monkeypatch.setattr("mgsd_bench.report.tables.write_tables", stale)
    line = error("report", str(given / "run"), "--out", str(tmp_path / "table.md"), code=5)
    assert line.endswith("table.md: Stale file handle; what was stored is kept: see to the drive and run the same "
                         "command again")  # fmt: skip


def test_nobody_reads_the_output_any_more() -> None:
    """That is not the gate's exit code 1."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "mgsd_bench", "tasks"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert ended.returncode == 5
    assert ended.stderr == "mgsd-bench: nobody reads the output any more; what was stored is kept\n"


def _evaluate(out: Path, code: Any) -> None:
    from mgsd_bench.evaluation.settings import EvaluationSettings

    settings = EvaluationSettings(model=MODEL[-1], backend="scripted", suite="smoke", out=out)
    try:
        evaluate(Evaluation.from_settings(settings), Terminal())
    except UserError as refused:
        code.value = 1 if "another process is writing this run" in str(refused) else 9


@pytest.mark.slow
def test_two_writers_at_once(tmp_path: Path) -> None:
    context = get_context("fork")
    codes = [context.Value("i", 0) for _ in range(4)]
    processes = [context.Process(target=_evaluate, args=(tmp_path / "run", code)) for code in codes]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode in (0, -signal.SIGPIPE)
    assert {code.value for code in codes} <= {0, 1}
    lines = (tmp_path / "run" / "samples.jsonl").read_bytes().splitlines()
    assert len(lines) == 72
    mgsd("verify", str(tmp_path / "run"))
