"""Replies of the API's schema and near misses: what each is taken for is what the documentation says."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgsd_bench.backends.chat_api import Answer, read_reply
from support.chat_replies import SCHEMA, generate, meaning, near
from support.chat_server import completion


def agrees(body: bytes) -> bool:
    """Read a reply in both ways; whether it is an answer."""
    means, found = meaning(body), read_reply(200, {}, body)
    if means.text is None:
        assert not isinstance(found, Answer)
        assert 0 < len(found.reason) <= 200
        assert found.reason.isprintable()
        return False
    assert isinstance(found, Answer)
    assert (found.text, found.finish_reason == "length") == (means.text, means.cut)
    assert (found.usage.prompt, found.usage.completion) == (means.prompt_tokens, means.completion_tokens)
    return True


@given(generate(SCHEMA), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_replies_mean_what_is_documented(reply: Any, seed: int) -> None:
    agrees(json.dumps(reply).encode())
    agrees(near(reply, Random(seed)))


def test_most_kinds_of_replies_are_drawn() -> None:
    drawn = [near(completion("<answer>R</answer>"), Random(seed)) for seed in range(300)]
    assert 50 < sum(map(agrees, drawn)) < 250
