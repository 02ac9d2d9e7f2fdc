"""What streaming costs: the vLLM backend against a bare ``LLM.chat`` on the same requests and the same engine.

    python benchmarks/eval_overhead.py [--model FOLDER] [--requests 256] [--max-tokens 64] [--rounds 5]

The two are run in turns, with empty caches, and the medians compared. Without ``--model``, a tiny random checkpoint
is built, with which overhead weighs most: the less an engine has to compute, the more it counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
from PIL import Image

from mgsd_baselines.tiny.build import build_tiny
from mgsd_bench.backends import BackendConfig, Request, Sampling, generate, single_turn
from mgsd_bench.backends.vllm import VllmBackend, open_backend

TEXT = (
    "You see a grid of ice. The elf starts somewhere, the gift is the goal, and holes must be avoided. "
    "First list the cells that you see, then give the shortest safe way as a list of moves. "
) * 4


def main() -> None:
    """Measure and print one line a side, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--model")
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    requests = [make_request(i) for i in range(args.requests)]
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or str(build_tiny(Path(folder)))
        start = time.perf_counter()
        config = BackendConfig(model, Sampling(max_tokens=args.max_tokens))
        with open_backend(config) as opened:
            backend = cast(VllmBackend, opened)
            print(f"engine start   {time.perf_counter() - start:7.2f} s")
            sides: dict[str, Callable[[], int]] = {
                "LLM.chat": lambda: bare(backend, requests),
                "generate": lambda: sum(r.completion_tokens or 0 for r in generate(backend, requests)),
            }
            seconds: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(args.rounds + 1):
                for name, run in sides.items():
                    took, tokens = timed(backend, run)
                    if turn:  # the first turn warms both up
                        seconds[name].append(took)
        for name, values in seconds.items():
            print(
                f"{name:14} {median(values):7.2f} s, median of {len(values)} ({min(values):.2f} to {max(values):.2f})"
            )
        print(f"requests       {args.requests}, {tokens} tokens")
        print(f"ratio          {median(seconds['generate']) / median(seconds['LLM.chat']):7.3f}")


def make_request(i: int) -> Request:
    """A request with an image of its own, so that no cache helps."""
    image = np.random.default_rng(i).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return single_turn(str(i), f"{TEXT} ({i})", lambda: image, i, "visual", cast(Any, None))


def bare(backend: VllmBackend, requests: list[Request]) -> int:
    """Everything in one call, as the vLLM documentation recommends."""
    chats, params = [], []
    for request in requests:
        (turn,) = request.turns
        assert turn.image is not None
        content = [
            {"type": "text", "text": turn.text},
            {"type": "image_pil", "image_pil": Image.fromarray(turn.image())},
        ]
        chats.append([{"role": "user", "content": content}])
        params.append(backend.sampling_params(request.seed))
    return sum(len(out.outputs[0].token_ids) for out in backend.llm.chat(chats, params, use_tqdm=False))


def timed(backend: VllmBackend, run: Callable[[], int]) -> tuple[float, int]:
    """Seconds and generated tokens of a run that starts with empty caches."""
    backend.llm.reset_mm_cache()
    backend.llm.reset_prefix_cache()
    start = time.perf_counter()
    tokens = run()
    return time.perf_counter() - start, tokens


if __name__ == "__main__":
    main()
