"""Does the diagnosis find the faults that are there?

Scripted models misread each fact with probability p, spoil each plan with probability q and break each answer with
probability f. Four tables, printed as Markdown:

1. over a grid of (p, q, f), the share of repetitions whose 95 % intervals cover the planted rates;
2. for each single kind of fault, the share of failures that are attributed to it;
3. for each task and a grid of (p, q), ``if_planned_well`` beside the accuracy, and beside that of the same answers
   without the planted faults of planning;
4. for models that plan with another rate in worlds that they misread, more or less by the same chance, the bounds of
   the attribution beside what one repair alone would have solved.

    python benchmarks/validity.py [--repetitions 500] [--episodes 5] [--seeds 40]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

import numpy as np

from mgsd_bench.analysis.attribution import attribute
from mgsd_bench.analysis.diagnose import Cases
from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.overlap import ACCOUNTED, Bounds
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.backends import Response, generate, single_turn
from mgsd_bench.backends.scripted import Faults, ScriptedBackend
from mgsd_bench.prompts import Condition
from mgsd_bench.runs.conversation import Question, request_seed, score_response
from mgsd_bench.runs.sample import Sample
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import Episode, episodes, subsample
from mgsd_envs import Plan, Task, get_task, rollout
from mgsd_envs.faults import misread, spoil
from mgsd_envs.transfer import transfer

GRID = tuple(product((0.02, 0.1, 0.3), (0.05, 0.3), (0.05, 0.2)))
SINGLE = {"perception": Faults(perception=0.1), "planning": Faults(planning=0.3), "format": Faults(format=0.2)}
MISREAD = 0.1
BOUND_GRID = tuple(product((0.02, 0.1, 0.3), (0.0, 0.1, 0.3)))
RATES = ((0.1, 0.3), (0.3, 0.3), (0.4, 0.8))
"""Rates at which plans fail in worlds that were seen rightly, and in worlds that were misread."""
COUPLINGS: dict[str, Callable[[float, Random], float]] = {
    "comonotone": lambda chance, rng: chance,
    "independent": lambda chance, rng: rng.random(),
    "counter-monotone": lambda chance, rng: 1 - chance,
}
"""From the chance that decides about a plan in the true world, the one that decides in a misread world."""


def ask(planted: Faults, asked: list[Episode], seed: int) -> list[Sample]:
    """The cases of one run of a faulty model."""
    questions = {question.key: question for question in (Question(episode, "visual", 0) for episode in asked)}
    requests = (
        single_turn(key, "", None, request_seed(seed, key), "visual", question.episode)
        for key, question in questions.items()
    )
    return [
        score_response(questions[response.key], "", response)
        for response in generate(ScriptedBackend("faulty", planted), requests)
    ]


def coverage(planted: Faults, asked: list[Episode], repetitions: int) -> dict[str, float]:
    """Share of repetitions in which the interval of each estimated rate covers the planted one."""
    truth = {"misread": planted.perception, "misplanned": planted.planning, "unreadable": planted.format}
    covered: Counter[str] = Counter()
    for seed in range(repetitions):
        found = cases(ask(planted, asked, seed), asked).faults()
        for name, rate in truth.items():
            estimate = getattr(found, name)
            covered[name] += estimate.low <= rate <= estimate.high
    return {name: covered[name] / repetitions for name in truth}


def cases(samples: list[Sample], asked: list[Episode]) -> Cases:
    """Samples as a diagnosis takes them."""
    by_id = {episode.id: episode for episode in asked}
    return Cases.of(sample_frame(samples, by_id), by_id)


def attributed(kind: str, asked: list[Episode], repetitions: int) -> tuple[int, int]:
    """How many failures of a model with one kind of fault are attributed to it, and how many there are."""
    counts: Counter[str] = Counter()
    for seed in range(repetitions):
        for sample, episode in zip(ask(SINGLE[kind], asked, seed), asked, strict=True):
            counts[attribute(episode, sample).value] += 1
    return counts[kind], counts.total() - counts["solved"]


def draw_plan(task: Task[Any], world: Any, rng: Random) -> Plan:
    """A shortest plan drawn evenly from all of them; empty where there is none, or none is needed."""
    plans = task.shortest_plans(world)
    if plans is None:
        return ()
    ways: list[dict[Hashable, int]] = [{}]  # by length: how many plans go on from each node
    for layer in reversed(plans.layers):
        ways.insert(0, {node: sum(ways[0].get(target, 1) for _, target in moves) for node, moves in layer.items()})
    plan: list[str] = []
    here = plans.start
    for layer, after in zip(plans.layers, ways[1:], strict=True):
        ((action, here),) = rng.choices(layer[here], [after.get(target, 1) for _, target in layer[here]])
        plan.append(action)
    return tuple(plan)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with planted faults, and what became of it without them.

    Attributes:
        sample: the answer.
        sound: whether it would have been solved without a fault of planning.
        worth: the chance of that over all shortest plans; of no meaning where there is none.
        seeing: whether seeing right alone would have been enough.
        told: an answer to the state as text, in which chance falls out anew.
    """

    sample: Sample
    sound: bool
    worth: float
    seeing: bool
    told: Sample


