"""What a reply of a chat-completions server means."""

from __future__ import annotations

import json
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_bench.backends.chat_api import Answer, Fault, read_reply, retry_after
from support.chat_server import completion


def reply(content: Any, status: int = 200, **headers: str) -> Answer | Fault:
    return read_reply(status, headers, content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.mark.parametrize(
    ("content", "text", "reason"),
    [
        (completion("RRD"), "RRD", "stop"),
        (completion(""), "", "stop"),
        (completion("RR", "length"), "RR", "length"),
        (completion(None, "length"), "", "length"),
        (completion(None, refusal="I will not."), "I will not.", "stop"),
        (completion(None, reasoning="Hm."), "", "stop"),
        (completion(None, reasoning_content="Hm."), "", "stop"),
    ],
)
def test_answers(content: Any, text: str, reason: str) -> None:
    got = reply(content)
    assert isinstance(got, Answer)
    assert (got.text, got.finish_reason) == (text, reason)
    assert (got.usage.prompt, got.usage.completion, got.usage.reasoning, got.usage.cached) == (100, 10, 3, 64)


@pytest.mark.parametrize(
    ("status", "content", "cause"),
    [
        (200, completion(None), "passing"),
        (200, completion("R", None), "passing"),
        (200, completion("R", "abort"), "passing"),
        (200, completion("R", "tool_calls"), "request"),
        (200, completion("R" * (2**20 + 1)), "request"),
        (200, completion("R", "x" * 5000), "request"),
        (200, b"[" * 200_000, "request"),
        (500, b'{"a":' * 200_000, "request"),
        (200, completion("R", "content_filter"), "request"),
        (200, {"choices": []}, "passing"),
        (200, {"choices": None}, "passing"),
        (200, {"choices": [{"message": {"content": ["R"]}, "finish_reason": "stop"}]}, "passing"),
        (200, [], "passing"),
        (200, b"", "passing"),
        (200, b"\xff\xfe", "passing"),
        (200, {"error": {"message": "bad", "code": 400}}, "request"),
        (200, {"error": "overloaded"}, "passing"),
        (204, b"", "passing"),
        (307, b"", "request"),
        (400, {"error": {"message": "no", "param": "top_p"}}, "request"),
        (401, {"error": {"message": "wrong key"}}, "server"),
        (404, {"detail": "Not Found"}, "passing"),
        (422, {"detail": [{"loc": ["body"], "msg": "no"}]}, "request"),
        (429, {"error": {"message": "slow down"}}, "passing"),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, "server"),
        (500, b"<html><b>Answer:</b> R</html>", "passing"),
    ],
)
def test_faults(status: int, content: Any, cause: str) -> None:
    got = reply(content, status)
    assert isinstance(got, Fault)
    assert got.cause == cause
    assert len(got.reason.splitlines()) == 1


@pytest.mark.parametrize("count", [True, -1, 2**53, 9 * 10**4299, 1.5, "7", [7], None])
def test_what_is_no_count_is_none(count: Any) -> None:
    got = reply({**completion("R"), "usage": {"prompt_tokens": count, "completion_tokens": 2**53 - 1}})
    assert got.usage is not None
    assert (got.usage.prompt, got.usage.completion) == (None, 2**53 - 1)


def test_thoughts_that_used_up_all_tokens_are_a_truncated_answer() -> None:
    refused = {"error": {"message": "Could not finish: max_tokens or model output limit was reached. Try more."}}
    got = reply(refused, 400)
    assert isinstance(got, Answer)
    assert (got.text, got.finish_reason) == ("", "length")


@given(st.integers(0, 400), st.binary(max_size=4))
def test_a_damaged_answer_is_none(cut: int, junk: bytes) -> None:
    whole = json.dumps(completion("<answer>R</answer>")).encode()
    if cut < len(whole):
        assert isinstance(reply(whole[:cut] + junk), Fault) or whole[:cut] + junk == whole


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_a_date_to_come() -> None:
    from datetime import UTC, datetime, timedelta

    until = datetime.now(UTC) + timedelta(seconds=100)
    wait = retry_after({"retry-after": format_datetime(until, usegmt=True)})
    assert wait is not None
    assert 90 < wait <= 100
