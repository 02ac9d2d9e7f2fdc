"""Does the diagnosis of a model that acts find the faults that are there?

Scripted models act with planted faults, in closed loop with a picture each turn. Four tables, printed as Markdown:

1. over rates q of steps that lead no nearer, the share of repetitions whose 95 % intervals of the useful steps cover;
2. over a grid of (p, q, f), of models that state what they see, misread each fact with probability p, take a step that
   leads no nearer in what they see with probability q, and break each answer with probability f, the share of
   repetitions whose intervals cover: facts misread, steps wrong in turns in which just the true state was stated, and
   turns that cannot be read;
3. for each single kind of fault, the share of faulty steps that are put down to it;
4. how an explorer fares that remembers its last k pictures alone, beside one that forgets nothing.

    python benchmarks/validity_acting.py [--repetitions 200] [--episodes 5]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.groups import group_rows
from mgsd_bench.analysis.metrics import ACTING
from mgsd_bench.backends import BackendConfig, hold, open_backend
from mgsd_bench.prompts import Condition, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, closed_loop, step_limits
from mgsd_bench.runs.conversation import Question
from mgsd_bench.runs.loop_scoring import replay
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TurnRecord
from mgsd_bench.statistics.intervals import Estimate, complement, f1
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import Episode, episodes, subsample
from mgsd_envs import get_task
from mgsd_envs.views import View

STEP_RATES = (0.05, 0.15, 0.3, 0.5)
GRID = tuple(product((0.02, 0.1), (0.1, 0.3), (0.05, 0.2)))
SINGLE = {"seeing": "noisy-perception:0.1", "planning": "noisy-planning:0.3"}
REMEMBERED = (1, 2, 4, 8, 16)
VIEWS = ("window:1", "window:2")
SIDE = 64
"""Pixels a side of pictures that nobody looks at."""

Counts = dict[tuple[str, int], list[tuple[int, int, int]]]
"""By task and level, of each episode what was counted, 0, and the rest: a share is the recall of such facts."""


def act(
    model: str, asked: Sequence[Episode], seed: int, condition: Condition, view: str = "full", *, say: bool = False
) -> tuple[list[Sample], dict[str, list[TurnRecord]]]:
    """The samples of a model, and its turns by episode."""
    settings = LoopSettings(view=View.parse(view), say_state=say)
    loop = Loop(settings, step_limits(asked, settings.view))
    prompts = load_prompts("compact", asked, [condition], say_state=say)
    turns: dict[str, list[TurnRecord]] = {episode.id: [] for episode in asked}
    held = (
        closed_loop(Question(episode, condition, 0), prompts, seed, loop, (), turns[episode.id].append, SIDE)
        for episode in asked
    )
    with open_backend("scripted", BackendConfig(model)) as backend:
        return list(hold(backend, held)), turns


def figure(samples: Sequence[Sample], name: str) -> Estimate:
    """A figure of a run as it is reported, the macro average over the tasks."""
    return group_rows(sample_frame(samples), ACTING[name]).estimate()


def covers(estimate: Estimate, rate: float) -> bool:
    """Whether the interval holds a rate."""
    return estimate.low <= rate <= estimate.high


def steps_found(rate: float, asked: Sequence[Episode], repetitions: int) -> str:
    """A row of the first table."""
    found = []
    for seed in range(repetitions):
        samples, _ = act(f"noisy-step:{rate}", asked, seed, "act-symbolic")
        found.append(complement(figure(samples, "useful")))
    covered = np.mean([covers(estimate, rate) for estimate in found])
    mean = np.mean([estimate.value for estimate in found])
    return f"| {rate} | {mean:.4f} | {100 * covered:.1f} % |"


def counted(asked: Sequence[Episode], turns: dict[str, list[TurnRecord]]) -> tuple[Counts, Counts]:
    """Facts misread of those that could be, and wrong steps of those taken where the state was seen right."""
    misread: Counts = {}
    wrong: Counts = {}
    for episode in asked:
        task: Any = get_task(episode.task)
        cursor = task.start(episode.state)
        facts_wrong = facts_all = steps_wrong = steps_all = 0
        for turn, steps in zip(turns[episode.id], replay(task, episode.state, turns[episode.id]), strict=True):
            true = task.facts(task.state_at(episode.state, cursor))
            stated = {tuple(fact) for fact in turn.facts}
            to_see = {fact for fact in true if fact[0] != "size"}
            facts_wrong += len(to_see - stated)
            facts_all += len(to_see)
            if stated == true:
                steps_all += len(steps)
                steps_wrong += sum(step.kind != "u" for step in steps)
            cursor = steps[-1].after if steps else cursor
        place = episode.task, episode.level
        misread.setdefault(place, []).append((facts_wrong, 0, facts_all - facts_wrong))
        wrong.setdefault(place, []).append((steps_wrong, 0, steps_all - steps_wrong))
    return misread, wrong


def share(counts: Counts) -> Estimate:
    """A share of counts over all episodes of a task together, the macro average over the tasks."""
    tasks: dict[str, list[Any]] = {}
    for (task, _), rows in counts.items():
        tasks.setdefault(task, []).append(np.array(rows, float))
    return f1(list(tasks.values()), "recall")


def faults_found(p: float, q: float, f: float, asked: Sequence[Episode], repetitions: int) -> str:
    """A row of the second table."""
    planted = {"misread": p, "wrong": q, "unreadable": f}
    found: dict[str, list[Estimate]] = {name: [] for name in planted}
    for seed in range(repetitions):
        samples, turns = act(f"faulty:{p},{q},{f}", asked, seed, "act", say=True)
        misread, wrong = counted(asked, turns)
        for name, estimate in zip(planted, (share(misread), share(wrong), figure(samples, "unreadable")), strict=True):
            found[name].append(estimate)
    cells = [
        f"{np.mean([each.value for each in found[name]]):.4f} | "
        f"{100 * np.mean([covers(each, rate) for each in found[name]]):.1f} %"
        for name, rate in planted.items()
    ]
    return f"| {p} | {q} | {f} | " + " | ".join(cells) + " |"


def attributed(kind: str, asked: Sequence[Episode], repetitions: int) -> str:
    """A row of the third table."""
    causes: Counter[str] = Counter()
    for seed in range(repetitions):
        for sample in act(SINGLE[kind], asked, seed, "act", say=True)[0]:
            causes.update(sample.loop.causes or "" if sample.loop else "")
    return f"| {kind} | {causes.total()} | {100 * causes[kind[0]] / causes.total():.2f} % |"


def forgetting(view: str, model: str, asked: Sequence[Episode]) -> str:
    """A row of the fourth table."""
    samples, _ = act(model, asked, 0, "act-symbolic", view)
    solved = np.mean([sample.outcome == "solved" for sample in samples])
    ratio, loops = figure(samples, "explorer"), figure(samples, "loop")
    cells = (100 * value for value in (solved, ratio.value, loops.value))
    return f"| {view} | {model} | " + " | ".join(f"{value:.1f} %" for value in cells) + " |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--episodes", type=int, default=5, help="episodes a level, of 12 levels")
    args = parser.parse_args()
    asked = subsample(episodes(find_suite("mgsd-v1")), args.episodes)
    print(f"Coverage of 95 % intervals over {args.repetitions} repetitions of {len(asked)} episodes:\n")
    print("| q | not useful, mean | covered |\n| ---: | ---: | ---: |")
    for rate in STEP_RATES:
        print(steps_found(rate, asked, args.repetitions), flush=True)
    print("\n| p | q | f | misread, mean | covered | wrong, mean | covered | unreadable, mean | covered |")
    print("| ---: |" + " ---: |" * 8)
    for p, q, f in GRID:
        print(faults_found(p, q, f, asked, args.repetitions), flush=True)
    print("\n| planted | faulty steps | put down to it |\n| --- | ---: | ---: |")
    for kind in SINGLE:
        print(attributed(kind, asked, max(1, args.repetitions // 20)), flush=True)
    print("\n| view | model | solved | explorer ratio | episodes with a loop |\n| --- | --- | ---: | ---: | ---: |")
    for view, model in product(VIEWS, [*(f"forgetful:{k}" for k in REMEMBERED), "explorer"]):
        print(forgetting(view, model, asked), flush=True)


if __name__ == "__main__":
    main()
