"""Two scripted runs to be gated, for the tests of this folder; who changes one takes a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gating import make


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make(folder / "old", "noisy-planning:0.1")
    make(folder / "worse", "noisy-planning:0.6")
    return folder
