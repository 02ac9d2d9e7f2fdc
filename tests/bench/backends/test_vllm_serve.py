"""The openai backend against a real vLLM server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
from rich.console import Console

from mgsd_bench.analysis.run import load_run
from mgsd_bench.backends import BackendConfig, Sampling
from mgsd_bench.errors import Exit
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.turns import read_turns
from mgsd_bench.suites.choose import find_suite
from support.engines import SharedEngine

pytest.importorskip("httpx")
pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("api_key")]

SAMPLING = Sampling(max_tokens=8)


@contextmanager
def served(model: Path, log: Path) -> Iterator[str]:
    """The address of a vLLM server of the model, while it runs."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {
        # 0: the engine's worker is no process of its own, which would import all of vLLM once more
        **os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
                "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
                "--enforce-eager", "--max-model-len", "8192", "--generation-config", "vllm",
                "--distributed-executor-backend", "uni", "--trust-request-mm-kwargs",
                "--limit-mm-per-prompt", '{"image": 3, "video": 0}',
            ],
            stdout=output, stderr=output, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 400
            while True:
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline
                try:
                    build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/health")
                    break
                except OSError:
                    time.sleep(1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def run(out: Path, backend: str, model: str, **engine: Any) -> Exit:
    """All of a suite from the picture, into a folder, and some of it in the closed loop, into another."""
    config = BackendConfig(model, SAMPLING, engine_args=engine, images=3)
    loop = LoopSettings(history=2)
    suite, acted = find_suite("smoke"), out.with_name(f"{out.name}-acting")
    seen = Evaluation(suite, None, ["visual"], 1, "compact", backend, config, out)
    acting = Evaluation(suite, 1, ["act"], 1, "compact", backend, config, acted, loop)
    return max(evaluate(job, Console(quiet=True))[1] for job in (seen, acting))


def test_answers_of_vllm_serve_are_those_of_the_engine_in_process(
    tiny: Path, tmp_path: Path, shared_engine: SharedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vllm")
    with served(tiny, tmp_path / "log") as url:
        assert run(tmp_path / "served", "openai", "tiny", base_url=[url]) == Exit.OK
    record = load_run(tmp_path / "served").record["sessions"][0]["backend"]
    (facts,) = record["servers"]
    assert (facts["kind"], facts["root"], facts["max_model_len"]) == ("vllm", str(tiny), 8192)
    assert facts["version"]
    # one visual token is 32 x 32 pixels, and two more enclose them
    assert facts["picture_tokens"] == {"128": 66, "256": 66, "512": 258, "1024": 258}
    assert facts["pixel_limits_hold"]
    assert record["not_sent"] == {}

    running = nullcontext(shared_engine.sampling(SAMPLING))
    monkeypatch.setattr("mgsd_bench.backends.vllm.open_backend", lambda config: running)
    run(tmp_path / "in-process", "vllm", str(tiny))
    asked = {sample.key: sample for sample in load_run(tmp_path / "served").samples}
    expected = {sample.key: sample for sample in load_run(tmp_path / "in-process").samples}
    assert len(asked) == len(expected) == 72
    for key, sample in asked.items():
        assert sample.prompt_digest == expected[key].prompt_digest
        assert sample.prompt_tokens == expected[key].prompt_tokens
    asked_turns, expected_turns = (
        {(turn.key, turn.turn): turn for turns in read_turns(tmp_path / f"{name}-acting").values() for turn in turns}
        for name in ("served", "in-process")
    )
    assert len(asked_turns) == len(expected_turns) == 3 * 12  # three answers that cannot be read end an episode
    for turn, found in asked_turns.items():
        assert found.prompt_digest == expected_turns[turn].prompt_digest
        assert found.prompt_tokens == expected_turns[turn].prompt_tokens
    assert len({sample.text for sample in asked.values()}) > 1
    # both decode in float32 on one thread; what is left is the rounding of other batches, which may turn a near tie
    texts = [
        {**{key: sample.text for key, sample in samples.items()}, **{key: turn.text for key, turn in turns.items()}}
        for samples, turns in ((asked, asked_turns), (expected, expected_turns))
    ]
    other = {key: (text, texts[1][key]) for key, text in texts[0].items() if text != texts[1][key]}
    assert len(other) <= 0.01 * len(texts[0]), other
