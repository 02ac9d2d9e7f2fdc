"""What a real terminal gets, colours and live bar included, of a model, runs and names that hold escape sequences."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.chat_server import KEY, ChatServer
from support.gating import make
from support.pseudo_terminal import OWN, on_terminal
from support.text_payloads import planted

pytestmark = pytest.mark.slow

HARM = (
    "\x1b[8m\x1b[38;5;201mover\x1b[2J\x1b[1A\x1b[2K\x1b[?25l\rred\x1b]0;title\x07\x9b2J\x90q\x9c\u202eabc\u2066\x08\x00"
)
FOREIGN = ("\x1b[8m", "\x1b[38;5;201m", "\x1b[2J", "\x1b]", "\x1b[1A\x1b[2K\x1b[?25l", "\rred", "title\x07")


def foreign(shown: str) -> list[str]:
    """What of it acts on a terminal and is not our own."""
    found = [sequence for sequence in FOREIGN if sequence in shown]
    return found + sorted({ascii(c) for c in OWN.sub("", shown) if not (c.isprintable() or c in "\n\t")})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminal")
    run = make(folder / "finished", "faulty:0.2,0.2,0.2", limit=3)
    planted(run, folder / "A", lambda _: HARM)
    planted(run, folder / "B", lambda _: HARM, worse=True)
    return folder


def test_a_model_whose_answers_hold_them(tmp_path: Path) -> None:
    with ChatServer(lambda _: HARM) as server:
        words = ("eval", "--backend", "openai", "--model", "fake", "--base-url", server.url, "--suite", "smoke",
                 "--tasks", "maze", "--levels", "3", "--limit", "4", "--out", "run")  # fmt: skip
        shown = on_terminal(*words, cwd=tmp_path, OPENAI_API_KEY=KEY)
    assert "\x1b[?25l" in shown  # the live bar was there
    assert "4 of 4 answers hold nothing that could be read" in shown
    assert foreign(shown) == []


@pytest.mark.parametrize(
    ("words", "code", "colours"),
    [
        (("report", "A", "B"), 0, True),
        (("show", "frozenlake/4/0007"), 0, True),
        (("show", "frozenlake/4/0007", "--plan", HARM.replace("\0", "")), 2, False),
    ],
)
def test_runs_and_names_that_hold_them(folder: Path, words: tuple[str, ...], code: int, colours: bool) -> None:
    shown = on_terminal(*words, cwd=folder, code=code)
    assert colours == ("\x1b[" in shown)
    assert foreign(shown) == []


@pytest.mark.parametrize("sequence", ["\x1b[8m", "\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\u202e", "\x08"])
def test_what_acts_is_found(sequence: str) -> None:
    assert foreign(f"\x1b[1mbold\x1b[0m {sequence}\r\n")
    assert not foreign("\x1b[1mbold\x1b[0m\r\n")
