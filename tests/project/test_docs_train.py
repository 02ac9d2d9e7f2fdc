"""The commands in the documentation that train, or say what a training would take, run."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.documentation import PAGES, needs, run_commands

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    "page", [p for p in PAGES if {"train", "vllm"} & needs(p) == {"train"}], ids=lambda page: page.name
)
def test_commands(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    run_commands(page, tmp_path)
