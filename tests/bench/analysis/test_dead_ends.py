"""Errors that nothing makes good: in scores, run folders, the diagnosis and the report, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.diagnosis import Diagnosis
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.backends import Response
from mgsd_bench.evaluation.verify import verify
from mgsd_bench.report.dead_ends import dead_ends_table
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import score
from mgsd_envs import Episode, dead_end, get_task, make_episode
from support.commands import mgsd

SOKOBAN = get_task("sokoban")


@pytest.fixture(scope="module")
def episode() -> Episode:
    """A box beside the player, its goal one push on, and a corner behind the goal."""
    facts = {("size", 6), ("player", 1, 1), ("box", 1, 2), ("goal", 1, 3), ("box", 3, 2), ("goal", 3, 3)}
    return make_episode(SOKOBAN, 6, "sokoban/6/0000", SOKOBAN.from_facts(facts))


@pytest.mark.parametrize(
    ("answer", "outcome", "expected"),
    [
        ("RDLDR", "solved", None),
        ("R", "wrong", None),
        ("RR", "wrong", 2),
        ("RRLLDD", "wrong", 2),
        ("RRR", "illegal", 2),
        ("LR", "illegal", None),
    ],
)
def test_the_first_such_action_of_a_plan_that_fails(
    episode: Episode, answer: str, outcome: str, expected: int | None
) -> None:
    scored = score(episode, "direct", Response("k", f"<answer>{answer}</answer>", "stop"))
    assert (scored.outcome, scored.dead_end) == (outcome, expected)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """A run of Sokoban and one of lakes, by a model that plans badly."""

    def run(*of_suite: str) -> Run:
        out = tmp_path_factory.mktemp("runs") / "run"
        model = ("--backend", "scripted", "--model", "faulty:0,0.8,0", "--condition", "visual,symbolic")
        mgsd("eval", *model, *of_suite, "--out", str(out))
        return load_run(out)

    lakes = run("--suite", "smoke", "--tasks", "frozenlake", "--levels", "3,4")
    return run("--suite", "sokoban-v1", "--levels", "6", "--limit", "30"), lakes


def test_only_samples_that_ran_into_one_say_so(runs: tuple[Run, Run]) -> None:
    rooms, lakes = (run.path / "samples.jsonl" for run in runs)
    lines = [json.loads(line) for line in rooms.read_text().splitlines()]
    for row in lines:
        episode = runs[0].episodes[row["episode"]]
        lost = dead_end(SOKOBAN, episode.state, row["plan"]) if row["outcome"] in ("wrong", "illegal") else None
        assert row.get("dead_end") == lost
        assert ("dead_end" in row) == (lost is not None)
    assert any("dead_end" in row for row in lines)
    assert "dead_end" not in lakes.read_text()
    assert list(json.loads(lakes.read_text().splitlines()[0]))[-2:] == ["seconds", "crc"]


def test_a_sample_is_read_as_it_was_written(runs: tuple[Run, Run]) -> None:
    for run in runs:
        for sample in run.samples:
            assert Sample.from_row(json.loads(sample.to_line())) == sample
        assert not verify(run.path).faults
    row = json.loads(runs[0].samples[0].to_line())
    for wrong in ("2", -1, 2.0):
        with pytest.raises(ValueError, match="dead_end is"):
            Sample.from_row(row | {"dead_end": wrong})


def test_another_number_than_the_simulator_s_is_a_fault(runs: tuple[Run, Run], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for path in runs[0].path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    changed = [replace(s, dead_end=s.dead_end and s.dead_end + 1) for s in runs[0].read_samples()]
    (folder / "samples.jsonl").write_bytes(b"".join(sample.to_line() for sample in changed))
    assert any("dead_end is otherwise today" in fault for fault in verify(folder).faults)


def test_the_diagnosis_counts_them(runs: tuple[Run, Run]) -> None:
    diagnosis = diagnose([runs[0]])
    for condition, found in (("visual", diagnosis.macro.dead_ends), ("symbolic", diagnosis.macro.dead_ends_on_gt)):
        samples = [s for s in runs[0].samples if s.condition == condition and s.outcome in ("wrong", "illegal")]
        steps = [s.dead_end for s in samples if s.dead_end is not None]
        assert found is not None
        assert (found.failed, found.count) == (len(samples), len(steps))
        assert found.share is not None
        assert found.share.value == pytest.approx(len(steps) / len(samples))
        assert found.mean_step == (pytest.approx(sum(steps) / len(steps)) if steps else None)
    assert diagnosis.tasks["sokoban"].dead_ends == diagnosis.macro.dead_ends
    again = Diagnosis.from_json(json.loads(json.dumps(diagnosis.to_json())))
    assert again.to_json() == diagnosis.to_json()


def test_tasks_without_dead_ends_have_no_word_of_them(runs: tuple[Run, Run], tmp_path: Path) -> None:
    lakes = diagnose([runs[1]])
    assert lakes.macro.dead_ends is None
    assert "dead_ends" not in json.dumps(lakes.to_json())
    assert dead_ends_table(lakes) is None
    for run, there in zip(runs, (True, False), strict=True):
        mgsd("report", str(run.path), "--out", str(tmp_path / "report.html"))
        assert ("Errors that nothing makes good" in (tmp_path / "report.html").read_text()) == there


def test_the_table(runs: tuple[Run, Run]) -> None:
    diagnosis = diagnose([runs[0]])
    table = dead_ends_table(diagnosis)
    assert table is not None
    console = Console(width=120)
    with console.capture() as shown:
        console.print(table)
    found = diagnosis.macro.dead_ends
    assert found is not None
    assert found.share is not None
    assert f"{found.failed}" in shown.get()
    assert f"{100 * found.share.value:.1f} (" in shown.get()


def test_show_says_when_a_plan_was_lost(tmp_path: Path) -> None:
    suite = ("--suite", "sokoban-v1", "--levels", "6", "--out", str(tmp_path / "a.png"))
    shown = mgsd("show", "sokoban/6/0002", "--suite", "sokoban-v1", "--plan", "DDDLLUU", *suite[4:])
    assert "nothing could save it" in shown
    assert "nothing could save it" not in mgsd("show", "sokoban/6/0002", *suite[:2], *suite[4:])
