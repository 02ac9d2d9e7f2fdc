"""The page on the architecture shows the rooms that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rooms_are_those_of_the_import_contract_in_its_order() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["mgsd_bench"]]
    names = [name for layer in layers for name in layer.split(" | ")]
    page = (ROOT / "docs" / "architecture.md").read_text()
    listed = [name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    rooms = [name for name in names if (ROOT / "mgsd_bench" / name).is_dir() or name == "api"]
    assert listed == rooms
    assert {path.parent.name for path in ROOT.glob("mgsd_bench/*/__init__.py")} == set(rooms) - {"api"}


def test_tests_mirror_the_rooms() -> None:
    rooms = {path.parent.name for path in ROOT.glob("mgsd_bench/*/__init__.py")}
    assert {path.name for path in (ROOT / "tests" / "bench").iterdir() if path.is_dir()} - {"__pycache__"} <= rooms
