"""Which question is where, and what becomes of it when a worker dies: no cluster is needed for that."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from mgsd_bench.backends import BackendConfig, answering
from mgsd_bench.backends.ray_ledger import MOST_DEATHS, Ledger, Ticket
from mgsd_bench.backends.ray_settings import read_settings
from mgsd_bench.backends.wire import Parcel
from mgsd_bench.errors import UserError
from support.commands import error


def filled(count: int) -> Ledger:
    ledger = Ledger()
    for number in range(count):
        ledger.add(Ticket(number, str(number), Parcel("")))
    return ledger


def test_windows_bound_what_is_handed_out_and_the_emptiest_comes_first() -> None:
    ledger = filled(100)
    given = ledger.assign({0: 4, 1: 8})
    assert {worker: len(tickets) for worker, tickets in given.items()} == {0: 4, 1: 8}
    assert ledger.assign({0: 4, 1: 8}) == {}
    assert ledger.answered(1, given[1][0].number)
    assert ledger.answered(1, given[1][0].number) is None
    assert [len(tickets) for tickets in ledger.assign({0: 4, 1: 8, 2: 5}).values()] == [5, 1]
    assert len(ledger) == 99


def test_one_that_was_there_at_two_deaths_is_asked_alone_and_first() -> None:
    ledger = filled(3)
    for _ in range(MOST_DEATHS - 1):
        assert {ticket.number for ticket in ledger.assign({0: 4})[0]} == {0, 1, 2}
        assert ledger.lost(0) == []
    ledger.add(Ticket(3, "3", Parcel("")))
    (alone,) = ledger.assign({0: 4})[0]
    assert alone.number == 0
    assert ledger.assign({0: 4}) == {}
    assert ledger.lost(0) == [alone]
    assert [ticket.number for ticket in ledger.assign({0: 4})[0]] == [1]
    assert ledger.answered(0, 1)
    assert [ticket.number for ticket in ledger.assign({0: 4, 1: 4})[0]] == [2]


def test_a_busy_worker_is_emptied_for_a_suspect() -> None:
    ledger = filled(1)
    for _ in range(MOST_DEATHS - 1):
        ledger.assign({0: 4})
        ledger.lost(0)
    for number in range(1, 9):
        ledger.add(Ticket(number, str(number), Parcel("")))
    ledger._suspects, kept = type(ledger._suspects)(), ledger._suspects
    busy = ledger.assign({0: 2, 1: 2})
    ledger._suspects = kept
    for ticket in busy[0]:
        ledger.answered(0, ticket.number)
        assert ledger.held(1) == 2
    assert [ticket.number for ticket in ledger.assign({0: 2, 1: 2})[0]] == [0]


@pytest.mark.parametrize("seed", range(20))
def test_one_killer_is_given_up_and_nothing_else(seed: int) -> None:
    """Whatever the order of answers, and with any number of workers."""
    rng, windows = Random(seed), dict.fromkeys(range(1 + seed % 3), 1 + seed % 7)
    ledger, answered, given_up = filled(60), set(), []
    killer = rng.randrange(60)
    while len(ledger):
        ledger.assign(windows)
        worker = rng.choice([worker for worker in windows if ledger.held(worker)])
        numbers = list(ledger._held[worker])
        number = rng.choice(numbers)
        if killer in numbers and (number == killer or rng.random() < 0.3):
            given_up += ledger.lost(worker)
        else:
            assert number not in answered
            answered.add(number)
            assert ledger.answered(worker, number)
    assert [ticket.number for ticket in given_up] == [killer]
    assert len(answered) == 59


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"of": "openai"}, "engine['of']=openai: servers are many machines' already; use backend=openai by itself"),
        ({"of": "recorded"}, "it needs no workers"),
        ({"of": "nothing"}, "engine['of']=nothing: choose from vllm, hf, scripted"),
        ({"address": "head"}, "must be auto, local, HOST:PORT (mostly 6379) or ray://HOST:PORT (mostly 10001)"),
        ({"address": "ray://user:word@head:10001"}, "must be auto, local"),
        ({"workers": 0}, "engine['workers']=0: must be a whole number of 1 or more"),
        ({"of": "scripted", "max_num_seqs": 3}, "engine['max_num_seqs']=...: a scripted model takes no such argument"),
        ({"data_parallel_size": 2}, "a worker is one engine; use engine['workers']=... for copies"),
        ({"distributed_executor_backend": "ray"}, "the GPUs of a worker are those of one machine"),
        ({"tensor_parallel_size": 2, "gpus": 1}, "an engine that is split over 2 GPUs needs 2"),
        ({"tensor_parallel_size": "two"}, "must be a whole number of at least 1"),
        ({"model": "x"}, "use model"),
        (
            {"hf_token": "hf_secret"},
            "engine['hf_token']: a token given here would be stored with the run; set HF_TOKEN",
        ),
    ],
)
def test_settings_that_are_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as refused:
        read_settings(BackendConfig("x/y", engine_args=given))
    assert says in str(refused.value)
    assert "hf_secret" not in str(refused.value)
    assert "user:word" not in str(refused.value)


def test_what_is_the_engines_goes_to_the_engine() -> None:
    given = {"of": "vllm", "workers": 8, "gpus": 2, "tensor_parallel_size": 2, "max_num_seqs": 16}
    settings = read_settings(BackendConfig("x/y", engine_args=given))
    assert (settings.workers, settings.gpus, settings.split) == (8, 2, 2)
    assert settings.inner.engine_args == {
        "tensor_parallel_size": 2,
        "max_num_seqs": 16,
        "distributed_executor_backend": "mp",
    }
    assert answering("ray", given) == "vllm"
    assert answering("ray", {"of": "hf"}) == "hf"
    assert answering("openai", {}) == "openai"


@pytest.mark.parametrize("address", ["stranger:6379", "ray://stranger:10001", 7])
def test_no_file_names_a_cluster(tmp_path: Path, address: object) -> None:
    """Whoever sent it would decide whose objects are unpickled here."""
    engine = {"of": "scripted", "address": address}
    asked = {"backend": "ray", "model": "oracle", "suite": "smoke", "engine": engine}
    (tmp_path / "sent.yaml").write_text(json.dumps(asked))
    (tmp_path / "mine.yaml").write_text("extends: sent.yaml")
    for name in ("sent.yaml", "mine.yaml"):
        line = error("eval", "--config", name, "--out", "new", cwd=tmp_path)
        assert "sent.yaml: engine.address: no file can name a cluster; give -M address=HOST:PORT" in line
    table = "{title: x, models: {row: {backend: ray, model: oracle, engine: %s}}, tables: {}}"
    (tmp_path / "table.yaml").write_text(table % json.dumps(engine))
    line = error("table1", "--config", "table.yaml", "--out", "new", cwd=tmp_path)
    assert "names a cluster, which no file can; leave its address out, and set RAY_ADDRESS" in line
    assert not (tmp_path / "new").exists()
