"""The generator of random command lines knows every command and option, and sees what a line leaves behind."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from support.command_lines import FITTING, SOUND, Line, commands, contents, options, random_line, trespasses


def test_every_command_and_option_is_known() -> None:
    known = commands()
    assert known.keys() == SOUND.keys()
    assert {"suites", "suites verify", "baseline save", "train run"} <= known.keys()
    everything = {name for command in known.values() for name in options(command)}
    assert everything >= FITTING.keys()
    assert len(everything) > 60


def test_lines_hang_on_their_seed_alone() -> None:
    known = options(commands()["eval"])
    one, same, other = (random_line(Random(seed), "eval", known) for seed in (3, 3, 4))
    assert one == same != other


def test_training_is_never_for_real() -> None:
    known = options(commands()["train run"])
    assert all("--dry-run" in random_line(Random(seed), "train run", known).words for seed in range(200))


@pytest.mark.parametrize(
    ("words", "does", "says"),
    [
        ("eval --out new", "new/run.json", None),
        ("eval --out=new/inner", "new/inner/run.json", None),
        ("eval --set out=new", "new/run.json", None),
        ("eval --model x", "runs/x/run.json", None),
        ("eval --model x", "runs2/run.json", "made work/runs2"),
        ("diagnose run", "run/diagnosis.json", None),
        ("report run --out ../outside/x", "../outside/x", None),
        ("report run --out x", "../outside/x", "made outside/x"),
        ("report run --out x", ".x.123.tmp", "left work/.x.123.tmp"),
        ("report run", "../home/.cache/matplotlib/fonts", None),
        ("report run", "../home/.bashrc", "made home/.bashrc"),
        ("report run", "run/samples.jsonl", "changed work/run/samples.jsonl"),
        ("generate new", "new/episodes.jsonl", None),
    ],
)
def test_what_nobody_asked_for_is_seen(words: str, does: str, says: str | None, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ("work/run", "home", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (work / "run" / "samples.jsonl").write_text("one\n")
    before = contents(tmp_path)
    path = Path(os.path.normpath(work / does))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("two\n")
    line = Line(words.split()[0], tuple(words.split()), frozenset())
    found = list(trespasses(line, work, before, contents(tmp_path)))
    assert found == [] if says is None else says in found


def test_a_thing_of_another_kind_is_seen(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    os.mkfifo(work / "pipe")
    before = contents(tmp_path)
    (work / "pipe").unlink()
    (work / "pipe").write_text("text")
    line = Line("schema", ("schema", "policy", "--out", "pipe"), frozenset())
    assert list(trespasses(line, work, before, contents(tmp_path))) == ["made another kind of thing of work/pipe"]
