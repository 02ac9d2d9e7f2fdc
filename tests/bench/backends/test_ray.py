"""The ray backend on a real cluster: several nodes on this machine, each with room for one worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mgsd_bench.backends import BackendConfig, Request, Response, generate, single_turn
from mgsd_bench.backends.ray import RayBackend
from mgsd_bench.backends.ray_cluster import PROBE_SECONDS, Cluster
from mgsd_bench.backends.ray_settings import read_settings
from mgsd_bench.backends.scripted import open_backend
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes
from support.commands import error, mgsd
from support.ray_plants import KILLER, Failing, Plant, Unlike, Unloadable, settings

if find_spec("ray") is None:
    pytest.skip("ray is not installed", allow_module_level=True)
pytestmark = pytest.mark.ray

STORE = 80 * 2**20
ASK = ("eval", "--backend", "ray", "-M", "of=scripted", "--model", "faulty:0.2,0.2,0.1")
SMALL = ("--suite", "smoke", "--limit", "2", "--levels", "3,5", "--prompts", "compact")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a node, with room for one worker each; the head's client server has a port of its own."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:  # the workers' processes are to find plants
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        yield from _cluster(Cluster)


def _cluster(kind: type[Any]) -> Iterator[Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE, "ray_client_server_port": port}
    cluster = kind(initialize_head=True, head_node_args=head)
    cluster.client = f"ray://127.0.0.1:{port}"
    add_node(cluster, num_gpus=2)  # which are said to be there
    yield cluster
    cluster.shutdown()


def add_node(cluster: Any, **resources: int) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=STORE, **resources)


@contextmanager
def workers(cluster: Any, folder: Path, kind: type[Plant] = Plant, count: int = 2) -> Iterator[RayBackend]:
    with RayBackend(settings(cluster.address, folder, workers=count), kind) as backend:
        yield backend


def questions(count: int = 72) -> list[Request]:
    asked = episodes(find_suite("smoke"))[:count]
    return [single_turn(episode.id, "text", None, i, "symbolic", episode) for i, episode in enumerate(asked)]


def alone(asked: list[Request], config: Any) -> dict[str, Response]:
    return {response.key: response for response in generate(open_backend(config), asked)}


def check_whole(got: list[Response], asked: list[Request], backend: RayBackend, but: str = "") -> None:
    """Each question has one answer, that of the engine alone."""
    assert sorted(response.key for response in got) == sorted(request.key for request in asked)
    expected = alone(asked, backend._settings.inner)
    assert {r.key: r for r in got if r.key != but} == {key: r for key, r in expected.items() if key != but}


def await_ready(backend: RayBackend, count: int) -> None:
    """Wait until so many workers are ready, so that what is left is theirs, too."""
    until = time.monotonic() + 60
    while len(backend._crew.in_state("ready")) < count:
        assert time.monotonic() < until
        for event in backend._crew.wait():
            backend._heard(event)


def test_a_killed_worker_one_that_comes_late_and_a_node_that_is_removed(
    cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgsd_bench.backends.ray.GRACE", 0.5)
    asked, got, late = questions(), [], None
    with workers(cluster, tmp_path, count=3) as backend:
        await_ready(backend, 2)
        facts = backend.describe()["ray"]
        windows = [backend.capacity]
        for response in generate(backend, iter(asked)):
            got.append(response)
            if len(got) == 12:
                late = add_node(cluster)
                killed = backend._crew.members[0].hello
                assert killed is not None
                os.kill(killed.pid, signal.SIGKILL)
                await_ready(backend, 3)
                windows.append(backend.capacity)
            if len(got) == 40:
                cluster.remove_node(late)
        used = backend.usage()
    assert facts["waiting"] == 1
    assert facts["alike"]
    assert windows == [2 * 8, 3 * 8]
    check_whole(got, asked, backend)
    assert used["workers"][0]["deaths"] >= 1
    assert sum(worker["answered"] > 0 for worker in used["workers"]) >= 2  # a worker that starts anew may come too late
    assert used["asked_again"] > 0
    assert used["given_up"] == []
    assert capfd.readouterr() == ("", "")


def test_an_engine_that_dies_and_a_question_that_kills(cluster: Any, tmp_path: Path) -> None:
    asked = questions(40)
    with workers(cluster, tmp_path, Failing) as backend:
        got = list(generate(backend, iter(asked)))
        used = backend.usage()
    check_whole(got, asked, backend, but=KILLER)
    (killer,) = (response for response in got if response.key == KILLER)
    assert killer.finish_reason == "error"
    assert "3 workers died while they had it" in (killer.error or "")
    assert used["given_up"] == [KILLER]
    assert sum(worker["deaths"] for worker in used["workers"]) == 4
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "died").read_text()), 0)


def test_what_was_given_up_is_not_answered_later(cluster: Any, tmp_path: Path) -> None:
    asked = questions(40)
    with workers(cluster, tmp_path, count=1) as backend:
        stream = generate(backend, iter(asked))
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert len(backend._ledger) == 0
        check_whole(list(generate(backend, iter(asked))), asked, backend)


@pytest.mark.parametrize(
    ("kind", "count", "says", "code"),
    [
        (Unlike, 2, "the weights' fingerprint is", Exit.NOT_COMPARABLE),
        (Unloadable, 1, "model=x/y: no such folder (on ", Exit.USAGE),
    ],
)
def test_workers_that_are_refused(
    cluster: Any, tmp_path: Path, kind: type[Plant], count: int, says: str, code: Exit
) -> None:
    with pytest.raises(UserError) as refused, workers(cluster, tmp_path, kind, count):
        pass
    assert says in str(refused.value)
    assert refused.value.code == code


def test_no_room(cluster: Any, tmp_path: Path) -> None:
    line = error(*ASK, "-M", f"address={cluster.address}", "-M", "cpus=3", "-M", "patience=1", *SMALL, code=5)
    assert "no machine of the cluster had room for a worker, 3 CPU, in 1 s; the largest has 1 CPU, 2 GPU in all" in line


def test_an_engine_over_two_gpus_has_them_on_one_node_and_keeps_them(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgsd_bench.backends.ray.GRACE", 0.5)
    asked, got = questions(30), []
    split = replace(settings(cluster.address, tmp_path, workers=2, gpus=2.0), split=2)
    with RayBackend(split, Plant) as backend:
        assert backend.describe()["ray"]["waiting"] == 1
        for response in generate(backend, iter(asked)):
            got.append(response)
            if len(got) == 8:
                killed = backend._crew.in_state("ready")[0].hello
                assert killed is not None
                os.kill(killed.pid, signal.SIGKILL)
        used = backend.usage()
    check_whole(got, asked, backend)
    assert sorted(worker["deaths"] for worker in used["workers"]) == [0, 1]


def test_how_many_workers_there_are_unless_it_is_said(cluster: Any) -> None:
    def found(**given: Any) -> tuple[int, float]:
        config = BackendConfig("x/y", engine_args={"address": cluster.address, **given})
        there = Cluster(read_settings(config))
        try:
            return there.workers(), there.gpus()
        finally:
            there.close()

    assert found(of="hf") == (2, 1.0)
    assert found(of="vllm", tensor_parallel_size=2) == (1, 2.0)
    assert found(of="vllm", gpus=0) == (1, 0.0)
    assert found(of="scripted") == (1, 0.0)


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """A port where somebody says this, and nothing more, to everyone."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    held[-1].sendall(answer)

        held: list[socket.socket] = []
        Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("where", ["nobody", "silent", "web", "head", "client", "auto", "local"])
