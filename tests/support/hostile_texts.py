"""The attacks of the hostile server that are about what a reply says: shapes, texts, names, redirects, and the key."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from support.chat_server import completion
from support.hostile_attacks import MB, static
from support.hostile_server import EVERYWHERE, Call, attack, attacks, cards, chat, http

ANSI = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x\x07link\x1b]8;;\x07 \x9b31m \u202egnp.exe \u2066x\x00\x08\r\n"
)

# ---- shapes


def shaped(**over: Any) -> Any:
    """A completion whose fields are of other types."""
    return static(http(chat(**over)))


def choice(**over: Any) -> Any:
    """A completion whose choice is of another shape."""
    return shaped(choices=[{"index": 0, "message": {"content": "R"}, "finish_reason": "stop", **over}])


attacks(
    "shape",
    {
        "choices null": shaped(choices=None), "choices empty": shaped(choices=[]),
        "choices a text": shaped(choices="R"), "choices a mapping": shaped(choices={"0": {}}),
        "choices of numbers": shaped(choices=[1, 2]),
        "100,000 choices": shaped(choices=[{"message": {"content": "R"}, "finish_reason": "stop"}] * 100_000),
        "message null": choice(message=None), "message a list": choice(message=["R"]),
        "content a list": choice(message={"content": [{"type": "text", "text": "R"}]}),
        "content a number": choice(message={"content": 7}), "content true": choice(message={"content": True}),
        "finish reason null": choice(finish_reason=None), "finish reason a list": choice(finish_reason=["stop"]),
        "finish reason of 3 MB": choice(finish_reason="x" * 3 * MB), "finish reason ANSI": choice(finish_reason=ANSI),
        "model a list": shaped(model=["a"]), "model null": shaped(model=None),
        "a text": static(http('"hello"')), "a number": static(http("7")), "null": static(http("null")),
        "two documents": static(http(chat() + chat())), "a key twice": static(http('{"choices":1,' + chat()[1:])),
        "an error with 200": static(http('{"error":{"message":"no","code":429}}')),
        "an error that is a list": static(http('{"error":[1,2,3]}', "400 Bad")),
        "a param that is a mapping": static(http('{"error":{"message":"x","param":{"a":1}}}', "400 Bad")),
        "UTF-16": static(http(chat().encode("utf-16"))), "UTF-32": static(http(chat().encode("utf-32"))),
        "Latin-1": static(http(chat("caf\xe9").encode().replace(b"\\u00e9", b"\xe9"))),
        "a byte order mark": static(http(b"\xef\xbb\xbf" + chat().encode())),
        "an event stream": static(http(f"data: {chat()}\n\ndata: [DONE]\n\n")),
        "a page": static(http("<html><answer>L</answer></html>").replace(b"application/json", b"text/html")),
        "an unknown charset": static(http(chat()).replace(b"application/json", b"application/json; charset=idna")),
        "a type of 50 kB": static(http(chat()).replace(b"application/json", b"a" * 50_000)),
    },
)  # fmt: skip

# ---- texts


def said(text: str) -> bytes:
    """An error that says something."""
    return http(json.dumps({"error": {"message": text, "param": text}}), "400 Bad")


TEXTS = {
    "ANSI": ANSI, "a lone surrogate": "\ud800 \udfff", "1 MB": "x" * MB, "100,000 lines": "line\n" * 100_000,
    "marks of options": "\x02engine.key\x03secret\x04 \x05", "directions": "\u202e\u2067abc\u200f",
}  # fmt: skip
attacks("text", {f"error: {name}": static(said(text)) for name, text in TEXTS.items()}, ("first question", "answer"))
attacks("text", {f"answer: {name}": static(http(chat(text))) for name, text in TEXTS.items()})
attacks("text", {f"page: {name}": static(http(f"<b>{text}", "502 No")) for name, text in TEXTS.items()})

# ---- names


@attack("names", "another model each time", questions=24)
def many_names(call: Call) -> bytes:
    return http(chat(model=f"m{call.number}-" + "x" * 100_000))


attacks(
    "names",
    {f"model: {name}": static(http(chat(model=text))) for name, text in TEXTS.items()},
    ("first question", "answer"),
)
attacks(
    "names",
    {f"model id: {name}": static(http(cards(owner="vllm", id=text))) for name, text in TEXTS.items()}
    | {f"root: {name}": static(http(cards(owner="vllm", root=text))) for name, text in TEXTS.items()}
    | {
        "30,000 models": static(http(cards(*({"id": f"m{i}"} for i in range(30_000)), owner="vllm", id="other"))),
        "ids of other types": static(http(cards({"id": 1}, {"id": None}, {"id": ["fake"]}, owner="vllm"))),
        "data is a mapping": static(http('{"data":{"id":"fake"}}')),
        "data is a text": static(http('{"data":"fake"}')),
        "owner is a list": static(http(cards(owner="vllm").replace('"vllm"', '["vllm"]'))),
    },
    ("models",),
)
attacks(
    "names",
    {f"version: {name}": static(http(json.dumps({"version": text}))) for name, text in TEXTS.items()}
    | {"a nested version": static(http('{"version":[[1]]}')), "a version list": static(http("[1]"))},
    ("version",),
)

# ---- redirects


attacks(
    "redirect",
    {
        f"{status} to {target[:30]}": static(http("{}", f"{status} Go", f"Location: {target}"))
        for status in (301, 307)
        for target in (
            "http://127.0.0.1:9/steal", "file:///etc/passwd", "/v1/chat/completions", "http://[::1", "//evil.example/",
            "\x1b[31m", "gopher://127.0.0.1:9/x",
        )
    }
    | {"307 without a target": static(http("{}", "307 Go"))},
    ("answer",),
)  # fmt: skip
attacks("redirect", {"308": static(http("{}", "308 Go", "Location: http://127.0.0.1:9/"))}, EVERYWHERE)

# ---- the key


def escaped(form: str) -> Callable[[str], str]:
    """Each letter in this form."""
    return lambda key: "".join(form.format(ord(c)) for c in key)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "as a header": lambda key: f"Authorization: Bearer {key}",
    "in capitals": str.upper,
    "in percents": escaped("%{:02x}"),
    "in percents twice": escaped("%25{:02X}"),
    "a letter in percents": lambda key: key[:5] + f"%{ord(key[5]):02x}" + key[6:],
    "in JSON escapes": escaped("\\u{:04x}"),
    "in JSON escapes, in capitals": escaped("\\u{:04X}"),
    "in JSON within JSON": escaped("\\\\u{:04x}"),
    "in percents in JSON escapes": lambda key: escaped("\\u{:04x}")(escaped("%{:02x}")(key)),
    "as Python shows bytes": escaped("\\x{:02x}"),
    "as HTML": escaped("&#{};"),
    "as HTML, in hexadecimal": escaped("&#x{:x};"),
    "with zero-width spaces": "\u200b".join,
    "with escaped zero-width spaces": "\\u200b".join,
    "with line feeds": "\\n".join,
    "with NULs": "\0".join,
    "in base64": lambda key: b64encode(key.encode()).decode(),
    "as basic authorization": lambda key: "Basic " + b64encode(f"user:{key}".encode()).decode(),
    "in base64, a byte on": lambda key: b64encode(f"x{key}!".encode()).decode(),
    "in base64 for URLs": lambda key: urlsafe_b64encode(f"??>{key}".encode()).decode(),
    "in base64 in percents": lambda key: escaped("%{:02x}")(b64encode(key.encode()).decode()),
}
"""How a key may be spelled; each result may stand within JSON's quotes, whatever it then means."""


