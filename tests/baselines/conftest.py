"""What trains needs the extra ``train``."""

from importlib.util import find_spec

import pytest

from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_envs import Episode, generate, get_task

if find_spec("trl") is None:
    collect_ignore_glob = ["*"]
else:
    patch_torchvision()


@pytest.fixture(scope="session")
def episodes() -> list[Episode]:
    """Twelve episodes to train on of each task."""
    levels = (("frozenlake", 4), ("maze", 3), ("minibehaviour", 5))
    return [
        episode
        for task, level in levels
        for episode in generate(get_task(task), level, 12, split="train", stream="test-distill")
    ]
