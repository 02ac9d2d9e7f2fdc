"""Every command and every piece of Python in the documentation runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKE_TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def files(page: Path) -> dict[str, str]:
    """The YAML files that a page shows under a comment with their name."""
    named = (re.match(r"# (\S+\.yaml)\n", text) for text in blocks(page, "yaml"))
    return {name[1]: name.string for name in named if name}


def commands(page: Path) -> list[list[str]]:
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.engine
@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda page: page.name)
def test_commands(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if any("sets" in words for words in commands(page)):  # the folder with other people's test sets
        (tmp_path / "sets").symlink_to(request.getfixturevalue("data_root"))
    for name, text in files(page).items():
        (tmp_path / name).write_text(text)
    for words in commands(page):
        match words:
            case ["make", target]:
                assert target in MAKE_TARGETS
            case ["pip", "install", what]:
                assert set(re.findall(r"\[([\w,-]+)\]", what)) <= EXTRAS
            case ["mgsd-bench", *arguments]:
                if "vllm" in _backend(arguments):
                    pytest.importorskip("vllm")
                done = subprocess.run(
                    [sys.executable, "-m", "mgsd_bench", *arguments], cwd=tmp_path, capture_output=True, text=True
                )
                assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
            case _:
                pytest.fail(f"{page.name}: {shlex.join(words)} is run by no test")


def _backend(arguments: list[str]) -> str:
    return "vllm" if arguments[0] == "eval" and "scripted" not in arguments else ""


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.name)
def test_python(page: Path, tmp_path: Path) -> None:
    for code in blocks(page, "python"):
        if "gymnasium" in code:
            pytest.importorskip("gymnasium")
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        for shown in re.findall(r"^print.*?#\s([('A-Z].*)$", code, re.MULTILINE):
            assert shown.split(":")[0] in done.stdout


@pytest.mark.data
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
