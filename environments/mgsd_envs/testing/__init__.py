"""What gymnasium's ``check_env`` is for environments, for tasks: :func:`check_task`, for tests of one's own task.

::

    from mgsd_envs.testing import check_task

    def test_contract():
        check_task(MyTask())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mgsd_envs.testing.contract import Check, TaskContractError
from mgsd_envs.testing.declarations import check_declarations
from mgsd_envs.testing.dynamics import Dynamics
from mgsd_envs.testing.elsewhere import check_elsewhere
from mgsd_envs.testing.forms import check_false_facts, check_forms
from mgsd_envs.testing.pictures import check_looks, check_pictures
from mgsd_envs.testing.prompts import check_prompts
from mgsd_envs.testing.sampling import check_lengths, check_no_other_levels, draw_states
from mgsd_envs.testing.stepwise import check_stepwise
from mgsd_envs.testing.symmetries import check_symmetries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mgsd_envs.task import Task

__all__ = ["TaskContractError", "check_task"]


def check_task(task: Task[Any], *, levels: Iterable[int] | None = None, states: int = 12, seed: int = 0) -> None:
    """Hold a task to the contract of :class:`mgsd_envs.Task`: every method, on states that it draws.

    Plans and their number are held against a brute force over ``step`` as far as 20,000 steps a level go; keys and
    draws are made once more in another process, if the task's class can be imported there. A rule that no action broke
    is a warning.

    Args:
        task: the task; it need not be installed.
        levels: which sizes to try; by default the smallest one, and the first and the last of ``task.levels``.
        states: how many states a level.
        seed: decides which states, and everything else that is random here.

    Raises:
        TaskContractError: something is broken; one line says what, with the state.
    """
    check = Check(task, seed)
    check_declarations(check)
    chosen = sorted({task.min_level, task.levels[0], task.levels[-1]} if levels is None else set(levels))
    check_no_other_levels(check)
    dynamics = Dynamics(check)
    drawn = {level: draw_states(check, level, states) for level in chosen}
    for level, of_level in drawn.items():
        for state in of_level:
            dynamics.check_steps(state, level, share=len(of_level))
            check_forms(check, state, level)
        check_looks(check, level, of_level)
        for state in of_level:
            dynamics.check_plans(state)
            check_pictures(check, state, level)
            check_false_facts(check, state, level)
            check_symmetries(check, state)
            check_stepwise(check, state, level, share=len(of_level))
        check_lengths(check, level, of_level)
    check_elsewhere(check, drawn)
    check_prompts(check)
    dynamics.warn_of_rules()
