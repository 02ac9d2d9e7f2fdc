"""Inputs that a fuzzer found, which together reach nearly all of what reads the words of others."""

from __future__ import annotations

import random

import pytest

from support.fuzz_corpus import KEPT, kept, mutated
from support.fuzz_targets import TARGETS, Target, broken

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target
def test_seeds_are_valid(target: Target) -> None:
    assert all(target.check(data) for data in target.seeds())


@each_target
def test_no_input_that_was_kept_breaks_a_promise(target: Target) -> None:
    inputs = kept(target)
    assert len(inputs) >= 10
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


def _raises(data: bytes) -> bool:
    raise KeyError(data.decode())


def _takes_long(data: bytes) -> bool:
    return sum(range(10**8)) > 0


@pytest.mark.parametrize(("check", "says"), [(_raises, "KeyError at .*: \"'x'\""), (_takes_long, "took [0-9.]+ s")])
def test_broken_promises_are_seen(check: object, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import re
    from typing import Any, cast

    monkeypatch.setattr("support.fuzz_targets.MOST_SECONDS", 0.1)
    fault = broken(Target("t", "", cast(Any, check), list, ()), b"x")
    assert fault is not None
    assert re.match(says, fault.replace(" fuzz_targets.py", "")), fault
