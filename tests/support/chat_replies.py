"""Chat completions made from their schema, as the API documents it; near misses; and what each means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

_TOKENS: Schema = {"type": "integer", "minimum": 0, "maximum": 200_000}
_DETAILS: Schema = {
    "type": ["object", "null"],
    "properties": {
        "reasoning_tokens": _TOKENS, "accepted_prediction_tokens": _TOKENS, "rejected_prediction_tokens": _TOKENS,
        "audio_tokens": _TOKENS, "cached_tokens": _TOKENS,
    },
}  # fmt: skip
_TEXT: Schema = {"type": "string"}
_NULLABLE: Schema = {"type": ["string", "null"]}
_LOGPROB: Schema = {
    "type": "object",
    "required": ["token", "logprob", "bytes", "top_logprobs"],
    "properties": {
        "token": _TEXT,
        "logprob": {"type": "number"},
        "bytes": {"type": ["array", "null"], "items": {"type": "integer", "minimum": 0, "maximum": 255}},
        "top_logprobs": {"type": "array", "items": {"type": "object", "properties": {"token": _TEXT}}},
    },
}
_CALL: Schema = {
    "type": "object",
    "required": ["id", "type", "function"],
    "properties": {
        "id": _TEXT,
        "type": {"enum": ["function", "custom"]},
        "function": {
            "type": "object",
            "required": ["name", "arguments"],
            "properties": {"name": _TEXT, "arguments": _TEXT},
        },
    },
}
_ANNOTATION: Schema = {
    "type": "object",
    "properties": {
        "type": {"enum": ["url_citation"]},
        "url_citation": {"type": "object", "properties": {"url": _TEXT}},
    },
}
SCHEMA: Schema = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices"],
    "properties": {
        "id": _TEXT,
        "object": {"enum": ["chat.completion"]},
        "created": {"type": "integer", "minimum": 0, "maximum": 2**33},
        "model": _TEXT,
        "system_fingerprint": _NULLABLE,
        "service_tier": {"enum": ["auto", "default", "flex", "scale", "priority", None]},
        "choices": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["index", "message", "finish_reason", "logprobs"],
                "properties": {
                    "index": {"type": "integer", "minimum": 0, "maximum": 3},
                    "finish_reason": {
                        "enum": ["stop", "stop", "stop", "length", "tool_calls", "content_filter", "function_call"]
                    },
                    "logprobs": {
                        "type": ["object", "null"],
                        "properties": {
                            "content": {"type": ["array", "null"], "items": _LOGPROB},
                            "refusal": {"type": "null"},
                        },
                    },
                    "stop_reason": {"type": ["integer", "string", "null"]},
                    "message": {
                        "type": "object",
                        "required": ["role", "content", "refusal"],
                        "properties": {
                            "role": {"enum": ["assistant"]},
                            "content": _NULLABLE,
                            "refusal": _NULLABLE,
                            "reasoning_content": _NULLABLE,
                            "reasoning": _NULLABLE,
                            "tool_calls": {"type": ["array", "null"], "items": _CALL},
                            "function_call": {
                                "type": ["object", "null"],
                                "properties": {"name": _TEXT, "arguments": _TEXT},
                            },
                            "annotations": {"type": "array", "items": _ANNOTATION},
                            "audio": {"type": ["object", "null"], "properties": {"id": _TEXT, "data": _TEXT}},
                        },
                    },
                },
            },
        },
        "usage": {
            "type": ["object", "null"],
            "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
            "properties": {
                "prompt_tokens": _TOKENS,
                "completion_tokens": _TOKENS,
                "total_tokens": _TOKENS,
                "completion_tokens_details": _DETAILS,
                "prompt_tokens_details": _DETAILS,
            },
        },
        "prompt_logprobs": {"type": "null"},
        "kv_transfer_params": {"type": "null"},
    },
}
"""The response of ``POST /chat/completions``, with what vLLM and gateways add."""


def generate(schema: Schema) -> st.SearchStrategy[Any]:
    """Values of a schema, of those that are used here; what is not required is left out now and then."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_of_kind(kind, schema) for kind in kinds])


