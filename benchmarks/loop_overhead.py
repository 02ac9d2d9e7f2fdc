"""What the closed loop costs: turns a second without a model, and an engine's time against that of a bare one.

    python benchmarks/loop_overhead.py scripted [--rounds 5]
    python benchmarks/loop_overhead.py engine [--model FOLDER] [--episodes 6] [--max-tokens 16] [--seqs 16]

``scripted`` lets the oracle act in mgsd-v1 under ``act-symbolic``, and makes a line of each turn and sample; seconds
are processor time of the one process.

``engine`` lets a real vLLM compute every turn of ``act``, with the pictures of past turns, while a script says what is
answered (``noisy-step:0.3``), so that episodes are of the lengths that they have. Four ways of asking are run by turns
with empty caches, and their medians compared: the closed loop; the same requests, all at once, by ``LLM.chat``; the
same requests as one-shot questions through the same runner; and the closed loop in lockstep, where all episodes wait
for each other in every turn. Without ``--model`` a tiny random checkpoint is built, with which overhead weighs most.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, cast

from PIL import Image

from mgsd_baselines.tiny.build import build_tiny
from mgsd_bench.backends import Backend, BackendConfig, Request, Response, Sampling, generate, hold
from mgsd_bench.backends.scripted import ScriptedBackend
from mgsd_bench.backends.scripted import open_backend as open_scripted
from mgsd_bench.backends.vllm import VllmBackend
from mgsd_bench.backends.vllm import open_backend as open_vllm
from mgsd_bench.prompts import Condition, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, closed_loop, step_limits
from mgsd_bench.runs.conversation import Conversation
from mgsd_bench.runs.questions import Questions
from mgsd_bench.runs.turns import TurnRecord
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.suite import episodes, subsample
from mgsd_envs.views import FULL

POLICY = "noisy-step:0.3"
IMAGES = 1 + (LoopSettings().history or 0)
LATE = 0.05
"""The share of turns at a run's end in which too few episodes are left to keep an engine busy."""


def conversations(asked: Packed, condition: Condition, hear: Callable[[TurnRecord], None]) -> Iterator[Conversation]:
    """The episodes as a run holds them."""
    prompts = load_prompts("compact", asked, [condition])
    loop = Loop(LoopSettings(), step_limits(asked, FULL))
    for question in Questions(asked, [condition], 1):
        yield closed_loop(question, prompts, 0, loop, (), hear)


