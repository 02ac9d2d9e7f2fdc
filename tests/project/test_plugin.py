"""Tasks of somebody else's: the example package with every command, and packages that are broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.plugins import BROKEN, EXAMPLE, ROOT, broken_packages, install_example

SUPPORT = ROOT / "tests" / "support"


def pytest_in(python: Path | str, file: str, *, path: Path | None = None) -> None:
    """Run a file of tests in another environment; fail with what it says."""
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    words = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-o", "pythonpath=tests", str(SUPPORT / file)]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_every_command_with_the_example_installed(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    pytest_in(install_example(tmp_path), "plugin_walk.py")


@pytest.mark.slow
def test_broken_packages_are_one_line_and_hurt_nobody(tmp_path: Path) -> None:
    pytest_in(sys.executable, "broken_walk.py", path=broken_packages(tmp_path))


def test_the_example_is_one_short_file_and_every_way_to_break_a_package_is_tried() -> None:
    (module,) = (EXAMPLE / "mgsd_keydoor").glob("*.py")
    assert len(module.read_text().splitlines()) <= 150
    assert len(BROKEN) == 7