def _of_kind(kind: str, schema: Schema) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "string":
            return st.text(st.characters(codec=None), max_size=60) | st.sampled_from(_TEXTS)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "array":
            return st.lists(generate(schema["items"]), min_size=schema.get("minItems", 0), max_size=2)
    required = set(schema.get("required", ()))
    fields = {name: generate(each) for name, each in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name in required},
        optional={name: each for name, each in fields.items() if name not in required},
    )


_TEXTS = (
    "<answer>R,D</answer>", "size: 3\n<answer>RRDD</answer>", "<think>so</think>\n<answer>U</answer>", "", " ", "\n",
    "null", "\ud800", "\x1b[31m", "\u202e", "\x00", "日本", "\U0001f600", '{"error": "no"}', "\u2028", "a" * 5000,
)  # fmt: skip


# ---- near misses

_OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**53,
    2**70,
    "",
    "stop",
    [],
    {},
    [[]],
    {"content": "x"},
    "x" * 300,
)
_RAW: tuple[Callable[[bytes, Random], bytes], ...] = (
    lambda body, rng: body[: rng.randrange(len(body))],
    lambda body, rng: body + rng.choice((b"}", b",", b"\x00", b" x", b"\n\n", b"{}", b"\ndata: [DONE]")),
    lambda body, rng: b"\xef\xbb\xbf" + body,
    lambda body, rng: body.decode().encode("utf-16"),
    lambda body, rng: b"data: " + body + b"\n\n",
    lambda body, rng: b"[" + body + b"]",
    lambda body, rng: body.replace(b'"', b"'"),
    lambda body, rng: body.replace(b'"finish_reason"', b'"finish_reason": "stop", "finish_reason"'),
    lambda body, rng: bytes(
        [*body[: (at := rng.randrange(len(body)))], body[at] ^ 1 << rng.randrange(8), *body[at + 1 :]]
    ),
    lambda body, rng: body.replace(b"null", rng.choice((b"NaN", b"-Infinity", b"None", b"undefined", b"1e999"))),
    lambda body, rng: rng.choice((b"", b"null", b"0", b'"ok"', b"[]", b"{}", b"<html>", b"\xff\xfe")),
)


def near(reply: Any, rng: Random) -> bytes:
    """A reply that is not quite one: a field less, another value somewhere, or other bytes."""
    reply = json.loads(json.dumps(reply))
    if rng.random() < 0.3:
        return rng.choice(_RAW)(json.dumps(reply).encode(), rng)
    for _ in range(rng.choice((1, 1, 2))):
        place, key = rng.choice(_places(reply))
        match rng.randrange(4):
            case 0:
                del place[key]
            case 1:
                place[key] = [place[key]]
            case _:
                place[key] = rng.choice(_OTHERS)
        if not _places(reply):
            break
    return json.dumps(reply).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in nested values, those that matter to a client more often."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, inner in items:
        weight = 4 if key in ("choices", "message", "content", "finish_reason", "usage", "refusal") else 1
        found += [(value, key)] * weight + _places(inner)
    return found


# ---- what a reply means


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a client is to make of a reply.

    Attributes:
        text: the answer; None where there is none.
        cut: whether the answer ran out of tokens.
        prompt_tokens: tokens of the question, where the reply counts them by a whole number.
        completion_tokens: likewise, of the answer.
    """

    text: str | None
    cut: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def meaning(body: bytes) -> Meaning:
    """What the documentation says of a reply with status 200; see the table of finish reasons in ``chat_api``."""
    try:
        reply = json.loads(body)
    except ValueError:
        return Meaning(None)
    used = reply.get("usage") if isinstance(reply, dict) else None
    counts = [used.get(name) if isinstance(used, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (n if type(n) is int and 0 <= n < 2**53 else None for n in counts)
    try:
        choice = reply["choices"][0]
        message, reason = choice["message"], choice["finish_reason"]
        content = message.get("content")
    except (AttributeError, IndexError, KeyError, TypeError):
        return Meaning(None, False, prompt, completion)
    text = None
    if reason in ("stop", "length"):
        thoughts = [message.get(name) for name in ("reasoning", "reasoning_content")]
        if isinstance(content, str):
            text = content
        elif isinstance(message.get("refusal"), str) and message["refusal"]:
            text = message["refusal"]
        elif reason == "length" or any(isinstance(each, str) and each for each in thoughts):
            text = ""
    return Meaning(text, reason == "length", prompt, completion)
