"""What servers take of a run's parameters, and what the backend takes of a user's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from mgsd_bench.backends import BackendConfig, Sampling, open_backend
from mgsd_bench.cli import app
from mgsd_bench.errors import Exit, UserError
from support.chat_server import KEY, QUICK, ChatServer, answers, ask, echo, opened

pytest.importorskip("httpx")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(echo) as running:
        yield running


def choosy(**refused: str) -> Callable[[dict[str, Any]], Any]:
    """A server that refuses these parameters, in these words."""

    def answer(body: dict[str, Any]) -> Any:
        for name, words in refused.items():
            if name in body:
                return 400, {}, json.dumps({"error": {"message": words, "param": name}}).encode()
        return "fine"

    return answer


def test_newer_names_and_harmless_refusals_are_settled_at_the_start() -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    picky = choosy(max_tokens=words, seed="Unknown parameter: 'seed'.", top_p="'top_p' is not supported.")
    with ChatServer(picky) as server, opened(server, sampling=Sampling(max_tokens=99)) as backend:
        assert answers(backend, ask("a"))["a"].text == "fine"
        facts = backend.describe()
        assert facts["sent"] == {"model": "fake", "temperature": 0.0, "max_completion_tokens": 99}
        assert "refused: HTTP 400: Unknown parameter" in facts["not_sent"]["seed"]
        assert "refused" in facts["not_sent"]["top_p"]
        assert set(server.bodies[-1]) == {*facts["sent"], "messages"}


@pytest.mark.parametrize(
    ("sampling", "refused", "message"),
    [
        (Sampling(), {"temperature": "Only the default (1) value is supported."}, "temperature=0.*temperature=1"),
        (Sampling(top_p=0.9), {"top_p": "no"}, "top_p=0.9: .*give top_p=1"),
        (Sampling(top_k=5), {"top_k": "Unrecognized request argument supplied: top_k"}, "top_k=5"),
        (Sampling(max_tokens=10**6), {"max_tokens": "max_tokens is too large"}, "max_tokens=1000000: .*too large"),
        (Sampling(), {"messages": "image input is not supported"}, "refuses a question: .*image input"),
    ],
)
def test_what_would_change_the_run_is_an_error(sampling: Sampling, refused: dict[str, str], message: str) -> None:
    with ChatServer(choosy(**refused)) as server, pytest.raises(UserError, match=message) as caught:
        opened(server, sampling=sampling)
    assert caught.value.code == Exit.USAGE


def test_vllm_gets_every_parameter_and_the_image_limits() -> None:
    with ChatServer(echo, owner="vllm") as server:
        config = BackendConfig("fake", engine_args={"base_url": [server.url]})
        with open_backend("openai", config) as backend:
            facts = backend.describe()
    assert facts["concurrency"] == 256
    assert facts["not_sent"] == {}
    assert facts["sent"] == {
        "model": "fake", "temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "presence_penalty": 0.0,
        "frequency_penalty": 0.0, "repetition_penalty": 1.0, "max_tokens": 4096, "seed": "one a request",
        "mm_processor_kwargs": {"min_pixels": 65_536, "max_pixels": 262_144},
    }  # fmt: skip


def test_a_processor_without_limits_is_recorded() -> None:
    def plain(body: dict[str, Any]) -> Any:
        bad = "mm_processor_kwargs" in body and isinstance(body["messages"][0]["content"], list)
        return (400, {}, b'{"message": "got an unexpected keyword argument"}') if bad else "fine"

    with ChatServer(plain, owner="vllm") as server, opened(server) as backend:
        assert "are not applied; refused" in backend.describe()["not_sent"]["mm_processor_kwargs"]
        assert answers(backend, ask("a"))["a"].text == "fine"


def test_servers_of_two_kinds_do_not_share_a_run() -> None:
    with ChatServer(echo, owner="vllm") as one, ChatServer(echo) as other:
        with pytest.raises(UserError, match="takes other parameters than"):
            opened(one, other)
        with opened(one, other, server="openai") as backend:
            assert len(backend.describe()["servers"]) == 2


def test_a_server_that_is_down_at_the_start_is_left_out() -> None:
    with ChatServer(echo) as up, ChatServer(echo) as down:
        down.die()
        with opened(down, up) as backend:
            assert answers(backend, ask("a"))["a"].error is None
            left, used = backend.describe()["servers"]
            assert (left["url"], used["url"]) == (down.url, up.url)
            assert "cannot be reached" in left["left_out"]


def test_a_wrong_key_is_one_line_that_does_not_show_it() -> None:
    def locked(body: dict[str, Any]) -> Any:
        return 401, {}, json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()

    with (
        ChatServer(locked) as server,
        pytest.raises(UserError, match=r"HTTP 401.*\*\*\*; is OPENAI_API_KEY set") as caught,
    ):
        opened(server)
    assert caught.value.code == Exit.USAGE
    assert KEY not in str(caught.value)


def test_a_url_without_v1(server: ChatServer) -> None:
    config = BackendConfig("fake", engine_args={**QUICK, "base_url": [server.url.removesuffix("/v1")]})
    with pytest.raises(UserError, match=r"HTTP 404: Not Found; base URLs mostly end in /v1"):
        open_backend("openai", config)


def test_an_unknown_model() -> None:
    with ChatServer(echo, owner="vllm") as server, pytest.raises(UserError, match=r"model=ghost: .* serves fake"):
        open_backend("openai", BackendConfig("ghost", engine_args={"base_url": [server.url], **QUICK}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"concurency": 4}, "did you mean concurrency"),
        ({"concurrency": 0}, r"engine\['concurrency'\]=0: must be a whole number of at least 1"),
        ({"concurrency": True}, "whole number"),
        ({"timeout": "long"}, r"engine\['timeout'\]=long: must be a number of seconds"),
        ({"price_in": -1}, "price of a million tokens"),
        ({"server": "sglang"}, "choose from auto"),
        ({"extra_body": "low"}, "JSON object"),
        ({"extra_body": {"temperature": 1}}, "temperature is set by the run itself"),
        ({"key_env": "NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE: this environment variable is not set"),
        ({"api_key": KEY}, r"engine\['api_key'\]: a key given here would be stored"),
        ({"base_url": ["localhost:8000"]}, "give a URL such as"),
        ({"base_url": [f"http://me:{KEY}@127.0.0.1/v1"]}, "would be stored with the run"),
        ({"base_url": [f"http://127.0.0.1/v1?api-key={KEY}"]}, "would be stored with the run"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str, server: ChatServer) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_backend("openai", BackendConfig("fake", engine_args={"base_url": [server.url], **arguments}))
    assert caught.value.code == Exit.USAGE
    assert KEY not in str(caught.value)


def test_key_and_url_of_the_environment(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with open_backend("openai", BackendConfig("fake", engine_args={**QUICK, "key_env": "OTHER_KEY"})):
        assert server.keys == {"Bearer sk-other"}
    monkeypatch.delenv("OPENAI_API_KEY")
    with open_backend("openai", BackendConfig("fake", engine_args=QUICK)):
        assert server.keys == {"Bearer sk-other", None}


def test_command_line() -> None:
    runner = CliRunner(env={"COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1"})
    for name in ("eval", "diagnose"):
        shown = runner.invoke(app, [name, "--help"]).output
        for part in ("--base-url", "$OPENAI_BASE_URL", "openai"):
            assert part in shown
    wrong = ["eval", "--model", "oracle", "--base-url", "http://127.0.0.1/v1", "--backend", "scripted"]
    refused = runner.invoke(app, wrong).exception
    assert isinstance(refused, UserError)
    assert str(refused) == "--base-url http://127.0.0.1/v1: --backend scripted asks no server; add --backend openai"
