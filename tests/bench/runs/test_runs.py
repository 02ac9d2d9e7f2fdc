"""The run folder: nothing is lost, and nothing that does not belong together is mixed."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mgsd_bench.analysis.run import load_run
from mgsd_bench.backends import BackendConfig, Sampling
from mgsd_bench.backends.scripted import ScriptedBackend
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import select
from support.stored import line


def job(out: Path, **changes: Any) -> Evaluation:
    settings: dict[str, Any] = {
        "suite": select(find_suite("smoke"), ["frozenlake", "maze"], [3, 4]),
        "limit": None,
        "conditions": ["visual"],
        "repeats": 1,
        "prompts": "default",
        "backend": "scripted",
        "config": BackendConfig("noisy-planning:0.5"),
        "out": out,
    }
    return Evaluation(**{**settings, **changes})


def run(the_job: Evaluation) -> dict[str, Any]:
    return evaluate(the_job, Console(quiet=True))[0]


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    out = tmp_path / "run"
    run(job(out))
    return out


def test_folder_of_a_finished_run(finished: Path) -> None:
    assert sorted(path.name for path in finished.iterdir()) == [
        "episodes.jsonl",
        "metrics.json",
        "run.json",
        "samples.jsonl",
    ]
    record, samples = load_run(finished).record, load_run(finished).samples
    assert record["status"] == "complete"
    assert record["identity"]["model"] == "noisy-planning:0.5"
    (session,) = record["sessions"]
    assert session["backend"]["engine"] == "scripted"
    assert session["versions"]["mgsd-bench"]
    assert session["started"] <= session["ended"]
    assert len(samples) == 24
    assert {sample.outcome for sample in samples} <= {"solved", "wrong", "illegal"}


def test_prompts_are_recorded_outside_the_identity(finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text())
    assert set(record["prompts"]) == {"frozenlake/visual", "maze/visual"}
    assert record["identity"]["prompts"] == "default"
    del record["prompts"]  # as older runs are
    (finished / "run.json").write_text(json.dumps(record))
    assert load_run(finished).prompts == {}
    run(job(finished))
    assert set(load_run(finished).prompts) == {"frozenlake/visual", "maze/visual"}


@pytest.mark.parametrize("prompts", [None, 3, ["x"], {"maze/visual": 3}])
def test_damaged_prompts_are_as_good_as_none(finished: Path, prompts: Any) -> None:
    record = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(json.dumps({**record, "prompts": prompts}))
    assert load_run(finished).prompts == {}


def test_same_command_again_asks_nothing(finished: Path) -> None:
    before = (finished / "samples.jsonl").read_bytes(), (finished / "metrics.json").read_bytes()
    run(job(finished))
    assert ((finished / "samples.jsonl").read_bytes(), (finished / "metrics.json").read_bytes()) == before
    assert len(load_run(finished).record["sessions"]) == 1


def test_metrics_do_not_depend_on_the_order_of_answers(finished: Path) -> None:
    metrics = (finished / "metrics.json").read_bytes()
    lines = (finished / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (finished / "samples.jsonl").write_bytes(b"".join(lines[::-1]))
    run(job(finished))
    assert (finished / "metrics.json").read_bytes() == metrics


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.999])
def test_torn_last_line_is_dropped_and_asked_again(finished: Path, keep: float) -> None:
    metrics = (finished / "metrics.json").read_bytes()
    data = (finished / "samples.jsonl").read_bytes()
    (finished / "metrics.json").unlink()
    (finished / "samples.jsonl").write_bytes(data[: int(len(data) * keep)])
    run(job(finished))
    assert (finished / "metrics.json").read_bytes() == metrics
    assert (finished / "samples.jsonl").read_bytes().count(b"\n") == 24


def test_damaged_line_is_named(finished: Path) -> None:
    lines = (finished / "samples.jsonl").read_bytes().splitlines(keepends=True)
    lines[4] = b'{"episode": 3\n'
    (finished / "samples.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(UserError, match=r"samples\.jsonl:5: .*delete this line") as caught:
        run(job(finished))
    assert caught.value.code == Exit.USAGE
    (finished / "samples.jsonl").write_bytes(b"".join(lines[:4] + lines[5:]))
    run(job(finished))
    assert len(load_run(finished).samples) == 24


def test_failed_requests_are_asked_again(finished: Path) -> None:
    metrics = (finished / "metrics.json").read_bytes()
    lines = (finished / "samples.jsonl").read_bytes().splitlines(keepends=True)
    row = json.loads(lines[3])
    row.update(outcome="error", error="reset", text="", plan=None, facts=[], finish_reason="error")
    lines[3] = line(row)
    (finished / "samples.jsonl").write_bytes(b"".join(lines))
    run(job(finished))
    assert (finished / "metrics.json").read_bytes() == metrics


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"suite": find_suite("smoke")}, "digest"),
        ({"limit": 2}, "digest"),
        ({"config": BackendConfig("oracle")}, "model"),
        ({"config": BackendConfig("noisy-planning:0.5", Sampling(temperature=0.5))}, "sampling"),
        ({"config": BackendConfig("noisy-planning:0.5", max_pixels=99_999)}, "pixels"),
        ({"prompts": "compact"}, "digest"),
        ({"conditions": ["symbolic"]}, "conditions"),
        ({"repeats": 2}, "repeats"),
    ],
)
def test_another_run_is_refused_and_nothing_lost(finished: Path, changes: dict[str, Any], name: str) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(UserError, match=f"holds another run, with {name} ") as caught:
        run(job(finished, **changes))
    assert caught.value.code == Exit.NOT_COMPARABLE
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_engine_settings_may_change_between_sessions(finished: Path) -> None:
    data = (finished / "samples.jsonl").read_bytes()
    (finished / "samples.jsonl").write_bytes(data[: len(data) // 2])
    run(job(finished, config=BackendConfig("noisy-planning:0.5", engine_args={"max_num_seqs": 4})))
    assert len(load_run(finished).record["sessions"]) == 2


def test_other_weights_under_the_same_name_are_refused(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (finished / "samples.jsonl").read_bytes()
    (finished / "samples.jsonl").write_bytes(data[: len(data) // 2])
    before = (finished / "samples.jsonl").read_bytes()
    monkeypatch.setattr(ScriptedBackend, "describe", lambda _: {"engine": "scripted", "fingerprint": "new"})
    with pytest.raises(UserError, match="other weights") as caught:
        run(job(finished))
    assert caught.value.code == Exit.NOT_COMPARABLE
    assert (finished / "samples.jsonl").read_bytes().startswith(before.rpartition(b"\n")[0])


def test_a_run_without_answers_is_no_obstacle(tmp_path: Path) -> None:
    """A mistyped model must not spoil the folder for the right one."""
    out = tmp_path / "run"
    with pytest.raises(UserError, match="model=ghost"):
        run(job(out, config=BackendConfig("ghost")))
    run(job(out))
    assert load_run(out).record["identity"]["model"] == "noisy-planning:0.5"
    assert len(load_run(out).episodes) == 24


def test_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="not a run"):
        run(job(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"format": 99}',
        '{"format": 1}',
        '{"format": 1, "status": "complete", "identity": {}, "sessions": []}',
    ],
)
def test_damaged_or_foreign_record_is_refused(finished: Path, content: str) -> None:
    (finished / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        run(job(finished))


def test_two_processes_do_not_write_the_same_run(finished: Path) -> None:
    identity = load_run(finished).record["identity"]
    episodes = load_run(finished).episodes.episodes
    with RunFolder.open(finished, identity, episodes), pytest.raises(UserError, match="another process"):
        run(job(finished))


def test_out_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        run(job(tmp_path / "file"))


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for root, whom permissions do not stop."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match="Read-only file system") as caught:
        run(job(tmp_path / "run"))
    assert caught.value.code == Exit.USAGE


COMMAND = [sys.executable, "-m", "mgsd_bench", "eval", "--backend", "scripted", "--model", "noisy-perception:0.2"]


def spawn(out: Path, *more: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "--suite", "mgsd-v1", "--out", str(out), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def wait_for_lines(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < lines):
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert spawn(out).wait() == 0
    return out


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_gives_the_same_metrics(whole: Path, tmp_path: Path) -> None:
    killed = 0
    for lines in (0, 1, 100, 400, 900):
        process = spawn(tmp_path / "killed")
        wait_for_lines(tmp_path / "killed" / "samples.jsonl", lines, process)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed >= 3
    last = spawn(tmp_path / "killed")
    _, errors = last.communicate()
    assert last.returncode == 0, errors
    assert (tmp_path / "killed/metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    assert len(load_run(tmp_path / "killed").record["sessions"]) >= 3


def test_interrupt_keeps_what_is_there(tmp_path: Path) -> None:
    process = spawn(tmp_path / "run")
    wait_for_lines(tmp_path / "run" / "samples.jsonl", 20, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == Exit.INTERRUPTED
    (line,) = errors.strip().splitlines()
    assert line.startswith("mgsd-bench: interrupted; ")
    assert line.endswith("run the same command again to go on")
    assert load_run(tmp_path / "run").record["status"] == "interrupted"
    assert len(load_run(tmp_path / "run").samples) >= 20


@pytest.mark.slow
def test_full_disk(whole: Path, tmp_path: Path) -> None:
    """A limit on the file's size fails the write as a full disk does."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    full = spawn(tmp_path / "run", before=limit)
    _, errors = full.communicate()
    assert full.returncode == Exit.ENGINE
    assert len(errors.strip().splitlines()) == 1
    assert "no space left" in errors
    assert "all finished samples are kept" in errors
    kept = len(load_run(tmp_path / "run").samples)
    assert 0 < kept < 1200
    again = spawn(tmp_path / "run")
    assert again.wait() == 0
    assert (tmp_path / "run/metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    process = spawn(tmp_path / "run")
    _, errors = process.communicate()
    assert process.returncode == Exit.USAGE
    assert "cannot be written" in errors
