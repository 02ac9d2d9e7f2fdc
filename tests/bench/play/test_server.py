"""The page's server answers whoever has its address, and does nothing for others."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest

from mgsd_bench.backends import Request, Response, StoppedError, Turn
from mgsd_bench.backends.human import Desk, HumanBackend
from mgsd_bench.errors import UserError
from mgsd_bench.play.server import LONGEST_BODY, PlayServer
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_envs import Episode
from support.playing import get, post
from support.walking import episode_of

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def episode() -> Episode:
    return episode_of("frozenlake")


def person_at(desk: Desk, episode: Episode) -> HumanBackend:
    """Somebody who has been asked for a plan."""
    found = HumanBackend("ann", desk, LoopSettings(), 60.0, lambda: None)
    found.submit(asked("frozenlake/4/0/direct/0", episode))
    return found


@pytest.fixture(scope="module")
def standing(episode: Episode) -> Iterator[PlayServer]:
    """A server whose question nobody is to answer."""
    desk = Desk()
    person_at(desk, episode)
    with PlayServer(desk, 0) as found:
        assert post(f"{found.url}begin", {"number": 0}) == 200
        yield found


@pytest.fixture
def server() -> Iterator[PlayServer]:
    with PlayServer(Desk(), 0) as found:
        yield found


@pytest.fixture
def person(server: PlayServer, episode: Episode) -> HumanBackend:
    return person_at(server.desk, episode)


def asked(key: str, episode: Episode) -> Request:
    turn = Turn("user", "Where to?", lambda: np.zeros((8, 8, 3), np.uint8))
    return Request(key, (turn,), 0, "direct", episode)


def say(
    server: PlayServer, method: str, path: str, body: bytes | None = None, **headers: str | None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What a server says to a request; headers by their names with ``_``, None leaves one out."""
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    given = {"Host": server.hosts[0], **(JSON if body is not None else {})}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[misc]
    connection.putrequest(method, path, skip_host=True)
    if body is not None and "Content_Length" not in headers:
        given["Content-Length"] = str(len(body))
    for name, value in given.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body if body is not None and "Content_Length" not in headers else None)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    found = json.loads(content) if reply.headers.get_content_type() == "application/json" else {"page": content}
    return reply.status, found, dict(reply.headers)


def test_it_listens_on_this_machine_alone(standing: PlayServer) -> None:
    assert standing.server_address[0] == "127.0.0.1"
    assert standing.socket.family == socket.AF_INET
    assert len(standing.token) >= 32


def test_the_page_may_load_nothing_from_elsewhere(standing: PlayServer) -> None:
    for name in ("", "play.css", "play.js"):
        status, found, headers = say(standing, "GET", f"/{standing.token}/{name}")
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert b"http" not in found["page"].replace(b'http-equiv="', b"")


@pytest.mark.parametrize("path", ["/", "", "/desk?after=-1", "/{other}/", "/{token}x/desk", "/%2e/{token}/", "//[/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_the_token_there_is_a_refusal(standing: PlayServer, path: str, method: str) -> None:
    other = standing.token.swapcase()
    status, found, _ = say(standing, method, path.format(token=standing.token, other=other) or "/x", b"{}")
    assert status in (400, 403)
    assert found.keys() == {"error"}


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "127.0.0.1:1", "", None, "[::1]:80", "127.0.0.1.nip.io"])
def test_another_host_name_is_refused(standing: PlayServer, host: str | None) -> None:
    assert say(standing, "GET", f"/{standing.token}/desk?after=-1", Host=host)[0] == 403


def test_both_names_of_this_machine_will_do(standing: PlayServer) -> None:
    for host in standing.hosts:
        assert say(standing, "GET", f"/{standing.token}/", Host=host)[0] == 200


def test_what_is_shown_says_nothing_of_the_episode(server: PlayServer, person: HumanBackend) -> None:
    waiting = get(f"{server.url}desk?after=-1")
    assert waiting.keys() == {"version", "done", "total", "number"}
    assert post(f"{server.url}begin", {"number": 0}) == 200
    question = get(f"{server.url}desk?after={waiting['version']}")["question"]
    assert question.keys() == {"number", "told", "turns", "form"}
    assert question["told"] == "Where to?"
    (turn,) = question["turns"]
    assert turn.keys() == {"role", "text", "image"}
    assert turn["image"].startswith("data:image/png;base64,")
    assert question["form"].keys() == {"buttons", "most", "lines", "states", "may_be_empty"}


