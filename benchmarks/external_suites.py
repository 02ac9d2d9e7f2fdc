"""A run over a set of the paper's size in the formats of others: how long reading, asking and scoring take.

The records are made here, as nobody's data come with the project: 600 FrozenLake maps with pictures, 1,000 mazes and
403 rooms, 2,003 in all. Target: 60 seconds for a run with a scripted model.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mgsd_bench.suites.external import outline
from mgsd_envs import Episode, Mix, generate, get_task, trace
from mgsd_envs.grid import LETTERS

SIDES = {"north": "U", "south": "D", "west": "L", "east": "R"}
KEYS = {action: letter for letter, action in LETTERS.items()}
TOKENS = list(range(1000, 5000))  # image tokens of another model, which every record carries


def write_sets(root: Path) -> None:
    """Write every record of the suite ``paper`` under ``root``."""
    made = {(part.task, part.level): list(_episodes(part.task, part.level, part.count)) for part in _parts()}
    for (task, level), episodes in made.items():
        if task == "frozenlake":
            _write_lakes(root / f"FrozenLake/VSP/maps/level{level}", episodes)
    for task, meta in (("maze", _maze), ("minibehaviour", _room)):
        file = root / f"dataset/{task}/tokenized_dataset/SFT/test_dataset.jsonl"
        file.parent.mkdir(parents=True)
        every = [episode for (name, _), of_level in made.items() if name == task for episode in of_level]
        file.write_text("".join(json.dumps({"input_tokens": TOKENS, **meta(episode)}) + "\n" for episode in every))


def _parts() -> Iterable[Any]:
    return outline("paper").parts


def _episodes(task: str, level: int, count: int) -> Iterator[Episode]:
    return generate(get_task(task), level, count, split="test", stream="benchmark", mix=Mix(straight=1.0))


def _write_lakes(folder: Path, episodes: list[Episode]) -> None:
    for name in ("img", "table"):
        (folder / name).mkdir(parents=True)
    plans = {}
    for i, episode in enumerate(episodes):
        n, state = episode.level, episode.state
        marks = dict.fromkeys(state.holes, "#") | {state.player: "@", state.goal: "*"}
        rows = [" | ".join(marks.get((r, c), "_") for c in range(n)) for r in range(n)]
        table = ["| | " + " | ".join(f"Col {c + 1}" for c in range(n)) + " |"]
        table += [f"| Row {r + 1} | {row} |" for r, row in enumerate(rows)]
        (folder / "table" / f"{i}.txt").write_text("\n".join(table) + "\n")
        (folder / "img" / f"{i}.png").write_bytes(episode.draw(64 * n).png())
        plans[f"{i}.png"] = "".join(KEYS[action] for action in episode.plan)
    (folder / "metadata.json").write_text(json.dumps(plans))


def _cells(episode: Episode) -> list[tuple[int, ...]]:
    cursors, _ = trace(get_task(episode.task), episode.state, episode.plan)
    return cursors


def _maze(episode: Episode) -> dict[str, Any]:
    n, fields = episode.level, get_task("maze").to_json(episode.state)
    layout = [[{side: key not in cell for side, key in SIDES.items()} for cell in row] for row in fields["open"]]
    places = [row * n + column for row, column in _cells(episode)]
    meta = {"level": n, "layout": layout, "start_pos": places[0], "target_pos": places[-1]}
    return {"meta": meta, "input_state": places}


def _room(episode: Episode) -> dict[str, Any]:
    state = episode.state
    steps = [[[row, column], phase == 1] for row, column, phase in _cells(episode)]
    meta = {
        "level": episode.level,
        "start_pos": state.agent,
        "printer_pos": state.printer,
        "table_pos": sorted(state.table),
    }
    return {"meta": meta, "input_state": steps}


def _timed(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "mgsd_bench", *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Write the records and time the commands that read them."""
    with tempfile.TemporaryDirectory() as name:
        root, runs = Path(name) / "sets", Path(name) / "runs"
        write_sets(root)
        read = ("--suite", "paper", "--data-root", str(root), "--strict")
        ask = ("--backend", "scripted", "--model", "faulty:0.05,0.1,0.02", *read)
        print(f"suites verify              {_timed('suites', 'verify', str(root)):6.1f} s")
        print(f"eval, classic              {_timed('eval', *ask, '--out', str(runs / 'a')):6.1f} s")
        print(
            f"eval, original             {_timed('eval', *ask, '--image', 'original', '--out', str(runs / 'b')):6.1f} s"
        )
        print(f"diagnose, three conditions {_timed('diagnose', *ask, '--out', str(runs / 'c')):6.1f} s")
        questions = sum(1 for _ in (runs / "a" / "samples.jsonl").open())
        print(f"{questions} episodes")


if __name__ == "__main__":
    main()