def test_a_wrong_address_is_one_line_at_once(
    cluster: Any, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never another cluster than the one that was meant, and nothing that hangs."""
    assert PROBE_SECONDS <= 5
    monkeypatch.setattr("mgsd_bench.backends.ray_cluster.PROBE_SECONDS", 1.0)
    head, client = cluster.address, cluster.client.removeprefix("ray://")

    def none(address: str) -> str:
        raise ConnectionError("no cluster")

    with listening(b"") as silent, listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as web:
        address, says = {
            "nobody": ("127.0.0.1:9", "no Ray cluster answers at 127.0.0.1:9; start one by `ray start --head`"),
            "silent": (f"127.0.0.1:{silent}", "no Ray cluster answers"),
            "web": (f"ray://127.0.0.1:{web}", "no Ray cluster answers"),
            "head": (f"ray://{head}", "is another kind of server; is it HOST:PORT of the head, mostly 6379?"),
            "client": (client, "is another kind of server; is it ray://HOST:PORT, mostly 10001?"),
            "auto": ("auto", "this machine is in no Ray cluster"),
            "local": ("auto", "RAY_ADDRESS is local, which names no cluster"),
        }[where]
        if where == "auto":
            monkeypatch.delenv("RAY_ADDRESS", raising=False)
            monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", none)
        if where == "local":
            monkeypatch.setenv("RAY_ADDRESS", "local")
        began = time.monotonic()
        line = error(*ASK, "-M", f"address={address}", *SMALL, "--out", str(tmp_path / "x"), code=5)
    assert f"-M address={address}: " in line
    assert says in line
    assert time.monotonic() - began < 10


HUNG = RuntimeError(
    "Initialization failure from server:\nTraceback (most recent call last):\n  File x\nOSError: hangs.\n"
)


def test_a_client_server_that_hangs_is_one_line(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def hang(address: str, **_: Any) -> None:
        tries.append(address)
        raise HUNG

    monkeypatch.setattr("ray.init", hang)
    for address, count in ((cluster.client, 2), (cluster.address, 1)):
        tries.clear()
        said = error(*ASK, "-M", f"address={address}", *SMALL, "--out", str(tmp_path / "x"), code=5)
        assert f"-M address={address}: OSError: hangs; start one" in said
        assert tries == [address] * count


def test_runs_are_those_without_ray(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the client server too, which a driver on any machine can use; one-shot and turn by turn, whatever is shown."""
    import ray

    begin, failures = ray.init, [HUNG]

    def at_last(**options: Any) -> Any:
        if failures:
            raise failures.pop()
        return begin(**options)

    monkeypatch.setattr(ray, "init", at_last)
    (tmp_path / "looks.yaml").write_text(
        "{name: few, count: 3, looks: [classic, classic+blur-2], parts: [{task: frozenlake, levels: [4]}, {task: maze, "
        "levels: [3]}]}"
    )
    some = ("--suite", "looks.yaml", "--condition", "visual,symbolic,act,act-stale,act-symbolic", "--history", "2")
    mgsd(*ASK, "-M", "workers=2", "-M", f"address={cluster.client}", *some, "--out", "by-ray", cwd=tmp_path)
    mgsd("eval", "--backend", "scripted", *ASK[-2:], *some, "--out", "alone", cwd=tmp_path)
    assert (tmp_path / "by-ray/metrics.json").read_bytes() == (tmp_path / "alone/metrics.json").read_bytes()
    record = json.loads((tmp_path / "by-ray/run.json").read_text())
    assert record["identity"] == json.loads((tmp_path / "alone/run.json").read_text())["identity"]
    (session,) = record["sessions"]
    assert session["backend"]["engine"] == "scripted"
    assert [worker["answered"] > 0 for worker in session["usage"]["workers"]] == [True, True]


def test_a_driver_that_is_killed(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = (*SMALL, "--repeats", "20", "--out", str(tmp_path / "run"))
    line = [*ASK, "-M", "address=auto", *some]
    code = (
        "import sys; import mgsd_bench.backends.ray as ray; from mgsd_bench.cli import main\n"
        "from support.ray_plants import Slow; ray.Worker = Slow\nsys.argv = sys.argv[1:]; main()"
    )
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    driver = subprocess.Popen([sys.executable, "-c", code, "mgsd-bench", *line], env=environment)
    samples = tmp_path / "run" / "samples.jsonl"
    until = time.monotonic() + 60
    while not samples.exists() or samples.read_bytes().count(b"\n") < 20:
        assert time.monotonic() < until
        assert driver.poll() is None
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    kept = samples.read_bytes()
    kept = kept[: kept.rindex(b"\n") + 1]
    assert "resuming" in mgsd(*line)
    assert samples.read_bytes().startswith(kept)
    mgsd("eval", "--backend", "scripted", *ASK[-2:], *some[:-1], str(tmp_path / "alone"))
    assert (tmp_path / "run/metrics.json").read_bytes() == (tmp_path / "alone/metrics.json").read_bytes()
