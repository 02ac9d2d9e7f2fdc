"""Texts that no file in UTF-8 can hold, in every place of runs; all harmful texts: benchmarks/reliability_texts.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mgsd_bench import compare, diagnose, gate, load_run
from mgsd_bench.backends import BackendConfig
from mgsd_bench.backends.recorded import open_backend
from mgsd_bench.runs.stored import read_samples
from mgsd_envs.files import well_formed
from support.commands import error, mgsd
from support.gating import edit, make
from support.hostile_files import POLICY
from support.text_payloads import planted

TEXT = "\ud800x\udfff"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that hold such texts, in a folder whose name is not UTF-8; the second one solves nothing."""
    folder = tmp_path_factory.mktemp("texts") / os.fsdecode(b"\xff\xfe")
    run = make(folder / "finished", "faulty:0.2,0.2,0.2", limit=4)
    planted(run, folder / "A", lambda _: TEXT)
    planted(run, folder / "B", lambda _: TEXT, worse=True)
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("report", "A", "B", "--out", "page.html"), 0),
        (("report", "A", "B", "--out", "table.csv"), 0),
        (("diagnose", "A"), 0),
        (("verify", "A"), 2),
        (("compare", "A", "B", "--out", "compare.json"), 0),
        (("gate", "--baseline", "A", "--candidate", "B", "--policy", "policy.yaml", "--markdown", "gate.md",
          "--junit", "gate.xml", "--json", "gate.json"), 0),
        (("noise", "--runs", "A", "B"), 0),
        (("baseline", "save", "A", "x", "--dir", "kept"), 0),
        (("score", "--rescore", "A", "--out", "again"), 0),
    ],
)  # fmt: skip
def test_commands_take_them(folder: Path, words: tuple[str, ...], code: int) -> None:
    shown = mgsd(*words, cwd=folder, code=code)
    assert shown.encode().decode() == shown


def test_tables_take_them(folder: Path) -> None:
    a, b = load_run(folder / "A"), load_run(folder / "B")
    table = b.to_pandas()
    assert r"\ud800x\udfff" in set(table["illegal"])
    assert set(table["episode"]) == set(a.episodes)
    for result in (diagnose(a), compare(a, b), gate(a, b, policy=folder / "policy.yaml")):
        assert len(result.to_pandas())


def test_answers_stay_as_they_are(folder: Path) -> None:
    assert all(TEXT in sample.text for sample in read_samples(folder / "A"))


def test_a_collected_answer_finds_its_episode(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(r'{"episode": "a\ud800", "text": "x"}')
    open_backend(BackendConfig(model=str(path))).check_asked({r"a\ud800/visual/0"})


def test_what_is_well_formed_stays() -> None:
    for text in ("", "a", "\u00e9\U0001f600", "\\ud800"):
        assert well_formed(text) == text
    assert well_formed("\u00e9\udcff") == "\u00e9\\udcff"


def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path) -> None:
    for words in (["eval", "--backend", "scripted"], ["noise"], ["diagnose"], ["gate", "--baseline", "tiny-mgsd"]):
        assert "--model a b: holds a NUL character" in error(*words, "--model", "a\0b", cwd=tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_arguments_of_an_engine_that_are_nested_deeply_are_taken_as_text(tmp_path: Path) -> None:
    said = error("eval", "--backend", "openai", "--model", "x", "-M", f"timeout={'[' * 2000}", cwd=tmp_path)
    assert said.startswith("mgsd-bench: -M timeout=[[[")


@pytest.fixture
def looks(tmp_path: Path) -> Path:
    """A run in two looks."""
    (tmp_path / "looks.yaml").write_text(
        "{name: looks, about: x, parts: [{task: frozenlake, levels: [3], count: 3}], looks: [classic, classic+blur-1]}"
    )
    words = ("eval", "--backend", "scripted", "--model", "oracle", "--suite", "looks.yaml", "--out", "run")
    mgsd(*words, cwd=tmp_path)
    return tmp_path / "run"


def test_no_cell_of_looks_is_a_formula(looks: Path) -> None:
    edit(looks, theme="=1")
    assert "\n'=1+blur-1,blur,1," in mgsd("robustness", str(looks), "--format", "csv")


@pytest.mark.parametrize("theme", ["=1+1", "a+blur-9", "+", "a+blur-\u0663"])
def test_what_is_no_look_is_one_line(looks: Path, theme: str) -> None:
    edit(looks, theme=theme)
    assert f"the look {ascii(theme)[:3]}" in error("robustness", str(looks))
