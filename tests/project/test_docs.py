"""Every command and every piece of Python in the documentation runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.documentation import PAGES, ROOT, blocks, commands, needs, run_commands


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if commands(p) and needs(p) <= {"sets"}], ids=lambda page: page.name)
def test_commands(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "sets" in needs(page):
        (tmp_path / "sets").symlink_to(request.getfixturevalue("data_root"))
    run_commands(page, tmp_path)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.name)
@pytest.mark.slow
def test_python(page: Path, tmp_path: Path) -> None:
    for code in blocks(page, "python"):
        if "gymnasium" in code:
            pytest.importorskip("gymnasium")
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        for shown in re.findall(r"^print.*?#\s([('A-Z].*)$", code, re.MULTILINE):
            assert shown.split(":")[0] in done.stdout


@pytest.mark.data
@pytest.mark.slow
def test_prompts_from_a_checkout_laid_out_as_the_authors(tmp_path: Path, data_root: Path) -> None:
    (block,) = [text for text in blocks(ROOT / "docs" / "reproducing.md", "text") if text.startswith("cd MGSD")]
    for name in re.findall(r"\S+/opcd_student_\w+\.txt", block):
        path = tmp_path / "MGSD" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Find a way.\n<TEST-IMAGE>")
    for task in ("Frozenlake", "Maze", "MiniBehaviour"):
        path = tmp_path / "MGSD" / "evaluate" / "modality_gap_eval" / "prompts" / f"text_student_{task}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Find a way:\n<TEXT-STATE>")
    (tmp_path / "sets").symlink_to(data_root)
    command = block.rstrip().replace("mgsd-bench", f"{shlex.quote(sys.executable)} -m mgsd_bench")
    done = subprocess.run(
        ["bash", "-euc", f"{command} --rows straight --limit 2 --set figures=false --set html=false"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads((tmp_path / "runs" / "authors" / "paper" / "straight" / "run.json").read_text())
    assert "authors" in json.dumps(run)
    assert "prompts authors" in (tmp_path / "reports" / "authors" / "table1.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"(?:\]\(|^\[\d+\]: )([^)#\s]+)", page.read_text(), re.MULTILINE):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
            assert os.path.relpath(page.parent / target, ROOT)[:2] != ".."
