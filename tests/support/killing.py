"""A command that is killed in the middle of a training."""

from __future__ import annotations

import os
import signal
from typing import Any

from support.commands import mgsd


def mgsd_killed_at(step: int, *arguments: str) -> None:
    """Run ``mgsd-bench`` until so many steps are done, and end in the next one as by ``kill -9``.

    For a process of its own.
    """
    from transformers import Trainer

    whole = Trainer.training_step

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *args, **kwargs)

    Trainer.training_step = training_step
    mgsd(*arguments)
