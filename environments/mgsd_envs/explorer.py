"""The explorer, who takes what is unseen for free."""

from __future__ import annotations

from typing import Any

from mgsd_envs.task import Task
from mgsd_envs.views import View


def explorer_steps(task: Task[Any], state: Any, view: View) -> int:
    """How many actions the explorer needs."""
    return len(task.solve(state) or ())
