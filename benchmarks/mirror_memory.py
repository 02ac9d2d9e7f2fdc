"""How much of a tiny model's score is memory of mirror images of the test?

The method of the tiny family from random weights, on lakes of 3x3 alone and with pictures of 96 pixels a side as the
model sees them, so that one training takes minutes on one core. First the stage that teaches to plan from text
(pretrain), for all seeds; then those that teach to see and join the two (cold-start, self-distill). All is done twice a
seed, on the train split by state and on that by orbit, and each model is asked about

- ``mgsd-v1`` and ``mgsd-v2``, FrozenLake 3, the tests that belong to the two splits;
- ``unseen``: states of the test split under both splits, spread evenly over plan lengths. No model was trained on any;
  one split by state was trained on their mirror images. The difference between the two on these is the memory.

Prints Markdown whenever both models of a seed are done. What is there already in ``--out`` is not done again.

    OMP_NUM_THREADS=1 python benchmarks/mirror_memory.py [--out runs/mirror-memory] [--seeds 0,1,2]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from mgsd_baselines.data.dataset import recipe_episodes
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.config.settings import make_settings
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.statistics.intervals import Estimate, paired_difference, pooled, proportion
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.leakage import leaks
from mgsd_bench.suites.suite import Part, Suite, episodes, select, subsample
from mgsd_envs import Episode, get_task, make_episode, orbit_key
from mgsd_envs.splits import SPLIT_BY, SplitBy, split_of

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Recipe
    from mgsd_bench.prompts import Condition

TASK, LEVEL, UNSEEN, PIXELS = "frozenlake", 3, 240, 96
TESTS = ("mgsd-v1", "mgsd-v2", "unseen")

_SFT = {"learning_rate": 1e-3, "adam_beta2": 0.98, "lr_scheduler_type": "cosine", "warmup_steps": 30}
COMMON = {
    "about": "the tiny method on lakes of 3x3 alone",
    "prompts": "compact",
    "precision": "bf16",
    "attention": "eager",
    "data": {"stream": "mirror-memory-v1", "levels": {TASK: [LEVEL]}, "count": 6000},
    "validation": {"every": 1000, "count": 0},
}
TEXT = {
    "pretrain": {
        "method": "sft",
        "rows": {"symbolic": 0.7, "teacher": 0.3},
        "tuning": "full",
        "batch": 32,
        "micro_batch": 32,
        "trainer": {"max_steps": 400, **_SFT},
    },
}
SIGHT = {
    "cold-start": {
        "method": "sft",
        "rows": {"perceive": 0.8, "symbolic": 0.1, "teacher": 0.1},
        "tuning": "full",
        "batch": 16,
        "micro_batch": 16,
        "trainer": {"max_steps": 900, **_SFT},
    },
    "self-distill": {
        "method": "distill",
        "tuning": "full",
        "batch": 32,
        "micro_batch": 32,
        "max_completion": 64,
        "trainer": {"max_steps": 60, **_SFT, "learning_rate": 4e-4, "warmup_steps": 5},
    },
}


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training and what its last stage is asked.

    Attributes:
        name: also of its folder.
        last: its last stage.
        conditions: what is asked, with the name of the share that is solved.
    """

    name: str
    last: str
    conditions: Mapping[Condition, str]


