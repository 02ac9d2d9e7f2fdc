"""Workers of a Ray cluster killed at random moments: is an answer lost, there twice, or another than one engine's?

A cluster of this machine alone; every few seconds a worker that is ready is killed (SIGKILL), and Ray starts it again.
Prints a line; exits with 1 if anything is lost, double or unequal::

    python benchmarks/ray_kills.py --questions 6000 --workers 4 --every 1.5
    python benchmarks/ray_kills.py --of vllm --questions 600 --workers 2 --every 15
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random
from threading import Event, Thread

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ["PYTHONPATH"] = sys.path[0]  # for the processes of the workers

from mgsd_bench.backends import Backend, BackendConfig, Request, Response, Sampling, generate, open_backend
from mgsd_bench.backends.ray import RayBackend
from mgsd_bench.backends.ray_settings import RaySettings
from mgsd_bench.backends.ray_worker import Worker
from mgsd_bench.prompts import load_prompts
from mgsd_bench.runs.questions import Questions
from mgsd_bench.runs.runner import Asking
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes
from support.ray_plants import Slow

CONFIGS = {
    "scripted": BackendConfig("faulty:0.2,0.2,0.1"),
    "vllm": BackendConfig("tiny-mgsd", Sampling(max_tokens=160), engine_args={"max_num_seqs": 16}),
}


def main() -> None:
    """Ask all questions twice, once under fire."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=CONFIGS, default="scripted")
    parser.add_argument("--questions", type=int, default=6000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=1.5, help="seconds between two kills, on average")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    config = CONFIGS[given.of]
    asked = list(requests(given.questions))
    settings = RaySettings(
        of=given.of, address="local", workers=given.workers, inner=config, split=1, gpus=0, patience=600
    )
    kind = Slow if given.of == "scripted" else Worker
    began = time.monotonic()
    with RayBackend(settings, kind) as backend:
        ready = time.monotonic()
        over, killed = Event(), []
        hunter = Thread(target=hunt, args=(backend, over, killed, given.every, Random(given.seed)))
        hunter.start()
        try:
            got = list(generate(backend, iter(asked)))
        finally:
            over.set()
            hunter.join()
        seconds = time.monotonic() - ready
        used = backend.usage()
    alone = {response.key: response for response in answers(given.of, config, asked)}
    times = Counter(response.key for response in got)
    lost = sum(request.key not in times for request in asked)
    double = sum(count > 1 for count in times.values())
    given_up = set(used["given_up"])
    unequal = sum(said(each) != said(alone[each.key]) for each in got if each.key not in given_up)
    print(
        f"{given.of}, {given.workers} workers, ready after {ready - began:.0f} s: {len(asked):,} questions in "
        f"{seconds:.0f} s, {len(killed)} kills, {used['asked_again']:,} asked again; lost {lost}, double {double}, "
        f"unequal {unequal}, given up after three deaths {len(given_up)}"
    )
    sys.exit(bool(lost or double or unequal))


def requests(count: int) -> Iterator[Request]:
    """Questions about pictures and about texts, all with keys of their own."""
    boards = episodes(find_suite("tiny-v1"))
    conditions = ["visual", "symbolic"]
    asking = Asking(load_prompts("compact", boards, conditions), 0)
    repeats = -(-count // (2 * len(boards)))
    for question in islice(Questions(boards, conditions, repeats), count):
        yield next(asking.conversation(question))


def hunt(backend: RayBackend, over: Event, killed: list[int], every: float, rng: Random) -> None:
    """Kill a worker that is ready, again and again."""
    while not over.wait(rng.expovariate(1 / every)):
        ready = [member.hello.pid for member in backend._crew.in_state("ready") if member.hello]
        with suppress(ProcessLookupError, IndexError):  # dead already, and not yet known to be; none is ready
            os.kill(pid := rng.choice(ready), signal.SIGKILL)
            killed.append(pid)


def answers(of: str, config: BackendConfig, asked: list[Request]) -> Iterator[Response]:
    """What one engine in this process says."""
    backend: Backend
    with open_backend(of, config) as backend:
        yield from generate(backend, iter(asked))


def said(response: Response) -> tuple[str, str, str | None]:
    """What makes two answers equal."""
    return response.text, response.finish_reason, response.error


if __name__ == "__main__":
    main()