def scripted(rounds: int) -> None:
    """Print how many turns a second are asked, answered, carried out, written and scored."""
    asked = episodes(find_suite("mgsd-v1"))
    rates = []
    for turn in range(rounds + 1):
        lines: list[bytes] = []
        start = time.process_time()
        with open_scripted(BackendConfig("oracle")) as backend:
            held = conversations(asked, "act-symbolic", lambda record: lines.append(record.to_line()))  # noqa: B023
            samples = [sample.to_line() for sample in hold(backend, held)]
        if turn:  # the first one fills caches
            rates.append(len(lines) / (time.process_time() - start))
    print(f"{len(samples):,} episodes, {len(lines):,} turns; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"turns a second {median(rates):,.0f}, median of {rounds} ({min(rates):,.0f} to {max(rates):,.0f})")


class Steered(Backend):
    """A real engine whose answers are computed, and replaced by those of a script.

    Attributes:
        asked: every request, in the order in which they came.
        answered: seconds, on the clock, at which each answer was there.
    """

    def __init__(self, engine: VllmBackend, policy: ScriptedBackend) -> None:
        self._engine, self._policy = engine, policy
        self._live: dict[str, Request] = {}
        self.asked: list[Request] = []
        self.answered: list[float] = []

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def capacity(self) -> int:
        """That of the engine."""
        return self._engine.capacity

    def describe(self) -> dict[str, Any]:
        """What is said of the engine."""
        return self._engine.describe()

    def submit(self, request: Request) -> None:
        """Hand a request to the engine."""
        self._live[request.key] = request
        self.asked.append(request)
        self._engine.submit(request)

    def collect(self) -> list[Response]:
        """The script's answers, as soon as the engine has its own."""
        ended = self._engine.collect()
        now = time.perf_counter()
        for response in ended:
            if response.error is not None:
                raise SystemExit(f"{response.key}: {response.error}")
            self.answered.append(now)
        return [self._policy.respond(self._live.pop(response.key)) for response in ended]

    def abort(self) -> None:
        """Give up what is in the engine."""
        self._engine.abort()


def lockstep(backend: Backend, held: Iterator[Conversation]) -> None:
    """Hold all conversations at once, and wait for all answers of a turn before any is asked the next."""
    waiting = {(request := next(each)).key: (each, request) for each in held}
    while waiting:
        for _, request in waiting.values():
            backend.submit(request)
        answers: list[Response] = []
        while len(answers) < len(waiting):
            answers += backend.collect()
        onward: dict[str, tuple[Conversation, Request]] = {}
        for response in answers:
            conversation, _ = waiting[response.key]
            try:
                request = conversation.send(response)
            except StopIteration:
                continue
            onward[request.key] = conversation, request
        waiting = onward


def bare(backend: VllmBackend, requests: list[Request]) -> None:
    """Everything in one call, as the vLLM documentation recommends."""
    chats = [[_message(turn.role, turn.text, turn.image) for turn in request.turns] for request in requests]
    backend.llm.chat(chats, [backend.sampling_params(request.seed) for request in requests], use_tqdm=False)


def _message(role: str, text: str, image: Callable[[], Any] | None) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if image is not None:
        content.append({"type": "image_pil", "image_pil": Image.fromarray(image())})
    return {"role": role, "content": content}


def engine(model: str, each: int, max_tokens: int, rounds: int, seqs: int) -> None:
    """Print seconds of the four ways of asking, and their ratios."""
    asked = subsample(episodes(find_suite("smoke")), each)
    policy = cast(ScriptedBackend, open_scripted(BackendConfig(POLICY)))
    config = BackendConfig(model, Sampling(max_tokens=max_tokens), engine_args={"max_num_seqs": seqs}, images=IMAGES)
    with open_vllm(config) as opened:
        backend = cast(VllmBackend, opened)
        recorded: list[Request] = []
        until_late: list[float] = []

        def act() -> None:
            steered = Steered(backend, policy)
            start = time.perf_counter()
            for _ in hold(steered, conversations(asked, "act", lambda turn: None)):
                pass
            recorded[:] = steered.asked
            until_late.append(steered.answered[int((1 - LATE) * len(steered.answered)) - 1] - start)

        ways: dict[str, Callable[[], object]] = {
            "closed loop": act,
            "LLM.chat": lambda: bare(backend, recorded),
            "one-shot": lambda: list(generate(backend, recorded)),
            "lockstep": lambda: lockstep(Steered(backend, policy), conversations(asked, "act", lambda turn: None)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, run in ways.items():
                backend.llm.reset_mm_cache()
                backend.llm.reset_prefix_cache()
                start = time.perf_counter()
                run()
                took = time.perf_counter() - start
                print(f"round {turn}: {name} {took:.2f} s", flush=True)
                if turn:  # the first one warms up
                    seconds[name].append(took)
    late = median(until_late[1:])
    print(f"{len(asked)} episodes, {len(recorded)} turns; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, values in seconds.items():
        print(f"{name:12} {median(values):7.2f} s, median of {len(values)} ({min(values):.2f} to {max(values):.2f})")
    whole = median(seconds["closed loop"])
    print(f"until the last {LATE:.0%} of the turns: {late:.2f} s")
    print(f"against LLM.chat:  {whole / median(seconds['LLM.chat']):.2f} in all")
    print(f"                   {late / ((1 - LATE) * median(seconds['LLM.chat'])):.2f} until the last {LATE:.0%}")
    rate = (1 - LATE) * median(seconds["one-shot"]) / late
    print(f"questions a second, of one-shot's: {rate:.0%} until the last {LATE:.0%}")
    print(f"lockstep:          {median(seconds['lockstep']) / whole:.2f} times as long as the closed loop")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("part", choices=("scripted", "engine"))
    parser.add_argument("--model")
    parser.add_argument("--episodes", type=int, default=6, help="episodes a level, of 12 levels")
    parser.add_argument("--max-tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seqs", type=int, default=16, help="requests that the engine runs side by side")
    args = parser.parse_args()
    if args.part == "scripted":
        scripted(args.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or str(build_tiny(Path(folder)))
        engine(model, args.episodes, args.max_tokens, args.rounds, args.seqs)


if __name__ == "__main__":
    main()
