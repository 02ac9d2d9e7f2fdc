"""Whole runs of people: answered over the page's server, scored and read as those of models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.analysis.run import load_run
from support.commands import error, mgsd
from support.playing import Expert, novice, played_by, sits_down

pytestmark = pytest.mark.slow

ASKED = ("--suite", "smoke", "--tasks", "frozenlake,minibehaviour", "--levels", "3,5", "--limit", "1")
ALL = ("--condition", "visual,symbolic,act,act-symbolic")


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best that there is: what an expert's answers are to be worth."""
    out = tmp_path_factory.mktemp("oracle") / "run"
    mgsd("eval", "--model", "oracle", "--backend", "scripted", *ASKED, *ALL, "--out", str(out))
    return out


@pytest.fixture(scope="module")
def expert(oracle: Path) -> Expert:
    return Expert(load_run(oracle).episodes.values())


@pytest.fixture(scope="module")
def human(expert: Expert, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An expert's run, interrupted by Ctrl-C, and by the page's button."""
    out = tmp_path_factory.mktemp("human") / "run"
    words = ("play", *ASKED, *ALL, "--out", str(out))
    for most, then, done in ((2, "interrupt", 2), (6, "stop", 6)):
        with played_by(sits_down(expert, most, then)):
            shown = mgsd(*words, code=130)
        why = "interrupted" if then == "interrupt" else "stopped on the page"
        assert f"{why}; {done} of 12 answers are kept in" in shown
        assert record(out)["status"] == "interrupted"
        assert "solved" not in shown
    with played_by(sits_down(expert)):
        shown = mgsd(*words)
    assert "12 of 12 questions were answered" in shown
    return out


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def test_scores_are_those_of_the_same_answers(human: Path, oracle: Path) -> None:
    assert json.loads((human / "metrics.json").read_text()) == json.loads((oracle / "metrics.json").read_text())


def test_a_run_says_that_it_is_a_person_s_and_names_nobody(human: Path) -> None:
    found = record(human)
    assert (found["identity"]["backend"], found["identity"]["model"]) == ("human", "human")
    assert len(found["sessions"]) == 3
    assert {session["backend"]["engine"] for session in found["sessions"]} == {"human"}
    run = load_run(human)
    assert all(sample.seconds is not None and sample.seconds < 60 for sample in run.samples)
    assert all(json.loads(line)["seconds"] is not None for line in (human / "turns.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "{human}"),
        ("report", "{oracle}", "{human}", "--condition", "act"),
        ("compare", "{human}", "{oracle}", "--condition", "act"),
        ("diagnose", "{human}"),
        ("score", "--rescore", "{human}", "--out", "{new}"),
    ],
    ids=" ".join,
)
def test_commands_take_it_as_any_other(words: tuple[str, ...], human: Path, oracle: Path, tmp_path: Path) -> None:
    shown = mgsd(*(word.format(human=human, oracle=oracle, new=tmp_path / "new") for word in words))
    assert "holds" in shown if words[0] == "verify" else "human" in shown or "0 outcomes changed" in shown


def test_nothing_is_asked_again(human: Path) -> None:
    shown = mgsd("play", *ASKED, *ALL, "--out", str(human), "--idle", "0")
    assert "http" not in shown
    assert "12 of 12 questions were answered" in shown


def test_another_name_is_another_run(human: Path) -> None:
    shown = mgsd("play", *ASKED, *ALL, "--name", "ann", "--out", str(human), code=3)
    assert 'holds another run, with model "human" instead of "ann"' in shown


@pytest.mark.parametrize("extra", [("--view", "fog:1"), ("--chunk", "3", "--history", "0"), ("--say-state",)])
def test_settings_of_the_closed_loop_are_kept(extra: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("--suite", "smoke", "--tasks", "maze", "--levels", "3", "--limit", "1", "--condition", "act", *extra)
    with played_by(sits_down(novice)):
        mgsd("play", *words, "--name", "Ann B.", "--out", str(out))
    (sample,) = load_run(out).samples
    assert sample.outcome == "out_of_steps"
    assert sample.loop is not None
    assert sample.loop.unread == 0
    assert record(out)["identity"]["model"] == "Ann B."
    assert "holds" in mgsd("verify", str(out))


def test_other_tasks_and_looks_can_be_played(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "name: mixed\ncount: 1\nlooks: [classic, classic+blur-2]\n"
        "parts: [{task: sokoban, levels: [6]}, {task: minigrid-doorkey, levels: [5]}]\n"
    )
    with played_by(sits_down(novice)):
        shown = mgsd("play", "--suite", str(suite), "--condition", "direct", "--out", str(tmp_path / "run"))
    assert "4 of 4 questions were answered" in shown


def test_nobody_there(tmp_path: Path) -> None:
    shown = mgsd("play", *ASKED, "--idle", "0.1", "--out", str(tmp_path / "run"), code=5)
    url, kept, ended = shown.splitlines()
    assert url.startswith("open http://127.0.0.1:")
    assert "Ctrl-C stops" in kept
    assert "nobody has had the page open for 0.1 s; 0 of 3 answers are kept" in ended


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--name", "a/b"), "--name a/b: "),
        (("--name", ""), "--name"),
        (("--port", "70000"), "--port 70000: "),
        (("--idle", "-1"), "--idle -1.0: must be"),
        (("--tasks", "chess"), "chess"),
        (("--levels", "99"), "99"),
        (("--condition", "act-blind", "--feedback", "none"), "--feedback none: "),
        (("--suite", "none"), "--suite none: unknown suite"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    assert says in error("play", "--suite", "smoke", "--idle", "0.1", "--out", str(tmp_path / "run"), *words)
