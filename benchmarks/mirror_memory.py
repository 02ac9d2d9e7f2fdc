"""How much of a tiny model's score is memory of mirror images of the test?

The whole method of the tiny family (pretrain, cold-start, self-distill) from random weights, on lakes of 3x3 alone and
with pictures of 96 pixels a side as the model sees them, so that one training takes minutes on one core. It is trained
twice a seed, on the train split by state and on that by orbit, and each model is asked about

- ``mgsd-v1`` and ``mgsd-v2``, FrozenLake 3, the tests that belong to the two splits;
- ``unseen``: states of the test split under both splits, spread evenly over plan lengths. No model was trained on any;
  one split by state was trained on their mirror images. The difference between the two on these is the memory.

Prints Markdown as soon as a seed is done. What is there already in ``--out`` is not done again.

    OMP_NUM_THREADS=1 python benchmarks/mirror_memory.py --out runs/mirror-memory [--seeds 0,1,2]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from rich.console import Console

from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.config.settings import make_settings
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.statistics.intervals import Estimate, paired_difference, pooled, proportion
from mgsd_bench.suites.leakage import leaks
from mgsd_bench.suites.suite import Part, Suite, episodes, get_suite, select, subsample
from mgsd_envs import Episode, get_task, make_episode, orbit_key
from mgsd_envs.splits import SPLIT_BY, SplitBy, split_of

TASK, LEVEL, UNSEEN, PIXELS = "frozenlake", 3, 240, 96
CONDITIONS = {"visual": "E2E", "symbolic": "Plan-on-GT"}
TESTS = ("mgsd-v1", "mgsd-v2", "unseen")

_SFT = {"learning_rate": 1e-3, "adam_beta2": 0.98, "lr_scheduler_type": "cosine", "warmup_steps": 30}
RECIPE = {
    "about": "the tiny method on lakes of 3x3 alone",
    "prompts": "compact",
    "precision": "bf16",
    "attention": "eager",
    "data": {"stream": "mirror-memory-v1", "levels": {TASK: [LEVEL]}, "count": 6000},
    "validation": {"every": 1000, "count": 0},
    "stages": {
        "pretrain": {
            "method": "sft",
            "rows": {"symbolic": 0.7, "teacher": 0.3},
            "tuning": "full",
            "batch": 32,
            "micro_batch": 32,
            "trainer": {"max_steps": 400, **_SFT},
        },
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
            "teacher": {"model": "pretrain", "context": "state+plan"},
            "trainer": {"max_steps": 60, **_SFT, "learning_rate": 4e-4, "warmup_steps": 5},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model: how its training was split, its seed and where it is kept."""

    split_by: SplitBy
    seed: int
    folder: Path


def tests() -> dict[str, list[Episode]]:
    """The test episodes by name."""
    of_suites = {name: episodes(select(get_suite(name), [TASK], [LEVEL])) for name in TESTS[:2]}
    task = get_task(TASK)
    both = [
        state
        for state in task.states(LEVEL) or ()
        if split_of(task.key(state)) == split_of(orbit_key(task, state)) == "test"
    ]
    unseen = [make_episode(task, LEVEL, f"{TASK}/{LEVEL}/{i:04d}", state) for i, state in enumerate(both)]
    return {**of_suites, "unseen": subsample(unseen, UNSEEN)}


def train(model: Model) -> None:
    """Train a model, or go on with it."""
    from mgsd_baselines.recipe_file import load_recipe
    from mgsd_baselines.tiny.build import build_tiny
    from mgsd_baselines.tiny.vocabulary import phrases
    from mgsd_baselines.training.train import train as run

    patch_torchvision()
    base = model.folder / "base"
    if not (base / "preprocessor_config.json").is_file():
        size = {"hidden": 192, "layers": 6, "vision_hidden": 128}
        build_tiny(base, seed=model.seed, phrases=phrases("compact"), initializer_range=0.02, **size)
        file = base / "preprocessor_config.json"
        edges = dict.fromkeys(("shortest_edge", "longest_edge"), PIXELS**2)
        file.write_text(json.dumps(json.loads(file.read_text()) | {"size": edges}))
    recipe = model.folder / "mirror-memory.yaml"
    recipe.write_text(yaml.safe_dump({**RECIPE, "base": str(base)}, sort_keys=False))
    chosen = load_recipe(str(recipe), [f"seed={model.seed}", f"data.split_by={model.split_by}"])
    run(chosen, model.folder / "train", resume=True, report=lambda line: None)


