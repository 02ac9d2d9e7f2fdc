"""Workers of a Ray cluster with faults that are known; imported by their processes, too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgsd_bench.backends import Backend, BackendConfig, EngineError, Request, Response
from mgsd_bench.backends.ray_settings import RaySettings
from mgsd_bench.backends.ray_worker import Worker
from mgsd_bench.backends.scripted import ScriptedBackend, open_backend
from mgsd_bench.errors import UserError, option

KILLER = "frozenlake/6/0002"
"""The episode whose question kills."""


def settings(address: str, folder: Path, **given: Any) -> RaySettings:
    """Settings of a scripted model whose plants find their folder in the engine's arguments."""
    config = BackendConfig("faulty:0.2,0.2,0.1", engine_args={"folder": str(folder)})
    return RaySettings(of="scripted", address=address, inner=config, split=1, **given)


class Slowly(ScriptedBackend):
    """Four questions at a time, a hundredth of a second each; ``before`` is told each one."""

    def __init__(self, scripted: ScriptedBackend, before: Callable[[Request], None] = lambda request: None) -> None:
        super().__init__(scripted._name, scripted._faults, scripted._memory)
        self._before = before

    @property
    def capacity(self) -> int:
        return 4

    def respond(self, request: Request) -> Response:
        self._before(request)
        time.sleep(0.01)
        return super().respond(request)


class Plant(Worker):
    """A worker around a scripted model."""

    @property
    def folder(self) -> Path:
        return Path(self._config.engine_args["folder"])

    def open(self) -> Backend:
        return Slowly(open_backend(self._config), self.before)

    def before(self, request: Request) -> None:
        """What happens before a question is answered."""


class Slow(Worker):
    """A scripted model that can be killed in the middle of a run."""

    def open(self) -> Backend:
        return Slowly(open_backend(self._config))


class Failing(Plant):
    """The engine of one process dies, and the process would live on; and one question kills whatever process has it."""

    def before(self, request: Request) -> None:
        if request.episode.id == KILLER:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            (self.folder / "died").touch(exist_ok=False)
        except FileExistsError:
            return
        (self.folder / "died").write_text(str(os.getpid()))
        raise EngineError("out of memory in a kernel")


class Unlike(Plant):
    """No two processes have the same weights."""

    def open(self) -> Backend:
        backend = super().open()
        described = {**backend.describe(), "fingerprint": self._token}
        backend.describe = lambda: described  # type: ignore[method-assign]
        return backend


class Unloadable(Plant):
    """There is no such model on this machine."""

    def open(self) -> Backend:
        raise UserError(f"{option('model', 'x/y')}: no such folder")