PHASES = (
    Phase("text", "pretrain", {"symbolic": "Plan-on-GT"}),
    Phase("sight", "self-distill", {"visual": "E2E", "symbolic": "Plan-on-GT"}),
)


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model: how its training was split, its seed and where it is kept."""

    split_by: SplitBy
    seed: int
    folder: Path


Tests = Mapping[str, Sequence[Episode]]


def tests() -> Tests:
    """The test episodes by name."""
    of_suites = {name: episodes(select(find_suite(name), [TASK], [LEVEL])) for name in TESTS[:2]}
    task = get_task(TASK)
    both = [
        state
        for state in task.states(LEVEL) or ()
        if split_of(task.key(state)) == split_of(orbit_key(task, state)) == "test"
    ]
    unseen = [make_episode(task, LEVEL, f"{TASK}/{LEVEL}/{i:04d}", state) for i, state in enumerate(both)]
    return {**of_suites, "unseen": subsample(unseen, UNSEEN)}


def recipe_of(model: Model, phase: Phase) -> Recipe:
    """The recipe of a phase; the second starts from what the first made, which is its teacher too."""
    from mgsd_baselines.recipe_file import load_recipe

    planner = str(model.folder / "text" / "pretrain")
    plain: dict[str, Any] = {**COMMON, "base": str(model.folder / "base"), "stages": TEXT}
    if phase.name == "sight":
        teacher = {"model": planner, "context": "state+plan"}
        distill = {**SIGHT["self-distill"], "teacher": teacher}
        plain |= {"start": planner, "stages": {**SIGHT, "self-distill": distill}}
    file = model.folder / f"{phase.name}.yaml"
    file.write_text(yaml.safe_dump(plain, sort_keys=False))
    return load_recipe(str(file), [f"seed={model.seed}", f"data.split_by={model.split_by}"])


def train(model: Model, phase: Phase) -> None:
    """Train a model, or go on with it."""
    from mgsd_baselines.tiny.build import build_tiny
    from mgsd_baselines.tiny.vocabulary import phrases
    from mgsd_baselines.training.train import train as run

    patch_torchvision()
    base = model.folder / "base"
    if not (base / "preprocessor_config.json").is_file():
        build_tiny(
            base,
            seed=model.seed,
            hidden=192,
            layers=6,
            vision_hidden=128,
            phrases=phrases("compact", ("frozenlake", "maze", "minibehaviour")),
            initializer_range=0.02,
        )
        file = base / "preprocessor_config.json"
        edges = dict.fromkeys(("shortest_edge", "longest_edge"), PIXELS**2)
        file.write_text(json.dumps(json.loads(file.read_text()) | {"size": edges}))
    run(recipe_of(model, phase), model.folder / phase.name, resume=True, report=lambda line: None)


def ask(model: Model, phase: Phase, name: str, asked: Sequence[Episode]) -> Run:
    """The run of a model over a test."""
    out = model.folder / f"{phase.name}-{name}"
    settings = make_settings(
        EvaluationSettings,
        model=str(model.folder / phase.name / phase.last),
        backend="hf",
        conditions=tuple(phase.conditions),
        prompts="compact",
        max_tokens=64,
        min_pixels=PIXELS**2,
        max_pixels=PIXELS**2,
        out=out,
    )
    suite = Suite(name, "", (Part(TASK, LEVEL, len(asked)),), given=tuple(asked))
    evaluate(replace(Evaluation.from_settings(settings), suite=suite), Console(quiet=True))
    return load_run(out)


def solved(run: Run, condition: str) -> list[float]:
    """Whether each episode was solved, 0 or 1, in their order."""
    table = run.to_pandas()
    return [float(one) for one in table[table.condition == condition].sort_values("episode").solved]


def shown(of: Estimate, sign: str = "") -> str:
    """An estimate in percent with its spread over seeds and its interval."""
    spread = "" if of.spread is None else f" ± {100 * of.spread:.1f}"
    return f"{100 * of.value:{sign}.1f}{spread} ({100 * of.low:{sign}.0f} to {100 * of.high:{sign}.0f})"


def share(runs: Sequence[Run], condition: str) -> Estimate:
    """Share of the episodes that were solved, over seeds."""
    answers = [solved(run, condition) for run in runs]
    return pooled([proportion(int(sum(right)), len(right)) for right in answers])


def memory(by_state: Sequence[Run], by_orbit: Sequence[Run], condition: str) -> Estimate:
    """How much more the models split by state solve of the same episodes, over seeds."""
    pairs = zip(by_orbit, by_state, strict=True)
    return pooled([paired_difference([[solved(a, condition)]], [[solved(b, condition)]]) for a, b in pairs], -1.0)


def print_tables(
    phase: Phase, models: Sequence[Model], runs: Mapping[tuple[SplitBy, str], Sequence[Run]], asked: Tests
) -> None:
    """What each kind of model solves of each test, and the paired difference on unseen states."""
    print(f"\n{phase.name}, after {phase.last}, seeds {', '.join(str(m.seed) for m in models[::2])}\n")
    figures = phase.conditions.values()
    print(f"| trained by | states | test | exact | up to symmetry | {' | '.join(figures)} |")
    print("| --- | ---: | --- | ---: | ---: |" + " ---: |" * len(figures))
    for model in models[:2]:
        trained = recipe_episodes(recipe_of(model, phase))
        for name in TESTS:
            (leak,) = leaks(asked[name], trained)
            leaked = [f"{100 * n / leak.episodes:.0f} %" for n in (leak.exact, leak.symmetric)]
            solves = [shown(share(runs[model.split_by, name], condition)) for condition in phase.conditions]
            columns = (model.split_by, f"{len(trained):,}", f"{name}, {leak.episodes}", *leaked, *solves)
            print(f"| {' | '.join(columns)} |")
    for condition, figure in phase.conditions.items():
        difference = memory(runs["state", "unseen"], runs["orbit", "unseen"], condition)
        print(f"\n{figure} on unseen, by state minus by orbit, paired: {shown(difference, '+')}", flush=True)


def main() -> None:
    """Train, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("runs/mirror-memory"))
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    asked = tests()
    for phase in PHASES:
        models: list[Model] = []
        runs: dict[tuple[SplitBy, str], list[Run]] = {}
        for seed in map(int, args.seeds.split(",")):
            for split_by in SPLIT_BY:
                model = Model(split_by, seed, args.out.resolve() / f"{split_by}-{seed}")
                train(model, phase)
                models.append(model)
                for name in TESTS:
                    runs.setdefault((split_by, name), []).append(ask(model, phase, name, asked[name]))
            print_tables(phase, models, runs, asked)


if __name__ == "__main__":
    main()
