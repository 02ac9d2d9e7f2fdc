"""One vLLM engine on the tiny checkpoint, shared by the tests of a session."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mgsd_bench.backends import BackendConfig, Sampling, open_backend

if TYPE_CHECKING:
    from mgsd_bench.backends.vllm import VllmBackend

MAX_TOKENS = 12
MAX_NUM_SEQS = 4
MAX_MODEL_LEN = 1024


class SharedEngine:
    """Started when it is first asked for, and again after it was stopped.

    A process holds one engine at a time: a test that starts another stops this one before.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self._backend: VllmBackend | None = None

    def backend(self) -> VllmBackend:
        """The backend of the running engine."""
        if self._backend is None:
            limits = {"max_num_seqs": MAX_NUM_SEQS, "max_model_len": MAX_MODEL_LEN}
            config = BackendConfig(str(self._model), Sampling(max_tokens=MAX_TOKENS), engine_args=limits, images=3)
            self._backend = cast("VllmBackend", open_backend("vllm", config))
        return self._backend

    def sampling(self, sampling: Sampling) -> VllmBackend:
        """A backend that samples otherwise, on the same engine."""
        other = copy.copy(self.backend())
        other._config = replace(other._config, sampling=sampling)
        return other

    def stop(self) -> None:
        """Stop the engine, if it runs."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None