def answer(episode: Episode, seed: int, p: float, rates: tuple[float, float], coupling: str) -> Answered:
    """An answer of a model whose plans fail with one rate in the true world and with another in a misread one."""
    rng, task = Random(request_seed(seed, episode.id)), get_task(episode.task)
    world = misread(task, episode.state, rng, p)
    chance = rng.random()
    fails_true, fails_misread = chance < rates[0], COUPLINGS[coupling](chance, rng) < rates[1]
    shortest = draw_plan(task, world, rng)
    sound = shortest or task.straight(episode.state)
    fails = shortest and (fails_true if world == episode.state else fails_misread)
    told = spoil(task, episode.state, episode.plan, rng) if rng.random() < rates[0] else episode.plan

    def scored(condition: Condition, plan: Plan) -> Sample:
        text = f"{task.describe(world)}\n<answer>{write_plan(plan)}</answer>"
        return score_response(Question(episode, condition, 0), "", Response("", text, "stop"))

    return Answered(
        scored("visual", spoil(task, world, sound, rng) if fails else sound),
        rollout(task, episode.state, sound).outcome == "solved",
        transfer(task, world, episode.state) if shortest else 0.0,
        not fails_true,
        scored("symbolic", told),
    )


def bound(p: float, q: float, asked: list[Episode], seeds: int) -> str:
    """How ``if_planned_well`` of one task compares with the accuracy, and with that without faults of planning."""
    rows = []
    for seed in range(seeds):
        answers = [answer(episode, seed, p, (q, q), "comonotone") for episode in asked]
        frame = sample_frame([each.sample for each in answers], {episode.id: episode for episode in asked})
        rows.append((frame["solved"].mean(), frame["if_planned_well"].mean(), np.mean([a.sound for a in answers])))
    accuracy, planned_well, truth = np.array(rows).T
    below = int((planned_well < accuracy - 1e-9).sum())
    error = planned_well - truth
    means = (f"{100 * values.mean():.1f} %" for values in (accuracy, planned_well, truth))
    spread = f"{100 * error.mean():+.2f} ± {100 * error.std(ddof=1) / seeds**0.5:.2f}"
    return f"| {asked[0].task} | {p} | {q} | " + " | ".join(means) + f" | {below} of {seeds} | {spread} |"


def overlap(rates: tuple[float, float], coupling: str, asked: list[Episode], seeds: int) -> list[str]:
    """A row each for perception, planning and both: what is attributed, what is true, and the bounds.

    The bounds are given twice: where the same episodes were told as text, and where they were not.
    """
    shares: dict[str, list[tuple[float, float, Bounds, Bounds]]] = {kind.value: [] for kind in ACCOUNTED}
    for seed in range(seeds):
        answers = [answer(episode, seed, MISREAD, rates, coupling) for episode in asked]
        seen, told = [each.sample for each in answers], [each.told for each in answers]
        figures, alone = cases(seen + told, asked).figures(), cases(seen, asked).figures()
        causes = [attribute(episode, sample) for episode, sample in zip(asked, seen, strict=True)]
        both = [each for cause, each in zip(causes, answers, strict=True) if cause == "both"]
        perception = sum(each.seeing * (1 - each.worth) for each in both)
        planning = sum((1 - each.seeing) * each.worth for each in both)
        moved = {"perception": perception, "planning": planning, "both": -perception - planning}
        for kind, rows in shares.items():
            attributed_to = figures["attribution"][kind]
            bounds = figures["attribution_bounds"][kind], alone["attribution_bounds"][kind]
            rows.append((attributed_to / len(asked), (attributed_to + moved[kind]) / len(asked), *bounds))
    lines = []
    for kind, rows in shares.items():
        attributed_to, true = (f"{100 * float(np.mean([row[i] for row in rows])):.1f}" for i in range(2))
        cells = [attributed_to, true]
        for i in (2, 3):
            pairs = [(row[1], row[i]) for row in rows]
            inside = sum(bounds.low - 1e-9 <= share <= bounds.high + 1e-9 for share, bounds in pairs)
            means = np.mean([(b.independent, b.low, b.high) for _, b in pairs], axis=0)
            independent, low, high = (f"{100 * value:.1f}" for value in means)
            cells += [independent, f"{low} to {high}", f"{inside} of {seeds}"]
        lines.append(f"| {rates[0]} | {rates[1]} | {coupling} | {kind} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--episodes", type=int, default=5, help="episodes a level, of 12 levels")
    parser.add_argument("--seeds", type=int, default=40, help="runs a row of the last two tables")
    args = parser.parse_args()
    asked = subsample(episodes(find_suite("mgsd-v1")), args.episodes)
    print(f"`if_planned_well` over {args.seeds} seeds of {args.episodes} episodes a level:\n")
    print(
        "| task | p | q | accuracy | if planned well | without faults of planning | below the accuracy | too high by |"
        "\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for task in dict.fromkeys(episode.task for episode in asked):
        for p, q in BOUND_GRID:
            print(bound(p, q, [episode for episode in asked if episode.task == task], args.seeds), flush=True)
    print(f"\nBounds of the attribution, % of all answers, over {args.seeds} seeds of {len(asked)} episodes:\n")
    print(
        "| a | g | faults | cause | attributed | true | if independent | bounds | true share inside "
        "| without text | bounds | true share inside |\n| ---: | ---: | --- | --- |" + " ---: |" * 8
    )
    for rates, coupling in product(RATES, COUPLINGS):
        print("\n".join(overlap(rates, coupling, asked, args.seeds)), flush=True)
    print(f"\nCoverage of 95 % intervals over {args.repetitions} repetitions of {len(asked)} episodes:\n")
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