def _field(**over: Any) -> Callable[[str], bytes]:
    """A completion with KEY somewhere; the spelling goes in as it is, so that escapes stay escapes."""
    return lambda spelled: http(chat(**over).replace("KEY", spelled))


def _chunks(spelled: str) -> bytes:
    body = chat("KEY").replace("KEY", spelled).encode()
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body
    ) + b"0\r\n\r\n"  # fmt: skip


def _error(status: str, template: str) -> Callable[[str], bytes]:
    return lambda spelled: http(template.replace("KEY", spelled), status)


def _head(*lines: str, status: str = "200 OK") -> Callable[[str], bytes]:
    return lambda spelled: http(
        chat(), status.replace("KEY", spelled), *(line.replace("KEY", spelled) for line in lines)
    )


ANSWERING: dict[str, Callable[[str], bytes]] = {
    "the answer": _field(text="The key is KEY. <answer>R</answer>"),
    "the middle of an answer": _field(text="x" * 500 + "KEY" + "y" * 500),
    "the model": _field(model="KEY"),
    "the finish reason": _field(reason="KEY"),
    "a refusal": _field(choices=[{"message": {"refusal": "no: KEY"}, "finish_reason": "stop"}]),
    "an unknown field": _field(system_fingerprint="KEY", id="KEY"),
    "single bytes in chunks": _chunks,
    "UTF-16": lambda spelled: http(chat("KEY").replace("KEY", spelled).encode("utf-16")),
    "an error": _error("400 Bad", '{"error":{"message":"wrong KEY","param":"KEY","code":"KEY"}}'),
    "an error with 200": _error("200 OK", '{"error":{"message":"you sent KEY"}}'),
    "a detail": _error("422 No", '{"detail":[{"loc":["KEY"],"msg":"KEY"}]}'),
    "a failure": _error("500 No", "Internal error: KEY"),
    "a page": _error("502 No", "<html><title>KEY</title><b>K</b>KEY</html>"),
    "a refused key": _error("401 Who", '{"error":{"message":"Incorrect API key provided: KEY"}}'),
    "an error in UTF-16": lambda spelled: http(f"no: {spelled}".encode("utf-16-le"), "500 No"),
    "the end of 200 letters": _error("400 Bad", "x" * 190 + " KEY"),
    "a short error's end": _error("500 No", "<p>" + "x" * 100 + "KEY"),
    "the reason": _head(status="500 KEY"),
    "the status": _head(status="KEY OK"),
    "a broken status line": lambda spelled: spelled.encode() + b"\r\n\r\n",
    "a header": _head("X-Key: KEY"),
    "a broken header": _head("X-Key\0: KEY"),
    "a header's name": _head("KEY: 1"),
    "a length": lambda spelled: f"HTTP/1.1 200 OK\r\nContent-Length: {spelled}\r\n\r\n".encode(),
    "a chunk size": lambda spelled: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{spelled}\r\n".encode(),
    "a transfer coding": lambda spelled: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {spelled}\r\n\r\n".encode(),
    "a content coding": _head("Content-Encoding: KEY"),
    "a content type": _head("Content-Type: KEY; charset=KEY"),
    "a cookie": _head("Set-Cookie: KEY=KEY; Path=/KEY"),
    "a time to wait": _head("Retry-After: KEY", status="429 Slow"),
    "a redirect": _head("Location: http://KEY@127.0.0.1:9/KEY?k=KEY", status="307 Go"),
    "a redirect's host": _head("Location: http://KEY.example/", status="302 Go"),
    "a trailer": lambda spelled: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nX: {spelled}\0\r\n\r\n"
    ).encode(),
    "garbage behind the answer": lambda spelled: http(chat()) + spelled.encode(),
}
"""Where a key may be quoted in reply to a question."""

