"""A tiny student under a trainer, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def processor(tiny: Path) -> Any:
    from mgsd_baselines.training.models import load_processor

    return load_processor(str(tiny))


@pytest.fixture(scope="module")
def base(processor: Any) -> Any:
    import torch

    from mgsd_baselines.training.models import load_model

    return load_model(processor.tokenizer.name_or_path, dtype=torch.float32, attention="sdpa")


@pytest.fixture
def make(processor: Any, tmp_path: Path) -> Callable[..., Any]:
    from support.distilling import trainer_of

    return partial(trainer_of, processor, tmp_path / "out")
