"""Our rules of MiniGrid's families against MiniGrid's own ``step``: random walks of 10,000 actions a family.

Every action is carried out in both; states, successes and failures have to be the same. Prints what happened how often.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mgsd_envs import get_task, task_names

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.minigrid import walk

STEPS = 10_000


def main() -> None:
    """Walk in every family, or in those named as arguments."""
    for name in sys.argv[1:] or [name for name in task_names() if name.startswith("minigrid-")]:
        seen = walk(get_task(name), STEPS)  # type: ignore[arg-type]
        print(
            name, sum(seen.values()), ", ".join(f"{what} {count}" for what, count in sorted(seen.items())), flush=True
        )


if __name__ == "__main__":
    main()
