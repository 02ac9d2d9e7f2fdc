"""What others wrote is shown as text and does nothing; mistakes of ours have an exit code of their own."""

from __future__ import annotations

import ast
import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

import mgsd_bench
from mgsd_bench.cli import run as run_commands
from mgsd_bench.errors import Exit
from mgsd_bench.plain import LONGEST, plain, say_error
from mgsd_bench.report.tables import as_terminal, plain_table
from mgsd_bench.terminal import Terminal
from support.commands import error, mgsd

HARM = "\x1b[31m\x1b]0;title\x07\x9b2J\u202eabc\u2066\ud800\x00\x08"
PACKAGE = Path(mgsd_bench.__file__).parent


def harmless(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text)


@given(st.text(st.characters(exclude_categories=())))
def test_plain_text_has_nothing_that_acts(text: str) -> None:
    assert harmless(plain(text))
    assert len(plain(text)) == len(text)


@given(st.text(st.characters(exclude_categories=())))
def test_plain_text_stays(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert text.isprintable() <= (plain(text) == text)


@pytest.mark.parametrize("terminal", [True, False])
def test_whatever_is_printed_is_cleaned(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    stream = io.StringIO()
    console = Terminal(file=stream, width=70)
    table = Table(title=HARM)
    table.add_column(HARM)
    table.add_row(Text(HARM, style="bold"))
    for shown in (HARM, Text(HARM), table):
        console.print(shown)
    shown = stream.getvalue()
    for harm in ("\x1b[31m", "\x1b]0", "\x07", "\x9b", "\u202e", "\u2066", "\ud800", "\x00", "\x08"):
        assert harm not in shown
    assert terminal == ("\x1b[1m" in shown)


def test_a_table_of_figures_is_shown_whole() -> None:
    stream = io.StringIO()
    console = Terminal(file=stream, width=40)
    rows = [["model", *(f"minigrid-task-{i}" for i in range(6))], ["folder-" * 20, *["100.0 (44–100)"] * 6]]
    console.print(as_terminal(rows))
    console.print(
        plain_table("title", "caption", ("minigrid-blockedunlockpickup", "State F1", "gap in points of a hundred"))
    )
    shown = stream.getvalue()
    assert shown.count("100.0 (44–100)") == 6
    assert "minigrid-blockedunlockpickup State F1 gap in points of a hundred" in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) < 200  # the name is folded
    console.print(Text("word " * 20))
    assert max(map(len, stream.getvalue()[len(shown) :].splitlines())) <= 40


def test_an_error_is_one_line_of_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    say_error(HARM + "x" * 10_000 + "\nand the remedy")
    shown = capsys.readouterr().err
    assert harmless(shown)
    assert shown.count("\n") == 1
    assert shown.endswith("and the remedy\n")
    assert len(shown) < LONGEST + 40


def test_everything_that_commands_show_goes_one_way() -> None:
    """No print, typer.echo or bare Console: they would show control characters of others."""
    found = []
    for path in [*PACKAGE.glob("cli/*.py"), *PACKAGE.glob("report/*.py"), *PACKAGE.glob("reproduce/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="print" | "Console")):
                    found.append(f"{path.name}:{node.lineno}")
                case ast.Call(func=ast.Attribute(value=ast.Name(id="typer"), attr="echo" | "secho")):
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


def test_hostile_names_on_the_command_line(tmp_path: Path) -> None:
    assert harmless(mgsd("eval", "--model", "\x1b[31mx", "--out", str(tmp_path / "x"), code=2))
    assert harmless(mgsd("eval", "--backend", "scripted", "--model", HARM, "--out", str(tmp_path / "x"), code=2))


@pytest.mark.parametrize(
    "words",
    [
        ("{}",), ("--{}",), ("eval", "{}"), ("eval", "--{}"), ("show", "a", "--size", "{}"), ("train", "data", "{}"),
        ("baseline", "{}"), ("baseline", "save", "a", "b", "{}"), ("power", "--discordance", "{}"),
    ],
)  # fmt: skip
def test_what_is_no_usage_is_quoted_as_text_and_shortened(words: tuple[str, ...]) -> None:
    shown = mgsd(*(word.format(f"{HARM}{'x' * 10_000}") for word in words), code=2)
    assert harmless(shown)
    assert len(shown) < 3000


@pytest.mark.parametrize(
    "words",
    [
        ("verify",), ("report",), ("eval", "--model", "random", "--backend", "scripted", "--out"), ("eval", "--config"),
        ("gate", "--candidate", "x", "--baseline"), ("train", "run"), ("models", "tiny"), ("generate",), ("show",),
        ("score", "--answers"), ("score", "--rescore"), ("suites", "verify"), ("baseline", "list", "--dir"),
    ],
)  # fmt: skip
def test_a_name_too_long_is_one_line(words: tuple[str, ...]) -> None:
    shown = error(*words, "x" * 300)
    assert "xxxx" in shown
    assert "mistake of the program" not in shown


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, Exit.ENGINE), (errno.ELOOP, Exit.USAGE)])
def test_an_error_of_a_file_names_it(monkeypatch: pytest.MonkeyPatch, number: int, code: Exit) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), "some/file")

    monkeypatch.setattr(run_commands, "_evaluate", fail)
    shown = error("eval", "--model", "x", code=code)
    assert shown.startswith("mgsd-bench: some/file: ")
    assert os.strerror(number) in shown


@pytest.mark.parametrize("mistake", [RecursionError(), KeyError("x"), ValueError("a\x1b[31m\nb"), MemoryError()])
def test_a_mistake_of_ours_has_its_own_code(monkeypatch: pytest.MonkeyPatch, mistake: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise mistake

    monkeypatch.setattr(run_commands, "_evaluate", fail)
    shown = mgsd("eval", "--model", "x", code=Exit.SOFTWARE)
    assert shown.startswith("mgsd-bench: a mistake of the program itself (")
    assert type(mistake).__name__ in shown
    assert "MGSD_DEBUG=1" in shown
    assert harmless(shown)
    assert shown.count("\n") == 1


@pytest.mark.parametrize("asked", [("--debug",), ()])
def test_the_traceback_is_there_for_who_asks(monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("x")

    monkeypatch.setattr(run_commands, "_evaluate", fail)
    if not asked:
        monkeypatch.setenv("MGSD_DEBUG", "1")
    with pytest.raises(KeyError):
        mgsd(*asked, "eval", "--model", "x")
