"""A tiny student under a trainer, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from mgsd_baselines.tiny.build import build_tiny
    from mgsd_baselines.training.models import load_processor

    return load_processor(str(build_tiny(tmp_path_factory.mktemp("models") / "tiny")))


@pytest.fixture(scope="module")
def base(processor: Any) -> Any:
    import torch

    from mgsd_baselines.training.models import load_model

    return load_model(processor.tokenizer.name_or_path, dtype=torch.float32, attention="sdpa")


@pytest.fixture
def make(processor: Any, tmp_path: Path) -> Callable[..., Any]:
    from support.distilling import trainer_of

    return partial(trainer_of, processor, tmp_path / "out")
