"""A small run with a hostile answer, and its HTML report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.backends import BackendConfig
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.suites.choose import find_suite
from support.browsing import chromium, opened_page
from support.pages import FIGURES, HOSTILE, write


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A faulty model on a few episodes of every level, from the picture and from text; the first answer hostile."""
    out = tmp_path_factory.mktemp("html") / "run"
    config = BackendConfig("faulty:0.1,0.2,0.1")
    job = Evaluation(find_suite("smoke"), None, ["visual", "symbolic"], 1, "compact", "scripted", config, out)
    evaluate(job, Console(quiet=True))
    run = load_run(out)
    episodes = run.episodes
    first = next(s for s in run.samples if (s.episode, s.condition) == (next(iter(episodes)), "visual"))
    rest = [s for s in run.samples if s is not first]
    return replace(run, given=[replace(first, text=HOSTILE), *rest])


@pytest.fixture(scope="session")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("html") / "report.html", run, figures=FIGURES)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driven:
        yield driven


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    """The report, just opened; at the end, nothing may have been asked of the network or complained about."""
    with opened_page(browser, page) as driven:
        yield driven
