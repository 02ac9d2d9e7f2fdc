"""The texts of a dataset: its card (``README.md``), what the hub knows of its benchmark (``eval.yaml``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import mgsd_envs
from mgsd_bench.suites.parquet import COLUMNS, Written, features

if TYPE_CHECKING:
    from mgsd_bench.suites.dataset import About

CARD, BENCHMARK = "README.md", "eval.yaml"

ALL = "all"
"""The configuration with all tasks, where there are several."""

FRAMEWORK = "mgsd-bench"
"""What the hub is to call what evaluates: none of its others can run the rules of our tasks."""

LEADERBOARDS = {
    "e2e": "visual end-to-end accuracy: the plan for the picture works, in %, macro average over tasks",
    "state_f1": "F1 of the facts that are stated of the picture, in %, macro average over tasks",
    "plan_on_gt": "accuracy from the true state as text, in %, macro average over tasks",
}
"""Each a leaderboard: its id, and what its value is."""

UNKNOWN = "unknown"
"""The licence of what others made: whoever publishes it has to name it."""

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def size_category(rows: int) -> str:
    """The hub's word for a number of rows."""
    return next((word for most, word in _SIZES if rows < most), "10M<n<100M")


def configurations(files: Sequence[Written]) -> dict[str, dict[str, list[Written]]]:
    """The files of each split of each configuration: one a task, and before them :data:`ALL` if there are several."""
    found: dict[str, dict[str, list[Written]]] = {}
    tasks = list(dict.fromkeys(each.task for each in files))
    for name in (ALL, *tasks) if len(tasks) > 1 else tasks:
        for each in files:
            if name in (ALL, each.task):
                found.setdefault(name, {}).setdefault(each.split, []).append(each)
    return found


def front_matter(about: About) -> dict[str, Any]:
    """What the hub reads of a card: configurations and their files, columns and sizes, licence and tags."""
    found = configurations(about.files)
    return {
        "pretty_name": f"MGSD-Bench: {about.suite}",
        "license": UNKNOWN if about.others else "mit",
        "language": ["en"],
        "task_categories": ["image-text-to-text"],
        "tags": ["mgsd-bench", "benchmark", "spatial-planning", "vision-language-models", "planning", "grid-worlds"],
        "size_categories": [size_category(sum(each.rows for each in about.files))],
        "configs": [
            {
                "config_name": name,
                **({"default": True} if name == next(iter(found)) else {}),
                "data_files": [{"split": split, "path": _pattern(name, split)} for split in splits],
            }
            for name, splits in found.items()
        ],
        "dataset_info": [_info(name, splits) for name, splits in found.items()],
    }


def _pattern(name: str, split: str) -> str:
    return f"{'*' if name == ALL else name}/{split}-*.parquet"


def _info(name: str, splits: dict[str, list[Written]]) -> dict[str, Any]:
    return {
        "config_name": name,
        "features": features(),
        "splits": [
            {
                "name": split,
                "num_bytes": sum(each.memory for each in files),
                "num_examples": sum(each.rows for each in files),
            }
            for split, files in splits.items()
        ],
        "download_size": sum(each.size for files in splits.values() for each in files),
        "dataset_size": sum(each.memory for files in splits.values() for each in files),
    }


def card(about: About) -> str:
    """The card: front matter, and a text for people."""
    front = yaml.safe_dump(front_matter(about), sort_keys=False, allow_unicode=True, width=100)
    found = configurations(about.files)
    splits = list(about.splits)
    tasks = [name for name in found if name != ALL]
    split = splits[0]
    counts = [
        f"| `{task}` | " + " | ".join(f"{sum(each.rows for each in found[task].get(of, ())):,}" for of in splits) + " |"
        for task in tasks
    ]
    told = [f"`{of}`: {each.episodes:,} episodes, digest `{each.digest}`" for of, each in about.splits.items()]
    lines = [
        f"# MGSD-Bench: {about.suite}",
        "",
        "Episodes of visual spatial planning: a picture of a small grid world, the question for a plan, the state as "
        "text, and all that is needed to score an answer. A plan counts if the task's simulator carries it out to the "
        "goal, so no list of right answers is needed, and any plan that works is right.",
        "",
        "```python",
        "import datasets",
        "",
        f'rows = datasets.load_dataset("THIS/DATASET", "{tasks[0]}", split="{split}")',
        'print(rows[0]["prompt"], rows[0]["image"], rows[0]["text"])',
        "```",
        "",
        "The picture comes after the prompt's text. An answer is scored with the episode it is an answer to:",
        "",
        "```python",
        "import json",
        "",
        "from mgsd_bench import parse_answer",
        "from mgsd_envs import episode_from_json, get_task, rollout",
        "",
        'episode = episode_from_json(json.loads(rows[0]["episode"]))',
        'plan = parse_answer("<answer>RRDD</answer>", episode.task).plan',
        "print(rollout(get_task(episode.task), episode.state, plan).outcome)",
        "```",
        "",
        "`mgsd-bench eval --suite FOLDER` asks a model about the test split of this dataset, downloaded into a folder.",
        "",
        "## What is in it",
        "",
        f"Made by mgsd-bench {about.version}; suite `{about.suite}`; prompt set `{about.prompts}`; conditions "
        f"{', '.join(f'`{each}`' for each in about.conditions)}.",
        "",
        *(f"- {line}" for line in told),
        "",
        f"| rows | {' | '.join(splits)} |",
        f"| --- |{' ---: |' * len(splits)}",
        *counts,
        "",
        "States of the splits `train`, `val` and `test` differ: a hash of the state decides its split.",
        "",
        "| column | type | meaning |",
        "| --- | --- | --- |",
        *(f"| `{each.name}` | {_TYPES.get(each.kind, each.kind)} | {each.about} |" for each in COLUMNS),
        "",
        "## Licence",
        "",
        *_licence(about),
    ]
    return f"---\n{front}---\n\n" + "\n".join(lines) + "\n"


_TYPES = {"strings": "list of string", "image": "image"}


def _licence(about: About) -> list[str]:
    if about.others:
        return ["The states are of test sets that others published. Name their licence here and in the front matter."]
    tiles = Path(mgsd_envs.__file__).with_name("tiles") / "LICENSE"
    text = tiles.read_text(encoding="utf-8").strip()
    return ["MIT. Some pictures are drawn with tiles of others, under this licence:", "", f"```text\n{text}\n```"]


def eval_yaml(about: About) -> str | None:
    """What makes a dataset a benchmark on the hub; None where there is nothing to test on."""
    name, splits = next(iter(configurations(about.files).items()))
    if "test" not in splits:
        return None
    benchmark = {
        "name": "MGSD-Bench",
        "description": "Visual spatial planning in grid worlds: what a model sees, what it plans, and what it would "
        f"plan if it saw right. {'; '.join(f'{key} is {value}' for key, value in LEADERBOARDS.items())}.",
        "evaluation_framework": FRAMEWORK,
        "tasks": [{"id": key, "config": name, "split": "test"} for key in LEADERBOARDS],
    }
    return yaml.safe_dump(benchmark, sort_keys=False, allow_unicode=True, width=100)
