"""The commands in the documentation that start a vLLM engine run."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.documentation import PAGES, needs, run_commands

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("page", [p for p in PAGES if "vllm" in needs(p)], ids=lambda page: page.name)
def test_commands(page: Path, tmp_path: Path, no_engine: None) -> None:
    pytest.importorskip("vllm")
    run_commands(page, tmp_path)
