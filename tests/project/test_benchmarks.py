"""What scripts outside of the package import is there; to run them takes minutes to hours."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [*sorted(ROOT.glob("benchmarks/*.py")), *sorted(ROOT.glob("scripts/*.py"))]
OURS = ("mgsd_bench", "mgsd_envs", "mgsd_baselines", "support")

pytestmark = pytest.mark.train


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_its_imports_are_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in OURS:
            module = import_module(str(node.module))
            for alias in node.names:
                known = hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}")
                assert known, f"{path.name}:{node.lineno}: no {alias.name} in {node.module}"
