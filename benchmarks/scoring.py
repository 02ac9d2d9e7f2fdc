"""Plans scored a second on one core, by rollout alone and with reading the answer; what twice as long a text costs."""

from __future__ import annotations

import time
from statistics import median

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.backends import Response
from mgsd_bench.runs.scoring import score
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import episodes, subsample
from mgsd_envs import get_task, rollout

ROUNDS = 7
GROWTH_ROUNDS = 3
SHAPES = ("{}", "<answer>{}</answer>", "<answer>{}", "Answer: {}", "\\boxed{{}}", "[{}]", "<think>{}<answer>R</answer>")
UNITS = (
    *("<think>", "</think>", "<answer>", "</answer>", "<answer>R</answer>", "<thinking>", "<thinking></thinking>", "<"),
    *(
        "R ",
        "R, ",
        "pick up ",
        "->",
        "-",
        "=",
        "1. ",
        "1. R\n",
        "step 1: R ",
        "(",
        "(R",
        "R(right)",
        "[{",
        "{'a':",
        '"',
    ),
    *(
        "→ ",
        "→ ↓ right ",
        "x2",
        "R x2 ",
        "2x ",
        "\\boxed{",
        "\\boxed{R}",
        "<|begin_of_box|>",
        "<|im_end|>",
        "```",
        "\n",
    ),
    *(
        "Answer: ",
        "\nAnswer: R",
        "**",
        "#",
        "  ",
        "，",
        "①",
        "\u0301",
        "&gt;",
        "then ",
        "...",
        "\\",
        "a",
        "9",
        "\ufeff",
    ),
)


def main() -> None:
    """Print plans a second for each task; medians of ROUNDS rounds over the shorter half of mgsd-v1's plans."""
    for name in ("frozenlake", "maze", "minibehaviour"):
        task = get_task(name)
        short = sorted(
            (e for e in subsample(episodes(find_suite("mgsd-v1")), 100) if e.task == name), key=lambda e: e.shortest
        )
        chosen = short[: len(short) // 2]
        answers = [f"Route: on.\n<answer>{write_plan(e.plan)}</answer>" for e in chosen]
        responses = [Response(e.id, text, "stop") for e, text in zip(chosen, answers, strict=True)]

        def rolled() -> None:
            for e in chosen:  # noqa: B023
                rollout(task, e.state, e.plan)  # noqa: B023

        def parsed() -> None:
            for text in answers:  # noqa: B023
                parse_answer(text, task)  # noqa: B023

        def scored() -> None:
            for e, response in zip(chosen, responses, strict=True):  # noqa: B023
                score(e, "visual", response)

        mean = sum(e.shortest for e in chosen) / len(chosen)
        rates = [len(chosen) / median(_seconds(work) for _ in range(ROUNDS)) for work in (rolled, parsed, scored)]
        print(
            f"{name}: {rates[0]:,.0f} rollouts/s, {rates[1]:,.0f} answers parsed/s, {rates[2]:,.0f} responses scored/s "
            f"with their stated facts (plans of {mean:.1f} actions on average)"
        )
    print("\nsecond reading time over the first, of a text twice as long; the worst five of each shape")
    for shape in SHAPES:
        ratios = sorted(((_growth(shape, unit), unit) for unit in UNITS), reverse=True)
        print(f"  {shape!r}: " + ", ".join(f"{ratio:.1f} ({unit!r})" for ratio, unit in ratios[:5]))


def _growth(shape: str, unit: str) -> float:
    """How many times longer twice as long a text takes, texts long enough to be timed."""
    count = 20_000 // len(unit)
    first, second = (
        min(_once(shape.replace("{}", unit * n)) for _ in range(GROWTH_ROUNDS)) for n in (count, 2 * count)
    )
    return second / first


def _once(text: str) -> float:
    start = time.process_time()
    parse_answer(text, "minibehaviour")
    return time.process_time() - start


def _seconds(work: object) -> float:
    start = time.perf_counter()
    for _ in range(20):
        work()  # type: ignore[operator]
    return (time.perf_counter() - start) / 20


if __name__ == "__main__":
    main()
