"""People who answer on the page of `mgsd-bench play`, without a browser."""

from __future__ import annotations

import _thread
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from unittest.mock import patch
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from mgsd_bench.backends.wire import png
from mgsd_bench.play.server import PlayServer
from mgsd_envs import Episode, Plan, get_task
from mgsd_envs.acting import act
from mgsd_envs.views import FULL, picture

Question = dict[str, Any]
Think = Callable[[Question], Iterable[str]]
"""The actions of an answer to what is shown."""


def novice(question: Question) -> list[str]:
    """Whatever comes first."""
    return [button["action"] for button in question["form"]["buttons"][:1]]


class Expert:
    """Knows the boards by their pictures and texts, and goes a shortest way."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        self._left: dict[str, Plan] = {}
        for episode in episodes:
            task, trail = get_task(episode.task), [get_task(episode.task).start(episode.state)]
            for done in range(len(episode.plan)):
                pixels = picture(episode, trail, FULL, None).rgb()
                self._left[f"data:image/png;base64,{b64encode(png(pixels)).decode()}"] = episode.plan[done:]
                self._left[task.describe(task.state_at(episode.state, trail[-1]))] = episode.plan[done:]
                trail.append(act(task, episode.state, trail[-1], episode.plan[done]).cursor)

    def left(self, shown: str) -> Plan:
        """What is left to be done on a board, by its picture or the text that it is told in."""
        return next(plan for seen, plan in self._left.items() if shown.endswith(seen))

    def __call__(self, question: Question) -> Plan:
        last = question["turns"][-1]
        return self.left(last["image"] or last["text"] or question["told"])[: question["form"]["most"]]


def get(url: str) -> Any:
    with urlopen(url, timeout=15) as reply:
        return json.load(reply)


def post(url: str, content: object) -> int:
    """The status of what is said to an answer."""
    body = json.dumps(content).encode()
    try:
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=15) as reply:
            return int(reply.status)
    except HTTPError as refused:
        return refused.code


def answer(url: str, think: Think, most: int | None = None) -> bool:
    """Answer question after question, as the page does; whether all were answered in so many answers."""
    version, given = -1, 0
    while True:
        desk = get(f"{url}desk?after={version}")
        version = desk["version"]
        if "end" in desk:
            return True
        if "question" in desk:
            if given == most:
                return False
            question = desk["question"]
            actions = list(think(question))
            assert post(f"{url}answer", {"number": question["number"], "actions": actions, "stated": ""}) == 200
            given += 1
        elif "number" in desk:
            assert post(f"{url}begin", {"number": desk["number"]}) == 200


def sits_down(think: Think, most: int | None = None, then: str = "interrupt") -> Callable[[str], None]:
    """Somebody who answers, and who leaves after some answers: by Ctrl-C, or by the button of the page."""

    def person(url: str) -> None:
        if not answer(url, think, most):
            _thread.interrupt_main() if then == "interrupt" else post(f"{url}stop", {})

    return person


@contextmanager
def played_by(person: Callable[[str], None]) -> Iterator[None]:
    """Who plays in the block has this person at the page, by its address; what goes wrong there is raised here."""
    real, threads = PlayServer.__enter__, []
    failures: list[Exception] = []

    def enter(server: PlayServer) -> PlayServer:
        found = real(server)
        threads.append(Thread(target=sit, args=(found.url,)))
        threads[-1].start()
        return found

    def sit(url: str) -> None:
        try:
            person(url)
        except (URLError, ConnectionError):
            pass  # the server is gone: there was nothing to answer
        except Exception as failure:
            failures.append(failure)
            post(f"{url}stop", {})

    with patch.object(PlayServer, "__enter__", enter):
        try:
            yield
        finally:
            for thread in threads:
                thread.join(30)
            if failures:
                raise failures[0]
