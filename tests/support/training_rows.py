"""Made recipes of one stage and their rows, and states as others publish them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mgsd_baselines.data.dataset import stage_rows
from mgsd_baselines.data.examples import Example
from mgsd_baselines.recipe import DataSpec, Distill, Recipe, Stage, Teacher, Validation
from mgsd_envs import Episode, get_task

LEVELS = {"frozenlake": (3, 4), "maze": (3,), "minibehaviour": (5,)}
SPEC = DataSpec("test-v1", LEVELS, 20)
SFT = {"questions": 0.5, "visual": 0.2, "symbolic": 0.2, "unrelated": 0.1}


def make(
    rows: dict[str, float] | None = None,
    *,
    method: Any = "sft",
    spec: DataSpec = SPEC,
    seed: int = 0,
    teacher: Teacher | None = None,
) -> Recipe:
    distill = Distill(teacher=teacher or Teacher()) if method == "distill" else None
    stage = Stage(
        name="only",
        method=method,
        data=spec,
        validation=Validation(),
        rows=rows or (SFT if method == "sft" else {"distill": 1.0}),
        tuning=None,
        batch=8,
        micro_batch=4,
        trainer={},
        distill=distill,
    )
    return Recipe(
        name="made",
        about="one",
        base="tiny",
        start=None,
        prompts="default",
        seed=seed,
        precision="fp32",
        attention="eager",
        data=spec,
        validation=Validation(),
        stages=(stage,),
    )


def rows_of(recipe: Recipe) -> list[Example]:
    return stage_rows(recipe.stages[0], recipe)


def key(episode: Episode) -> str:
    return get_task(episode.task).key(episode.state)


def write_records(file: Path, states: list[Any]) -> Path:
    """FrozenLake states as VisualPlanning writes them."""
    with file.open("w") as stream:
        for state in states:
            marks = {state.player: "S", state.goal: "G"} | dict.fromkeys(state.holes, "H")
            layout = [[marks.get((r, c), "F") for c in range(state.size)] for r in range(state.size)]
            ends = [r * state.size + c for r, c in (state.player, state.goal)]
            meta = {"level": state.size, "layout": layout, "start_pos": ends[0], "target_pos": ends[1]}
            cell, path = state.player, [ends[0]]
            for action in get_task("frozenlake").solve(state):
                cell = get_task("frozenlake").step(state, cell, action)
                path.append(cell[0] * state.size + cell[1])
            stream.write(json.dumps({"meta": meta, "input_state": path}) + "\n")
    return file
