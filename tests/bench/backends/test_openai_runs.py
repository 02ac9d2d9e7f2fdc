"""Whole runs by the openai backend: faults, dead servers, interrupts and the key change nothing and leave no trace."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mgsd_bench.analysis.run import load_run
from mgsd_bench.backends import BackendConfig, Request, Response
from mgsd_bench.backends.scripted import ScriptedBackend
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import select
from support.chat_server import KEY, PROBE, QUICK, ChatServer, echo, pixels_digest, question

pytest.importorskip("httpx")
pytestmark = pytest.mark.usefixtures("api_key")


def job(out: Path, *servers: ChatServer, backend: str = "openai", **arguments: Any) -> Evaluation:
    engine = {"base_url": [server.url for server in servers], **QUICK, **arguments}
    config = BackendConfig("fake", engine_args=engine) if servers else BackendConfig("noisy-planning:0.5")
    suite = select(find_suite("smoke"), ["frozenlake", "maze"], [3, 4])
    return Evaluation(suite, None, ["visual", "symbolic"], 1, "compact", backend, config, out)


def run(the_job: Evaluation) -> tuple[dict[str, Any], Exit]:
    summary, code = evaluate(the_job, Console(quiet=True))
    return summary.to_json(), code


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], str]:
    """The answers of a scripted model by question; its run, which nothing disturbed, is in ``tmp_path/clean``."""
    known: dict[tuple[str, bytes], str] = {}

    def learn(self: ScriptedBackend, request: Request) -> Response:
        (turn,), text = request.turns, self._answer(request)
        known[turn.text, pixels_digest(turn.image()) if turn.image else b""] = text
        return Response(request.key, text, "stop")

    with monkeypatch.context() as patch:
        patch.setattr(ScriptedBackend, "respond", learn)
        assert run(job(tmp_path / "clean", backend="scripted"))[1] == Exit.OK
    return lambda body: known.get(question(body["messages"]), "OK")


def test_a_run_through_faults_ends_with_the_metrics_of_a_clean_one(tmp_path: Path, book: Any) -> None:
    out = tmp_path / "run"
    with ChatServer(book, fault_rate=0.3) as server:
        first, code = run(job(out, server, retries=1))
        assert code == Exit.ENGINE
        assert first["samples"] == 48
        failed = [sample for sample in load_run(out).samples if sample.outcome == "error"]
        assert len(failed) == first["errors"] > 0
        assert all(sample.text == "" and sample.error for sample in failed)
        assert sum(level["samples"] for level in first["conditions"]["visual"]["levels"]) == 24
        assert load_run(out).record["status"] == "errors"
        for _ in range(6):
            if code == Exit.OK:
                break
            code = run(job(out, server, retries=1))[1]
        assert len(server.injected) > 8
    assert code == Exit.OK
    assert (out / "metrics.json").read_bytes() == (tmp_path / "clean" / "metrics.json").read_bytes()
    assert all(KEY.encode() not in path.read_bytes() for path in out.iterdir())
    sessions = load_run(out).record["sessions"]
    assert sum(session["usage"]["retries"] for session in sessions) > 0


def test_work_is_shared_and_a_dead_server_is_dropped(tmp_path: Path, book: Any) -> None:
    served = 0

    def dying(body: dict[str, Any]) -> str:
        nonlocal served
        served += 1
        if served == 12:
            mortal.die()
        return str(book(body))

    with ChatServer(book, delay=0.05) as other, ChatServer(dying, delay=0.01) as mortal:
        _, code = run(job(tmp_path / "run", mortal, other))
        assert len(other.bodies) > 12
    assert code == Exit.OK
    assert served >= 12
    assert (tmp_path / "run/metrics.json").read_bytes() == (tmp_path / "clean/metrics.json").read_bytes()
    (session,) = load_run(tmp_path / "run").record["sessions"]
    assert list(session["usage"]["dropped"]) == [mortal.url]
    assert "cannot be reached" in session["usage"]["dropped"][mortal.url]


def test_when_all_are_dead_the_answers_are_kept(tmp_path: Path, book: Any) -> None:
    served = 0

    def dying(body: dict[str, Any]) -> str:
        nonlocal served
        served += 1
        if served == 20:
            mortal.die()
        if served >= 20:
            raise ConnectionAbortedError  # one that is dying answers nobody
        return str(book(body))

    out = tmp_path / "run"
    with (
        ChatServer(dying) as mortal,
        pytest.raises(UserError, match=r"the openai engine died: http.*cannot be reached.*1\d of 48 answers") as caught,
    ):
        run(job(out, mortal))
    assert caught.value.code == Exit.ENGINE
    assert len(str(caught.value).splitlines()) == 1
    assert (record := load_run(out).record)["status"] == "failed"
    assert record["sessions"][0]["usage"]["requests"] >= 20
    with pytest.raises(UserError, match="cannot be reached") as caught:  # it is still down
        run(job(out, mortal))
    assert caught.value.code == Exit.ENGINE
    with ChatServer(book, port=mortal.port) as again:
        assert run(job(out, again))[1] == Exit.OK
    assert (out / "metrics.json").read_bytes() == (tmp_path / "clean/metrics.json").read_bytes()


def test_other_parameters_are_another_run(tmp_path: Path, book: Any) -> None:
    with ChatServer(book, fault_rate=0.3) as server:
        assert run(job(tmp_path / "run", server, retries=0))[1] == Exit.ENGINE
        with pytest.raises(UserError, match="other weights or settings") as caught:
            run(job(tmp_path / "run", server, extra_body={"reasoning_effort": "low"}))
    assert caught.value.code == Exit.NOT_COMPARABLE


def command(out: Path, server: ChatServer, *more: str) -> list[str]:
    quick = [part for name, value in QUICK.items() for part in ("-M", f"{name}={value}")]
    return [
        sys.executable, "-m", "mgsd_bench", "eval", "--backend", "openai", "--model", "fake", "--base-url", server.url,
        "--suite", "smoke", "--tasks", "frozenlake", "--levels", "3", "--out", str(out), *quick, *more,
    ]  # fmt: skip


@pytest.mark.slow
def test_the_key_is_nowhere(tmp_path: Path) -> None:
    with ChatServer(echo, fault_rate=0.5, faults=("500", "503 to come back")) as server:
        prices = ("-M", "retries=0", "-M", "price_in=2", "-M", "price_out=10")
        done = subprocess.run(command(tmp_path / "run", server, *prices), capture_output=True, text=True)
        assert server.keys == {f"Bearer {KEY}"}
    assert done.returncode == Exit.ENGINE, done.stderr
    shown = done.stdout + done.stderr
    assert "run the same command again to retry" in shown.replace("\n", " ")
    stored = "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert "you sent Bearer ***" in stored
    assert KEY not in stored + shown
    used = load_run(tmp_path / "run").record["sessions"][0]["usage"]
    answered = sum(sample.outcome != "error" for sample in load_run(tmp_path / "run").samples)
    assert used["prompt_tokens"] == 100 * (answered + 3)  # with the first questions
    assert used["reasoning_tokens"] == 3 * (answered + 3)
    assert used["cost"] == pytest.approx((answered + 3) * (100 * 2 + 10 * 10) / 1e6)
    assert used["answered_by"] == {"fake-1": answered + 3}


@pytest.mark.slow
def test_an_interrupt_waits_for_no_answer(tmp_path: Path) -> None:
    """The server keeps its answers until the process is gone."""
    gone = threading.Event()

    def held(body: dict[str, Any]) -> str:
        if question(body["messages"])[0] != PROBE:
            gone.wait()
        return "OK"

    with ChatServer(held) as server:
        process = subprocess.Popen(
            command(tmp_path / "run", server, "-M", "timeout=600"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while server.at_once < 4 and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        finally:
            gone.set()
            process.kill()
    assert process.returncode == Exit.INTERRUPTED
    (line,) = errors.strip().splitlines()
    assert line.startswith("mgsd-bench: interrupted; 0 of 6 answers are kept")
    assert load_run(tmp_path / "run").record["status"] == "interrupted"
