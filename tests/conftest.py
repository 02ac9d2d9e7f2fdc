"""Fixtures that all tests share, the profile of the property tests, and how several processes share the work."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.engines import SharedEngine

# Before torch is imported, here or in a process that a test starts: tiny models are slowed down by a second thread.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

# The same examples in every run, so that a red test is about the change at hand. To look for new ones:
# pytest --hypothesis-profile=explore
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("fixed")

LONGEST = ("engine", "train")
"""Marks of files that share a process, the longest work first."""


@cache
def marks_of(path: Path) -> frozenset[str]:
    """The marks that all tests of a file have, without importing it."""
    found = re.search(r"^pytestmark = (.*)", path.read_text(), re.MULTILINE)
    return frozenset(re.findall(r"pytest\.mark\.(\w+)", found[1]) if found else ())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that ``-m "not ..."`` leaves out as a whole is not imported: torch alone takes seconds."""
    expression = config.getoption("markexpr")
    if collection_path.suffix != ".py" or not re.fullmatch(r"not \w+( and not \w+)*", expression):
        return None
    return bool(marks_of(collection_path) & {*re.findall(r"not (\w+)", expression)}) or None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under pytest-xdist, files stay whole; all that start an engine go to one process, all that use torch to one.

    So engines and checkpoints are shared, and vLLM and TRL are imported once. What takes longest comes first.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            marks = marks_of(config.rootpath / file)
            if "ray" in marks and "engine" not in marks:
                return "train"  # no cluster can be reached from a process that has held an engine in one
            return next((mark for mark in LONGEST if mark in marks), file)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In the order of the scheduler."""
    if hasattr(config, "workerinput"):
        order = (*LONGEST, "ray", "slow")
        items.sort(key=lambda item: [mark not in marks_of(item.path) for mark in order])


def pytest_collection_finish() -> None:
    """What is imported by now stays: else every trainer's search for garbage walks through all of TRL."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()


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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint, to be read and not changed."""
    from mgsd_baselines.tiny.build import build_tiny

    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def shared_engine(tiny: Path) -> Iterator[SharedEngine]:
    """The vLLM engine that tests share."""
    engine = SharedEngine(tiny)
    yield engine
    engine.stop()


@pytest.fixture
def no_engine(shared_engine: SharedEngine) -> None:
    """For a test that starts an engine of its own in this process."""
    shared_engine.stop()