def test_an_answer_is_taken_once_and_for_the_question_that_lies_there(
    server: PlayServer, person: HumanBackend, episode: Episode
) -> None:
    answer = {"number": 0, "actions": ["right"], "stated": ""}
    assert post(f"{server.url}answer", answer) == 409  # nobody has seen the question
    assert post(f"{server.url}begin", {"number": 1}) == 409
    assert post(f"{server.url}begin", {"number": 0}) == 200
    assert post(f"{server.url}answer", answer) == 409
    get(f"{server.url}desk?after=-1")
    assert post(f"{server.url}answer", {**answer, "number": 1}) == 409
    assert post(f"{server.url}answer", {**answer, "actions": ["fly"]}) == 422
    assert post(f"{server.url}answer", answer) == 200
    assert post(f"{server.url}answer", {**answer, "actions": ["left"]}) == 409
    (response,) = person.collect()
    assert isinstance(response, Response)
    assert response.text == "<answer>R</answer>"
    assert response.seconds is not None
    assert 0 <= response.seconds < 10
    person.submit(asked("frozenlake/4/1/direct/0", episode))
    assert post(f"{server.url}answer", answer) == 409
    server.desk.close({"rows": []}, 0)
    assert get(f"{server.url}desk?after=-1")["end"] == {"rows": []}
    assert post(f"{server.url}answer", {**answer, "number": 1}) == 409


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {"Content_Length": str(LONGEST_BODY + 1)}, 413),
        (b"", {"Content_Length": "9" * 5000}, 413),
        (b"", {"Content_Length": "-1"}, 411),
        (b"", {"Content_Length": "1e3"}, 411),
        (b"", {"Content_Length": None}, 411),
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b"{}", {"Origin": "http://example.org"}, 403),
        (b"{}", {"Origin": "null"}, 403),
        (b"{}", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 60_000, {}, 400),
        (b"\xff", {}, 400),
        (b'{"number": ' + b"9" * 5000 + b"}", {}, 400),
        (b'{"number": "0", "actions": [], "stated": ""}', {}, 400),
        (b'{"number": 0, "actions": [1], "stated": ""}', {}, 400),
        (b'{"number": 0, "actions": [], "stated": null}', {}, 400),
        (b'{"number": 1e400, "actions": [], "stated": ""}', {}, 400),
    ],
)
def test_what_is_no_answer_changes_nothing(
    standing: PlayServer, body: bytes, headers: dict[str, str | None], status: int
) -> None:
    before = get(f"{standing.url}desk?after=-1")
    assert say(standing, "POST", f"/{standing.token}/answer", body, **headers)[0] == status
    assert get(f"{standing.url}desk?after=-1") == before


def test_reading_changes_nothing(standing: PlayServer) -> None:
    before = get(f"{standing.url}desk?after=-1")
    for place in ("begin", "answer", "stop", "nowhere", "..%2f", "play.py", "../server.py"):
        assert say(standing, "GET", f"/{standing.token}/{place}?number=0")[0] == 404
    for place in ("desk", "play.js", ""):
        assert say(standing, "POST", f"/{standing.token}/{place}", b"{}")[0] == 404
    for query in ("after=x", "after=1.5", "after=" + "9" * 50, "after=1&" * 30, "after=٣"):
        assert say(standing, "GET", f"/{standing.token}/desk?{query.encode('ascii', 'replace').decode()}")[0] == 400
    assert get(f"{standing.url}desk?after=-1") == before


def test_a_person_may_stop(server: PlayServer, person: HumanBackend) -> None:
    assert post(f"{server.url}stop", {}) == 200
    with pytest.raises(StoppedError, match="stopped on the page"):
        person.collect()


def test_a_picture_that_cannot_be_drawn_is_an_error_of_its_question(episode: Episode) -> None:
    def lost() -> Any:
        raise OSError("the file is gone")

    person = HumanBackend("ann", Desk(), LoopSettings(), 60.0, lambda: None)
    person.submit(Request("key", (Turn("user", "?", lost),), 0, "direct", episode))
    (response,) = person.collect()
    assert response.error == "the file is gone"


def test_a_port_that_is_taken_is_named(standing: PlayServer) -> None:
    port = standing.server_address[1]
    with pytest.raises(UserError, match=f"port={port}: cannot be had .*; name another, or 0"):
        PlayServer(Desk(), port)
