"""Real engines in a Ray cluster: two on this machine, one of them killed half-way."""

from __future__ import annotations

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.backends import Backend, BackendConfig, EngineError, Request, Response
from mgsd_bench.backends.ray import RayBackend
from support.commands import mgsd
from support.engines import MAX_MODEL_LEN, MAX_NUM_SEQS, MAX_TOKENS, SharedEngine

if find_spec("vllm") is None:
    pytest.skip("vllm is not installed", allow_module_level=True)
pytestmark = [pytest.mark.engine, pytest.mark.ray]
ray: Any = pytest.importorskip("ray")


class Lent(Backend):
    """An engine that is left running, and dies after so many answers."""

    def __init__(self, backend: Backend, answers: int) -> None:
        self._backend, self._left = backend, answers

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def capacity(self) -> int:
        return self._backend.capacity

    def describe(self) -> dict[str, Any]:
        return self._backend.describe()

    def submit(self, request: Request) -> None:
        self._backend.submit(request)

    def collect(self) -> list[Response]:
        if self._left <= 0:
            raise EngineError("out of memory in a kernel")
        answers = self._backend.collect()
        self._left -= len(answers)
        return answers

    def abort(self) -> None:
        self._backend.abort()


def test_one_engine_and_two_in_a_cluster_make_one_run(
    tmp_path: Path, tiny: Path, shared_engine: SharedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun by one engine that dies, ended by two of which one is killed: the figures are those of one engine."""
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    limits = ("-M", f"max_num_seqs={MAX_NUM_SEQS}", "-M", f"max_model_len={MAX_MODEL_LEN}")
    ask = ("eval", "--model", str(tiny), "--suite", "smoke", "--limit", "4", "--levels", "3,5", "--prompts", "compact")
    ask = (*ask, "--condition", "visual,symbolic", "--max-tokens", str(MAX_TOKENS), *limits)

    def lend(answers: int) -> None:
        def open_backend(name: str, config: BackendConfig) -> Backend:
            assert name == "vllm"
            return Lent(shared_engine.backend(), answers)

        patch.setattr("mgsd_bench.evaluation.evaluate.open_backend", open_backend)

    with monkeypatch.context() as patch:
        lend(10**6)
        mgsd(*ask, "--out", "alone", cwd=tmp_path)
        lend(8)
        mgsd(*ask, "--out", "run", cwd=tmp_path, code=5)
    before = len((tmp_path / "run/samples.jsonl").read_bytes().splitlines())
    killed: list[int] = []
    collect = RayBackend.collect

    def collect_and_kill(self: RayBackend) -> list[Response]:
        answers = collect(self)
        if not killed and sum(member.answered for member in self._crew.members) >= 6:
            hello = self._crew.members[0].hello
            assert hello is not None
            os.kill(hello.pid, signal.SIGKILL)
            killed.append(hello.pid)
            nodes = ray.nodes()
            assert [node["NodeManagerAddress"] for node in nodes] == ["127.0.0.1"]
        return answers

    monkeypatch.setattr(RayBackend, "collect", collect_and_kill)
    by_ray = ("--backend", "ray", "-M", "of=vllm", "-M", "workers=2", "-M", "address=local")
    mgsd(*ask, *by_ray, "--out", "run", cwd=tmp_path)
    assert killed
    assert not ray.is_initialized()
    assert (tmp_path / "run/metrics.json").read_bytes() == (tmp_path / "alone/metrics.json").read_bytes()
    texts = [
        sorted(
            (row["episode"], row["condition"], row["text"]) for row in map(json.loads, path.read_text().splitlines())
        )
        for path in (tmp_path / "run/samples.jsonl", tmp_path / "alone/samples.jsonl")
    ]
    assert texts[0] == texts[1]
    one, two = json.loads((tmp_path / "run/run.json").read_text())["sessions"]
    assert two["backend"]["fingerprint"] == one["backend"]["fingerprint"]
    assert two["backend"]["hardware"] == one["backend"]["hardware"]
    assert len(two["backend"]["ray"]["workers"]) == 2
    assert [worker["deaths"] for worker in two["usage"]["workers"]] == [1, 0]
    answered = sum(worker["answered"] for worker in two["usage"]["workers"])
    assert answered == len(texts[0]) - before
