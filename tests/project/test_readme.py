"""The README is short, and what its table says that people type is there to be typed."""

from __future__ import annotations

import inspect
import re
import shlex
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

import mgsd_bench
from support.command_lines import commands, options
from support.documentation import ROOT

TEXT = (ROOT / "README.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| (.+) \|$", TEXT, re.MULTILINE)


def test_it_is_one_screen_and_a_half() -> None:
    assert len(TEXT.splitlines()) <= 100


def test_every_row_of_the_table_is_walked() -> None:
    table = TEXT.partition("| you use | you type | more |")[2].partition("\n\n")[0]
    assert len(ROWS) == len(table.strip().splitlines()) - 1 > 5


@pytest.mark.parametrize(("use", "typed", "more"), ROWS, ids=[row[0] for row in ROWS])
def test_what_is_typed_is_there(use: str, typed: str, more: str) -> None:
    assert re.search(r"\]\(docs/[\w#/.-]+\)", more), f"{use} has no page"
    if typed.startswith("mgsd-bench "):
        _is_command(shlex.split(typed)[1:])
    elif typed.startswith("mb."):
        name, arguments = re.fullmatch(r"mb\.(\w+)\((.*)\)", typed).groups()  # type: ignore[union-attr]
        known = inspect.signature(getattr(mgsd_bench, name)).parameters
        assert {*re.findall(r"(\w+)=", arguments)} <= {*known, "backend", "limit"}
    elif typed.startswith("inspect eval "):
        package, task = shlex.split(typed)[2].split("/")
        (point,) = entry_points(group="inspect_ai", name=package)
        home = find_spec(point.module)  # to import inspect_ai takes seconds, and its own tests do
        assert home
        assert re.search(rf"^(?:def )?{task}\b", Path(str(home.origin)).read_text(), re.MULTILINE)
    elif typed.startswith("lmms-eval "):
        (words,) = re.findall(r'"\$\((.+)\)"', typed)
        _is_command(shlex.split(words)[1:])
        folder = find_spec("mgsd_bench.integrations.lmms_eval").submodule_search_locations[0]  # type: ignore[union-attr,index]
        assert (Path(folder) / f"{re.findall('--tasks (.+?) ', typed)[0]}.yaml").is_file()
    elif typed.startswith("from "):
        module, names = re.fullmatch(r"from ([\w.]+) import (.+)", typed).groups()  # type: ignore[union-attr]
        assert all(hasattr(import_module(module), name) for name in names.split(", "))
    elif "mgsd_gate" in typed:
        (point,) = entry_points(group="pytest11", name="mgsd_bench")
        assert hasattr(point.load(), "mgsd_gate")
    elif typed.startswith("uses: "):
        assert re.fullmatch(rf"uses: OWNER/mgsd-bench@v{re.escape(mgsd_bench.__version__)}", typed)
        assert (ROOT / "action.yml").is_file()
    elif typed.startswith("gymnasium.make("):
        gymnasium = pytest.importorskip("gymnasium")
        import_module("mgsd_bench.integrations.gym")  # registers the ids
        gymnasium.make(*re.findall(r'"([^"]+)"', typed), level=4).reset(seed=0)
    else:
        raise AssertionError(f"{use}: nothing here knows how to try {typed!r}; teach this test")


def _is_command(words: list[str]) -> None:
    """A command of the command line, with options that it has; `train RECIPE` is short for `train run RECIPE`."""
    known = commands()
    (name,) = [name for name in (words[0], " ".join(words[:2]), f"{words[0]} run") if name in known][:1]
    assert {word for word in words if word.startswith("--")} <= options(known[name]).keys()
