"""The same states in another process: nothing may depend on the order of sets, which differs there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mgsd_envs.task import Task
    from mgsd_envs.testing.contract import Check

_DRAWS = 200
_PROGRAM = "from mgsd_envs.testing.elsewhere import main; main()"


def check_elsewhere(check: Check, drawn: Mapping[int, Sequence[Any]]) -> None:
    """Draw once more, and write key, JSON, text and plan, under another hash seed.

    A class that cannot be imported by its name and made without arguments is left out.
    """
    kind = type(check.task)
    if not _is_importable(kind):
        return
    asked = {"class": [kind.__module__, kind.__qualname__], "seed": check.seed, "levels": list(drawn)}
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(asked)],
        env={**os.environ, "PYTHONHASHSEED": other, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    check.that(done.returncode == 0, f"cannot be used in another process: {done.stderr.strip()[-300:]}")
    for level, lines in json.loads(done.stdout.splitlines()[-1]).items():
        with check.working(f"drawing states of level {level}"):
            for here, there in zip(_forms(check.task, int(level), check.seed), lines, strict=True):
                for name, value in here.items():
                    check.that(
                        value == there[name],
                        f"level {level}: {name} is another one in another process, {there[name]!r:.150} and not "
                        f"{value!r:.150}; does it depend on the order of a set?",
                    )


def _is_importable(kind: type) -> bool:
    try:
        found: Any = import_module(kind.__module__)
        for part in kind.__qualname__.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return False
    return found is kind and kind.__module__ != "__main__"


def _forms(task: Task[Any], level: int, seed: int) -> list[dict[str, str]]:
    """What is written of the first states that a seed draws."""
    rng = np.random.default_rng(seed)
    draws = (task.sample(level, rng) for _ in range(_DRAWS))
    return [
        {
            "the state that sample gives": task.key(state),
            "to_json": json.dumps(task.to_json(state)),
            "describe": task.describe(state),
            "solve": " ".join(task.solve(state) or ()),
        }
        for state in islice((state for state in draws if state is not None), 10)
    ]


def main() -> None:
    """What the other process does: the forms of each level as one line of JSON on stdout."""
    asked = json.loads(sys.argv[1])
    module, name = asked["class"]
    kind: Any = import_module(module)
    for part in name.split("."):
        kind = getattr(kind, part)
    forms = {level: _forms(kind(), level, asked["seed"]) for level in asked["levels"]}
    sys.stdout.write(json.dumps(forms) + "\n")
