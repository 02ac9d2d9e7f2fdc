"""The tutorial runs from its first cell to its last, and draws its plot."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"

pytestmark = pytest.mark.slow


def test_tutorial(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, gap, causes, changes = (cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    assert any("image/png" in output.get("data", {}) for output in first)
    assert "modality gap" in gap[-1]["data"]["text/plain"]
    assert "perception" in causes[-1]["data"]["text/plain"]
    assert "macro" in changes[-1]["data"]["text/plain"]
