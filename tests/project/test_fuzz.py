"""Inputs that a fuzzer found, which together reach nearly all of what reads the words of others."""

from __future__ import annotations

import random
import re
from importlib import import_module
from pathlib import Path

import pytest

from support.fuzz_corpus import KEPT, kept, mutated
from support.fuzz_targets import TARGETS, Check, Target, broken

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target
def test_seeds_are_valid(target: Target) -> None:
    assert all(target.check(data) for data in target.seeds())


@each_target
def test_no_input_that_was_kept_breaks_a_promise(target: Target) -> None:
    inputs = kept(target)
    assert len(inputs) >= 5
    for data in target.seeds():  # so that what is imported at first use is no input's time
        target.check(data)
    assert [(fault, data) for data in inputs if (fault := broken(target, data))] == []


def test_what_is_kept_is_small() -> None:
    assert sum(path.stat().st_size for path in KEPT.iterdir()) < 150_000


@each_target
def test_changed_inputs_differ_and_hang_on_the_seed_alone(target: Target) -> None:
    words, pool = [b"word", b"\xff"], [*target.seeds()]
    one, same, other = (mutated(pool[0], random.Random(seed), words, pool) for seed in (1, 1, 2))
    assert one == same != other


def test_what_is_kept_reaches_all_that_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    guided = import_module("fuzz_guided")
    target = TARGETS["policies"]
    inputs = [*target.seeds(), b"", b"alpha: 2", b"alpha: 3", b"a: [", b"alpha: 2"]
    chosen = guided.smallest(target.check, inputs)
    assert len(chosen) == len(set(chosen)) < len(set(inputs))  # one of the two alphas is enough
    steps = [set().union(*(guided.reached(target.check, data) for data in of)) for of in (inputs, chosen)]
    assert steps[0] == steps[1]


def _raises(data: bytes) -> bool:
    raise KeyError(data.decode())


def _takes_long(data: bytes) -> bool:
    return sum(range(3 * 10**7)) > 0


@pytest.mark.parametrize(("check", "says"), [(_raises, "KeyError at .*: \"'x'\""), (_takes_long, "took [0-9.]+ s")])
def test_broken_promises_are_seen(check: Check, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.fuzz_targets.MOST_SECONDS", 0.1)
    fault = broken(Target("t", "", check, list, ()), b"x")
    assert fault is not None
    assert re.fullmatch(says, fault), fault