def ask(model: Model, name: str, asked: Sequence[Episode]) -> Run:
    """The run of a model over a test."""
    settings = make_settings(
        EvaluationSettings,
        model=str(model.folder / "train" / "self-distill"),
        backend="hf",
        conditions=tuple(CONDITIONS),
        prompts="compact",
        max_tokens=64,
        min_pixels=PIXELS**2,
        max_pixels=PIXELS**2,
        out=model.folder / name,
    )
    suite = Suite(name, "", (Part(TASK, LEVEL, len(asked)),), given=tuple(asked))
    evaluate(replace(Evaluation.from_settings(settings), suite=suite), Console(quiet=True))
    return load_run(model.folder / name)


def solved(run: Run, condition: str) -> list[float]:
    """Whether each episode was solved, 0 or 1, in their order."""
    table = run.to_pandas()
    return [float(one) for one in table[table.condition == condition].sort_values("episode").solved]


def share(runs: Sequence[Run], condition: str) -> Estimate:
    """Share of the episodes that were solved, over seeds."""
    return pooled([proportion(int(sum(found)), len(found)) for run in runs if (found := solved(run, condition))])


def shown(of: Estimate, sign: str = "") -> str:
    """An estimate in percent with its spread over seeds and its interval."""
    spread = "" if of.spread is None else f" ± {100 * of.spread:.1f}"
    return f"{100 * of.value:{sign}.1f}{spread} ({100 * of.low:{sign}.0f} to {100 * of.high:{sign}.0f})"


def print_tables(models: Sequence[Model], runs: dict[tuple[SplitBy, int, str], Run]) -> None:
    """What each kind of model solves of each test, and the paired difference on unseen states."""
    from mgsd_baselines.data.dataset import recipe_episodes
    from mgsd_baselines.recipe_file import load_recipe

    seeds = sorted({model.seed for model in models})
    asked = tests()
    print(f"\nSeeds {', '.join(map(str, seeds))}\n")
    print("| trained by | states | test | exact | up to symmetry | E2E | Plan-on-GT |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for split_by in SPLIT_BY:
        recipe = str(models[0].folder / "mirror-memory.yaml")
        trained = recipe_episodes(load_recipe(recipe, [f"data.split_by={split_by}"]))
        for name in TESTS:
            (leak,) = leaks(asked[name], trained)
            leaked = (f"{100 * n / leak.episodes:.0f} %" for n in (leak.exact, leak.symmetric))
            of_test = [runs[split_by, seed, name] for seed in seeds]
            figures = (shown(share(of_test, condition)) for condition in CONDITIONS)
            print(f"| {split_by} | {len(trained):,} | {name}, {leak.episodes} | {' | '.join((*leaked, *figures))} |")
    print("\nOn unseen, trained by state minus trained by orbit, paired:\n")
    for condition, figure in CONDITIONS.items():
        differences = [
            paired_difference(
                *([[solved(runs[split_by, seed, "unseen"], condition)]] for split_by in ("orbit", "state"))
            )
            for seed in seeds
        ]
        print(f"- {figure}: {shown(pooled(differences, -1.0), '+')}", flush=True)


def main() -> None:
    """Train, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("runs/mirror-memory"))
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    asked = tests()
    models: list[Model] = []
    runs: dict[tuple[SplitBy, int, str], Run] = {}
    for seed in map(int, args.seeds.split(",")):
        for split_by in SPLIT_BY:
            model = Model(split_by, seed, args.out.resolve() / f"{split_by}-{seed}")
            train(model)
            models.append(model)
            for name in TESTS:
                runs[split_by, seed, name] = ask(model, name, asked[name])
        print_tables(models, runs)


if __name__ == "__main__":
    main()
