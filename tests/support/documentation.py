"""The pages of the documentation, and the commands on them."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

from support.commands import mgsd
from support.playing import novice, played_by, sits_down

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKE_TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def files(page: Path) -> dict[str, str]:
    """The YAML files that a page shows under a comment with their name."""
    named = (re.match(r"# (\S+\.yaml)\n", text) for text in blocks(page, "yaml"))
    return {name[1]: name.string for name in named if name}


def needs(page: Path) -> set[str]:
    """What the commands of a page need: ``vllm``, ``train`` (the extra), ``sets`` (other people's test sets)."""
    found = set()
    for words in commands(page):
        if words[:2] == ["mgsd-bench", "eval"] and not {"scripted", "of=scripted"} & {*words}:
            found.add("vllm")
        if words[:2] == ["mgsd-bench", "train"]:
            found.add("train")
        if "sets" in words:
            found.add("sets")
    return found


def _expanded(word: str, folder: Path) -> list[str]:
    """What a shell makes of a word with a pattern."""
    found = [str(path.relative_to(folder)) for path in folder.glob(word)] if "*" in word else []
    return sorted(found) or [word]


def run_commands(page: Path, folder: Path) -> None:
    """Run every command of a page, one after the other in one folder; fail where one is not known or does not work."""
    for name, text in files(page).items():
        (folder / name).write_text(text)
    for words in commands(page):
        match words:
            case ["make", target]:
                assert target in MAKE_TARGETS
            case ["pip", "install", what]:
                assert set(re.findall(r"\[([\w,-]+)\]", what)) <= EXTRAS
            case ["mgsd-bench", "play", *_]:
                with played_by(sits_down(novice)):
                    mgsd(*words[1:], cwd=folder)
            case ["mgsd-bench", *arguments]:
                mgsd(*(path for word in arguments for path in _expanded(word, folder)), cwd=folder)
            case _:
                raise AssertionError(f"{page.name}: {shlex.join(words)} is run by no test")
