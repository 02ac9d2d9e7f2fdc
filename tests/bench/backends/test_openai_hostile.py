"""Servers that mean harm: whatever they say, a run ends in time, in memory, in one line, and the key is nowhere."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsd_bench.backends import BackendConfig, EngineError, generate, open_backend
from mgsd_bench.backends.openai import OpenAIBackend
from mgsd_bench.errors import UserError
from support.chat_server import KEY, ask
from support.forking import Forker
from support.hostile_runs import QUICK, kinds, outcome, outcomes, spread
from support.hostile_server import ATTACKS, Attack, HostileServer
from support.hostile_texts import ANSWERING, ENCODINGS, LISTING, VERSIONS, quoting
from support.key_search import holds_key

pytest.importorskip("httpx")
pytestmark = pytest.mark.usefixtures("api_key")

PLACES = [
    *(("first question", where, reply) for where, reply in ANSWERING.items()),
    *(("answer", where, reply) for where, reply in ANSWERING.items()),
    *(("models", where, reply) for where, reply in LISTING.items()),
    *(("version", where, reply) for where, reply in VERSIONS.items()),
]


@st.composite
def key_attacks(draw: st.DrawFn) -> Attack:
    """The key, anywhere, spelled in any way."""
    place, where, reply = draw(st.sampled_from(PLACES))
    how = draw(st.sampled_from(list(ENCODINGS)))
    return Attack("key", f"{how} in {where}", place, quoting(reply, how), vllm=place in ("models", "version"))


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker() as running:
        yield running


def test_the_attacks_are_many() -> None:
    assert len(ATTACKS) >= 500


@pytest.mark.slow
def test_attacks(forker: Forker, tmp_path: Path) -> None:
    found = list(outcomes(forker, [each for kind in kinds() for each in spread(kind, 3)], tmp_path))
    assert len(found) >= 30
    assert [(each.attack.name, each.problems) for each in found if each.problems] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds())
def test_more_attacks(kind: str, forker: Forker, tmp_path: Path) -> None:
    """All of them are run by ``benchmarks/reliability_server.py``, which takes minutes."""
    light = [each for each in spread(kind, 6) if each not in spread(kind, 3)]
    floods = [each for each in ATTACKS.values() if each.kind == kind and each.heavy and each.place == "answer"]
    found = [*outcomes(forker, light, tmp_path / "light"), *outcomes(forker, floods[::6], tmp_path / "floods", 1)]
    assert [(each.attack.name, each.problems) for each in found if each.problems] == []


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 4)
@given(attack=key_attacks())
def test_a_key_quoted_anywhere_is_in_no_file_and_on_no_screen(
    attack: Attack, forker: Forker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert outcome(forker, attack, tmp_path_factory.mktemp("run") / "x").problems == ()


@given(attack=key_attacks())
def test_a_key_quoted_anywhere_leaves_the_backend_by_no_way(attack: Attack) -> None:
    logged: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(record.getMessage())

    handler, root, level = Keep(), logging.getLogger(), logging.getLogger().level
    given_out: list[object] = []
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with HostileServer(attack) as server:
            config = BackendConfig("fake", engine_args={**QUICK, "base_url": [server.url], "concurrency": 4})
            with cast(OpenAIBackend, open_backend("openai", config)) as backend:
                given_out.append(backend.describe())
                given_out += [repr(each) for each in generate(backend, (ask(str(i), image=None) for i in range(2)))]
                given_out.append(backend.usage())
    except (UserError, EngineError) as error:
        given_out += traceback.format_exception(error)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert server.calls > 0
    for each in [*given_out, *logged]:
        assert not holds_key(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False), KEY)
