"""What hides keys, and that it hides nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mgsd_bench.backends import BackendConfig, open_backend
from mgsd_bench.backends.chat_api import shown
from mgsd_bench.backends.chat_secrets import HIDDEN, Secrets, proxy_passwords
from mgsd_bench.errors import UserError
from support.chat_server import KEY
from support.hostile_texts import ENCODINGS
from support.key_search import holds_key

PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
KEYS = st.text(PRINTABLE, min_size=8, max_size=60)
USUAL_KEYS = st.text(PRINTABLE.filter(lambda c: c not in "\\%&"), min_size=8, max_size=60)
"""Without the letters that escapes begin with: those that a key holds itself are only found as they are."""


@given(key=USUAL_KEYS, before=st.text(max_size=20), after=st.text(max_size=20), how=st.sampled_from(list(ENCODINGS)))
def test_a_key_is_found_however_it_is_spelled(key: str, before: str, after: str, how: str) -> None:
    text = before + ENCODINGS[how](key) + after
    hidden = Secrets([key]).hide_text(text)
    assert not holds_key(hidden, key)
    assert HIDDEN in hidden


@given(KEYS, st.binary(max_size=20), st.binary(max_size=20))
def test_any_key_is_found_as_it_is(key: str, before: bytes, after: bytes) -> None:
    assert key.encode() not in Secrets([key]).hide(before + key.encode() + after)


@given(st.text(), KEYS)
def test_other_texts_stay_as_they_are(text: str, key: str) -> None:
    data = text.encode(errors="replace")
    assume(not holds_key(data.decode(), key))
    assert Secrets([key]).hide(data) == data
    assert Secrets([None, "", "EMPTY"]).hide(data + b" EMPTY") == data + b" EMPTY"


def test_what_is_around_a_key_stays() -> None:
    body = json.dumps({"text": f'say "{KEY}" twice:\n{KEY}'}).encode()
    assert json.loads(Secrets([KEY]).hide(body)) == {"text": 'say "***" twice:\n***'}


@pytest.mark.parametrize("data", [b"\\" * 2**21, b"%25" * 2**19, b"&#0" * 2**19, b"&#" + b"0" * 2**21, b"\0" * 2**21])
def test_no_body_takes_long(data: bytes) -> None:
    """Linear in the length: with a search that is not, each of these would take hours."""
    assert Secrets([KEY]).hide(data) == data


def test_passwords_of_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pass%21word@proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", "a-token-alone@proxy.example")
    secrets = Secrets(proxy_passwords())
    assert secrets.hide_text("407 pass!word, pass%21word, a-token-alone, me") == "407 ***, ***, ***, me"


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("fake", {"extra_body": {"api_key": "anything"}}),
        ("fake", {"extra_body": {"extra_headers": {"X-Api-Key": "anything"}}}),
        ("fake", {"extra_body": {"user": [f"Bearer {KEY}"]}}),
        ("fake", {"extra_body": {KEY: 1}}),
        ("fake", {"extra_body": KEY}),
        ("fake", {"timeout": KEY}),
        ("fake", {KEY: 1}),
        ("fake", {"key_env": KEY}),
        ("fake", {"base_url": [f"http://127.0.0.1:9/{KEY}/v1"]}),
        ("fake", {"base_url": [f"http://{KEY}.example/v1"]}),
        ("fake", {"base_url": ["127.0.0.1/v1?key=" + KEY]}),
        (f"fake-{KEY}", {}),
    ],
)
def test_a_key_is_taken_nowhere_but_in_the_environment(
    model: str, arguments: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(UserError, match=r"would be stored with the run|not the key") as caught:
        open_backend("openai", BackendConfig(model, engine_args={"base_url": ["http://127.0.0.1:9/v1"], **arguments}))
    assert not holds_key(str(caught.value), KEY)


def test_an_environment_that_names_no_proxy_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://me:secret-password@proxy.example")
    with pytest.raises(UserError, match=r"proxies .* cannot be used") as caught:
        open_backend("openai", BackendConfig("fake", engine_args={"base_url": ["http://server.example/v1"]}))
    assert "secret-password" not in str(caught.value)


@given(st.text(max_size=400), st.integers(10, 200))
def test_shown_texts_are_one_short_printable_line(text: str, most: int) -> None:
    line = shown(text, most)
    assert len(line) <= most
    assert line.isprintable()
