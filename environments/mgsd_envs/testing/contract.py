"""How a broken contract is said: which part of it, and with which state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from traceback import extract_tb
from typing import Any

from mgsd_envs.task import Task

_LONGEST = 400


class TaskContractError(AssertionError):
    """A task breaks its contract; the message is one line with what is broken, and the state if it is about one."""


class Check:
    """A task that is being checked.

    Attributes:
        task: the task.
        seed: decides everything that is random in the check.
    """

    def __init__(self, task: Task[Any], seed: int) -> None:
        self.task, self.seed = task, seed

    def random(self, *about: object) -> Random:
        """Randomness for one part of the check, the same in every run."""
        return Random("/".join(map(str, (self.seed, *about))))

    def that(self, holds: object, broken: str, state: Any = None) -> None:
        """Go on only if something holds.

        Raises:
            TaskContractError: it does not.
        """
        if not holds:
            raise self.error(broken, state)

    @contextmanager
    def working(self, what: str, state: Any = None) -> Iterator[None]:
        """Whatever is raised in here, other than a broken contract, breaks the contract too."""
        try:
            yield
        except TaskContractError:
            raise
        except Exception as error:
            *_, last = extract_tb(error.__traceback__)
            place = f"{last.name} ({Path(last.filename).name}:{last.lineno})"
            raise self.error(f"{what} raised {type(error).__name__}: {error}, in {place}", state) from error

    @contextmanager
    def refused(self, broken: str, state: Any = None) -> Iterator[None]:
        """What is done in here has to raise ValueError."""
        with self.working(f"{broken}: instead of ValueError it", state):
            try:
                yield
            except ValueError:
                return
        raise self.error(f"{broken}: ValueError was expected", state)

    def error(self, broken: str, state: Any = None) -> TaskContractError:
        """The error that says what is broken."""
        about = "" if state is None else f"; the state is {self._shown(state)}"
        name = getattr(self.task, "name", type(self.task).__name__)
        return TaskContractError(" ".join(f"{name}: {broken}{about}".split()))

    def _shown(self, state: Any) -> str:
        try:
            text = json.dumps(self.task.to_json(state))
        except Exception:  # it may be just this that is broken
            text = repr(state)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
