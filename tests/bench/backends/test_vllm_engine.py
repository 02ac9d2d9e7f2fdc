"""What vLLM does not publish is where it is used, and is missed in one line where it is not."""

from __future__ import annotations

from pathlib import Path
from queue import Empty, Queue
from threading import Event
from threading import enumerate as threads
from types import SimpleNamespace
from typing import Any

import pytest

from mgsd_bench.backends import BackendConfig, open_backend, vllm_engine
from mgsd_bench.errors import Exit, UserError

pytest.importorskip("vllm")
pytestmark = pytest.mark.engine


def test_the_installed_vllm_has_every_name() -> None:
    import vllm

    missing = vllm_engine.missing_names()
    assert not missing, (
        f"vLLM {vllm.__version__} has no {', '.join(missing)}: see what took their place, adapt "
        f"mgsd_bench/backends/vllm_engine.py, which was tried with {vllm_engine.TRIED}, and run the engine tests"
    )


@pytest.mark.parametrize(
    ("module", "name", "missing"),
    [
        ("vllm.v1.engine.llm_engine", "LLMEngine", "vllm.v1.engine.llm_engine.LLMEngine.advance"),
        ("vllm.v1.engine.llm_engine", "NewEngine", "vllm.v1.engine.llm_engine.NewEngine"),
        ("vllm.v2.engine", "LLMEngine", "vllm.v2.engine.LLMEngine"),
    ],
)
def test_a_name_that_moved_is_named(
    module: str, name: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_engine, "_NEEDED", ((module, name, ("step", "advance")),))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=rf"^vllm \S+ has no {missing}; install one of 0\.") as caught:
        open_backend("vllm", BackendConfig(str(tmp_path)))
    assert caught.value.code == Exit.ENGINE


def test_the_death_of_an_engine_ends_the_wait_for_its_next_output() -> None:
    outputs: Queue[Any] = Queue()
    client = SimpleNamespace(outputs_queue=outputs, resources=SimpleNamespace(engine_dead=False))
    vllm_engine._wake_on_death(client, Event())
    with pytest.raises(Empty):
        outputs.get(timeout=1.5)
    client.resources.engine_dead = True
    assert isinstance(outputs.get(timeout=60), vllm_engine.dead_error())


def test_nothing_watches_where_a_client_has_no_such_fields() -> None:
    before = {*threads()}
    vllm_engine._wake_on_death(SimpleNamespace(outputs_queue=Queue()), Event())
    vllm_engine._wake_on_death(SimpleNamespace(resources=SimpleNamespace(engine_dead=True)), Event())
    assert {*threads()} <= before
