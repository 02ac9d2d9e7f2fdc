"""Shared fixtures and the profile of the property tests."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that a red test is about the change at hand. To look for new ones:
# pytest --hypothesis-profile=explore
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("fixed")


@pytest.fixture(scope="session", autouse=True)
def _interrupts_reach_children() -> Iterator[None]:
    """Started in the background by a shell, pytest ignores SIGINT, and so would the processes that tests interrupt."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with other people's test sets: MGSD_DATA_ROOT, or shared/data beside the repository."""
    default = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("MGSD_DATA_ROOT", default))
    if not root.is_dir():
        pytest.skip(f"no external data at {root}; set MGSD_DATA_ROOT")
    return root
