"""Do intervals of a drop cover the truth, and is the right axis named? Planted misreading on one axis.

    python -m benchmarks.planted_looks --runs 400

Each run has new episodes of the tiny levels, asked of ``blind-to:AXIS,RATE`` in a second clean arm, on the axis and on
another one, severities 1, 3 and 5. The true drop is the mean over all runs, whose own standard error is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.look_arms import Arms
from mgsd_bench.analysis.robustness import Robustness, measure
from mgsd_bench.backends import BackendConfig, generate, single_turn
from mgsd_bench.backends.scripted import open_backend
from mgsd_bench.runs.conversation import Question, request_seed, score_response
from mgsd_bench.runs.sample import Sample
from mgsd_bench.statistics.intervals import proportion
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.looks import in_looks
from mgsd_bench.suites.suite import episodes
from mgsd_envs import Episode

OTHER = "noise"


def one_run(model: str, axis: str, number: int, count: int) -> Robustness:
    """The figures of one run, with episodes of its own."""
    suite = find_suite("tiny-p1-quick")
    parts = tuple(replace(part, count=count) for part in suite.parts)
    suite = replace(suite, stream=f"planted-{number}", looks=(), parts=parts)
    changes = ("copy-1", *(f"{name}-{severity}" for name in (axis, OTHER) for severity in (1, 3, 5)))
    asked = in_looks(episodes(suite), ("classic", *(f"classic+{change}" for change in changes)))
    by_id = {episode.id: episode for episode in asked}
    frame = sample_frame(_answers(model, asked, number), by_id)
    return measure(Arms.of(frame, "classic", facts=True))


def _answers(model: str, asked: list[Episode], seed: int) -> Iterator[Sample]:
    """Scored answers; no picture is drawn, as scripted models look at none."""
    questions = {question.key: question for question in (Question(episode, "visual", 0) for episode in asked)}
    requests = (
        single_turn(key, "", None, request_seed(seed, key), "visual", question.episode)
        for key, question in questions.items()
    )
    for response in generate(open_backend(BackendConfig(model)), requests):
        yield score_response(questions[response.key], "", response)


def main() -> None:
    """Ask, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--axis", default="blur")
    parser.add_argument("--rate", type=float, default=0.02, help="misread facts a step of severity")
    parser.add_argument("--count", type=int, default=10, help="episodes of each of the six levels")
    args = parser.parse_args()
    results = [
        one_run(f"blind-to:{args.axis},{args.rate}", args.axis, number, args.count) for number in range(args.runs)
    ]
    drops = [{axis.name: axis.drop for axis in result.axes} for result in results]
    values = np.array([of_run[args.axis].value for of_run in drops])
    truth, error = values.mean(), values.std(ddof=1) / len(values) ** 0.5
    covered = proportion(sum(of_run[args.axis].low <= truth <= of_run[args.axis].high for of_run in drops), args.runs)
    named = sum(result.worst == args.axis for result in results)
    surely = sum(axis.holm_p <= 0.05 for result in results for axis in result.axes if axis.name == args.axis)
    seen = sum(axis.effect is True for result in results for axis in result.axes if axis.name == args.axis)
    false = sum(bool(axis.effect) or axis.holm_p <= 0.05 for r in results for axis in r.axes if axis.name == OTHER)
    print(
        f"{args.runs} runs of {results[0].n} episodes, blind-to:{args.axis},{args.rate}: true drop {100 * truth:.1f} "
        f"points (s.e. {100 * error:.2f}); covered {100 * covered.value:.1f} % "
        f"({100 * covered.low:.1f}–{100 * covered.high:.1f}); worst axis right in {named}; drop significant in "
        f"{surely}, effect seen in {seen}; {OTHER} called changed in {false}; planning called moved in "
        f"{sum(axis.planning_moved for result in results for axis in result.axes)}"
    )


if __name__ == "__main__":
    main()