LISTING: dict[str, Callable[[str], bytes]] = {
    "a model's id": lambda spelled: http(cards(owner="vllm", id="KEY").replace("KEY", spelled)),
    "a second model's id": lambda spelled: http(cards({"id": "KEY"}, owner="vllm").replace("KEY", spelled)),
    "a model's root": lambda spelled: http(cards(owner="vllm", root="KEY").replace("KEY", spelled)),
    "a model's owner": lambda spelled: http(cards(owner="KEY").replace("KEY", spelled)),
    "a model's length": lambda spelled: http(cards(owner="vllm", max_model_len="KEY").replace("KEY", spelled)),
    "the list's reason": lambda spelled: http(cards(), f"200 {spelled}"),
    "the list's status line": lambda spelled: spelled.encode() + b"\r\n\r\n",
}
"""Where a key may be quoted in a list of models."""

VERSIONS: dict[str, Callable[[str], bytes]] = {
    "the version": lambda spelled: http('{"version":"KEY"}'.replace("KEY", spelled)),
    "the version's status line": lambda spelled: spelled.encode() + b"\r\n\r\n",
}
"""Where a key may be quoted in a version."""


def quoting(reply: Callable[[str], bytes], encoding: str = "as it is") -> Callable[[Call], bytes]:
    """An attack that quotes the key that it was sent."""
    return lambda call: reply(ENCODINGS[encoding](call.key))


attacks("key", {f"key in {where}": quoting(reply) for where, reply in ANSWERING.items()}, ("first question", "answer"))
attacks("key", {f"key in {where}": quoting(reply) for where, reply in LISTING.items()}, ("models",))
attacks("key", {f"key in {where}": quoting(reply) for where, reply in VERSIONS.items()}, ("version",))
attacks("key", {f"key {how} in the answer": quoting(ANSWERING["the answer"], how) for how in ENCODINGS})
attacks("key", {f"key {how} in the model": quoting(ANSWERING["the model"], how) for how in ENCODINGS})
attacks("key", {f"key {how} in an error": quoting(ANSWERING["an error"], how) for how in ENCODINGS})


@attack("key", "key in 3 MB of text")
def buried(call: Call) -> bytes:
    return http(chat("a" * MB + call.key + "b" * 2 * MB))


@attack("key", "key 1,000 times", ("first question", "answer"))
def often(call: Call) -> bytes:
    return http(json.dumps(completion(call.key * 1000)))
