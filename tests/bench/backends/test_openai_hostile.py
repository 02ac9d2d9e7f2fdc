"""Servers that mean harm: whatever they say, a run ends in time, in memory, in one line, and the key is nowhere."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsd_bench.backends import BackendConfig, EngineError, open_backend
from mgsd_bench.backends.openai import OpenAIBackend
from mgsd_bench.errors import UserError
from support.chat_server import KEY, ask
from support.forking import Forker
from support.hostile_runs import QUICK, kinds, outcome, outcomes, short_form
from support.hostile_server import ATTACKS, Attack, HostileServer
from support.hostile_texts import ANSWERING, ENCODINGS, LISTING, VERSIONS, quoting
from support.key_search import holds_key

pytest.importorskip("httpx")
pytestmark = pytest.mark.usefixtures("api_key")

BATCH = 16  # attacks a test: each takes about a second on a machine that is busy
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
    assert len(ATTACKS) >= 120
    assert set(kinds()) == {each.kind for each in short_form()}


def test_attacks(forker: Forker, tmp_path: Path) -> None:
    found = list(outcomes(forker, short_form(), tmp_path))
    assert [(each.attack.name, each.problems) for each in found if each.problems] == []


def long_form() -> Iterator[Any]:
    """All other attacks, in batches of one class; those with floods run one by one."""
    quick = {each.name for each in short_form()}
    for kind, heavy in product(kinds(), (False, True)):
        rest = [
            each for each in ATTACKS.values() if (each.kind, each.heavy) == (kind, heavy) and each.name not in quick
        ]
        for i in range(0, len(rest), BATCH):
            yield pytest.param(rest[i : i + BATCH], 1 if heavy else 4, id=f"{kind}-{'heavy-' * heavy}{i}")


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "at_once"), list(long_form()))
def test_all_attacks(batch: list[Attack], at_once: int, forker: Forker, tmp_path: Path) -> None:
    found = outcomes(forker, batch, tmp_path, at_once)
    assert [(each.attack.name, each.problems) for each in found if each.problems] == []


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 2 if settings.default else 20)
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
                given_out += [repr(each) for each in backend.generate(ask(str(i), image=None) for i in range(2))]
                given_out.append(backend.usage())
    except (UserError, EngineError) as error:
        given_out += traceback.format_exception(error)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert server.calls > 0
    for each in [*given_out, *logged]:
        assert not holds_key(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False), KEY)
