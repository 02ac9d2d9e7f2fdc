"""Does the diagnosis find the faults that are there?

Scripted models misread each fact with probability p, spoil each plan with probability q and break each answer with
probability f. Over a grid of (p, q, f), the share of repetitions whose 95 % intervals cover the planted rates; and for
each single kind of fault, the share of failures that are attributed to it. Prints Markdown.

    python benchmarks/validity.py [--repetitions 500] [--episodes 5]
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import product

from mgsd_bench.analysis.attribution import attribute
from mgsd_bench.analysis.diagnose import Cases
from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.backends import Request
from mgsd_bench.backends.scripted import Faults, ScriptedBackend
from mgsd_bench.runs.runner import Question, request_seed, score_response
from mgsd_bench.runs.sample import Sample
from mgsd_bench.suites.suite import Episode, episodes, get_suite, subsample

GRID = tuple(product((0.02, 0.1, 0.3), (0.05, 0.3), (0.05, 0.2)))
SINGLE = {"perception": Faults(perception=0.1), "planning": Faults(planning=0.3), "format": Faults(format=0.2)}


def ask(planted: Faults, asked: list[Episode], seed: int) -> list[Sample]:
    """The cases of one run of a faulty model."""
    questions = {question.key: question for question in (Question(episode, "visual", 0) for episode in asked)}
    requests = (
        Request(key, "", None, request_seed(seed, key), "visual", question.episode)
        for key, question in questions.items()
    )
    return [
        score_response(questions[response.key], "", response)
        for response in ScriptedBackend("faulty", planted).generate(requests)
    ]


def coverage(planted: Faults, asked: list[Episode], repetitions: int) -> dict[str, float]:
    """Share of repetitions in which the interval of each estimated rate covers the planted one."""
    truth = {"misread": planted.perception, "misplanned": planted.planning, "unreadable": planted.format}
    covered: Counter[str] = Counter()
    episodes = {episode.id: episode for episode in asked}
    for seed in range(repetitions):
        found = Cases.of(sample_frame(ask(planted, asked, seed), episodes), episodes).faults()
        for name, rate in truth.items():
            estimate = getattr(found, name)
            covered[name] += estimate.low <= rate <= estimate.high
    return {name: covered[name] / repetitions for name in truth}


def attributed(kind: str, asked: list[Episode], repetitions: int) -> tuple[int, int]:
    """How many failures of a model with one kind of fault are attributed to it, and how many there are."""
    counts: Counter[str] = Counter()
    for seed in range(repetitions):
        for sample, episode in zip(ask(SINGLE[kind], asked, seed), asked, strict=True):
            counts[attribute(episode, sample).value] += 1
    return counts[kind], counts.total() - counts["solved"]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--episodes", type=int, default=5, help="episodes a level, of 12 levels")
    args = parser.parse_args()
    asked = subsample(episodes(get_suite("mgsd-v1")), args.episodes)
    print(f"Coverage of 95 % intervals over {args.repetitions} repetitions of {len(asked)} episodes:\n")
    print("| p | q | f | misread | misplanned | unreadable |\n| ---: | ---: | ---: | ---: | ---: | ---: |")
    for p, q, f in GRID:
        shares = coverage(Faults(p, q, f), asked, args.repetitions)
        print(
            f"| {p} | {q} | {f} | " + " | ".join(f"{100 * share:.1f} %" for share in shares.values()) + " |", flush=True
        )
    print("\nFailures attributed to the one kind of fault that was planted:\n")
    print("| planted | failures | attributed to it |\n| --- | ---: | ---: |")
    for kind in SINGLE:
        right, failures = attributed(kind, asked, max(1, args.repetitions // 5))
        print(f"| {kind} | {failures} | {100 * right / failures:.2f} % |")


if __name__ == "__main__":
    main()
