"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from mgsd_bench.report.figures import all_figures
from mgsd_envs import get_task
from support.commands import error, mgsd

HEAVY = (
    "torch",
    "vllm",
    "transformers",
    "matplotlib",
    "pandas",
    "scipy",
    "gymnasium",
    "minigrid",
    "pydantic",
    "pygame",
    "datasets",
)


def test_it_starts_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "mgsd_bench", "suites"], capture_output=True, text=True, check=True)
    assert "mgsd-v1" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "mgsd_bench", "eval", "--limit", "0"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize("command", [[], ["eval"], ["generate"], ["show"], ["suites"], ["tasks"], ["models", "tiny"]])
def test_help(command: list[str]) -> None:
    assert "Usage" in mgsd(*command, "--help")


def test_nothing_heavy_is_imported_for_help_or_scripted_answers() -> None:
    code = (
        "import sys, mgsd_bench.cli, mgsd_bench.evaluation.evaluate, mgsd_bench.suites.export, mgsd_envs;"
        "import mgsd_bench.backends.scripted;"
        "[f.load() for f in __import__('importlib.metadata').metadata.entry_points(group='mgsd_envs.tasks')];"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_environments_do_not_know_the_benchmark() -> None:
    code = "import sys, mgsd_envs, mgsd_envs.episodes; print([m for m in sys.modules if m.startswith('mgsd_bench')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_eval_ends_with_a_table_that_fits_a_terminal(tmp_path: Path) -> None:
    out = tmp_path / "run"
    shown = mgsd(
        "eval", "--backend", "scripted", "--model", "noisy-planning:0.5", "--suite", "smoke", "--out", str(out)
    )
    assert all(len(line) <= 80 or str(out) in line for line in shown.splitlines())
    assert re.search(r"frozenlake +all +36 +\d+\.\d +\d+\.\d–\d+\.\d +\d+\.\d", shown)
    assert re.search(r"macro +72 +\d+\.\d", shown)
    assert f"72 of 72 questions were answered; run in {out}" in shown
    metrics = json.loads((out / "metrics.json").read_text())
    (task,) = [row for row in metrics["conditions"]["visual"]["tasks"] if row["task"] == "maze"]
    assert f"{100 * task['accuracy']['value']:.1f}" in shown


def test_eval_lists_conditions_and_default_folder(tmp_path: Path) -> None:
    mgsd(
        "eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--tasks", "maze,frozenlake",
        "--levels", "3", "--levels", "4,5", "--condition", "visual,symbolic", "--condition", "direct", "--limit", "2",
        cwd=tmp_path,
    )  # fmt: skip
    record = json.loads((tmp_path / "runs/smoke-oracle/run.json").read_text())
    assert record["identity"]["tasks"] == ["frozenlake", "maze"]
    assert record["identity"]["levels"] == [3, 4, 5]
    rows = [json.loads(line) for line in (tmp_path / "runs/smoke-oracle/samples.jsonl").read_text().splitlines()]
    assert len(rows) == 3 * 6 * 2
    assert {row["condition"] for row in rows if row["facts"]} == {"visual"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "nope"], "--suite nope"),
        (["--tasks", "chess"], "--tasks chess"),
        (["--levels", "three"], "--levels three"),
        (["--levels", "99"], "--levels 99"),
        (["--condition", "smell"], "--condition smell"),
        (["--condition", ","], "--condition"),
        (["--limit", "0"], "--limit 0"),
        (["--repeats", "0"], "--repeats 0"),
        (["--prompts", "/nowhere"], "--prompts /nowhere"),
        (["--theme", "neon"], "--theme neon"),
        (["--backend", "abacus"], "--backend abacus"),
        (["-M", "max_num_seqs"], "-M max_num_seqs"),
        (["--min-pixels", "9999999"], "--min-pixels"),
        (["--model", "ghost"], "--model ghost"),
        (["--backend", "vllm", "--repeats", "2"], "--temperature"),
    ],
)
def test_eval_mistakes(tmp_path: Path, arguments: list[str], words: str) -> None:
    line = error("eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", *arguments, cwd=tmp_path)
    assert words in line


def test_generate_folder(tmp_path: Path) -> None:
    out = tmp_path / "data"
    assert "72 episodes" in mgsd("generate", str(out), "--suite", "smoke", "--size", "128")
    rows = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    assert len(rows) == 72 == len(list((out / "images").iterdir()))
    assert json.loads((out / "suite.json").read_text())["episodes"] == 72
    for row in rows[::9]:
        task = get_task(row["task"])
        state = task.from_json(row["state"])
        assert task.parse(row["text"]) == task.facts(state)
        assert len(task.solve(state) or ()) == row["shortest"] == len(row["plan"])
        with Image.open(out / row["image"]) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert (pixels == task.draw(state, row["theme"], 128).rgb()).all()
    assert "already holds something" in error("generate", str(out), "--suite", "smoke")


def test_generate_to_order(tmp_path: Path) -> None:
    out = tmp_path / "data"
    mgsd(
        "generate",
        str(out),
        "--count",
        "7",
        "--tasks",
        "frozenlake",
        "--levels",
        "4",
        "--length",
        "5-6",
        "--theme",
        "plain",
    )
    rows = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    assert len(rows) == 7
    assert {row["shortest"] for row in rows} <= {5, 6}
    assert {(row["split"], row["theme"]) for row in rows} == {("train", "plain")}


def test_generate_mistakes(tmp_path: Path) -> None:
    new = str(tmp_path / "new")
    assert "--format zip" in error("generate", new, "--suite", "smoke", "--format", "zip")
    assert "distinct" in error("generate", new, "--count", "9999", "--tasks", "maze", "--levels", "3")
    assert "--size 32" in error("generate", new, "--count", "1", "--tasks", "maze", "--levels", "20", "--size", "32")
    (tmp_path / "file").write_text("")
    error("generate", str(tmp_path / "file"), "--suite", "smoke")


MAZE = ("show", "maze/3/0000", "--suite", "smoke")


def test_show(tmp_path: Path) -> None:
    shown = mgsd("show", "frozenlake/4/0001", "--suite", "smoke")
    assert "▀" not in shown
    assert "H H H H\n. . . P\n. H H H\nG H . .\nG goal, H hole, P player\n" in shown
    assert "+---+---+---+\n| .   .   . |\n+   +---+   +\n| . | . | G |\n+---+   +   +\n" in mgsd(*MAZE)
    assert re.search(r"plan: [LDRU]+, solved; shortest: \d+ actions", shown)
    mgsd("show", "minibehaviour/5/0001", "--suite", "smoke", "--out", str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (512, 512)
    assert re.search(r"illegal \((off_grid|wall) at action \d\)", mgsd(*MAZE, "--plan", "UUUUUUUUU"))
    assert "--plan ?" in error(*MAZE, "--plan", "?")
    assert "no such episode" in error("show", "maze/3/xyz", "--suite", "smoke")
    assert "--out" in error(*MAZE, "--out", str(tmp_path / "none" / "a.png"))


def test_show_draws_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = mgsd(*MAZE)
    assert shown.count("▀") > 1000
    assert "+---+" not in shown


def test_lists() -> None:
    assert re.search(r"mgsd-v1 .* 1200 ", mgsd("suites"))
    tasks = mgsd("tasks")
    assert all(name in tasks for name in ("frozenlake", "maze", "minibehaviour"))


@pytest.mark.slow
def test_report(tmp_path: Path) -> None:
    runs = [str(tmp_path / model) for model in ("oracle", "straight")]
    for run in runs:
        mgsd("eval", "--backend", "scripted", "--model", Path(run).name, "--suite", "smoke", "--out", run)
    shown = mgsd("report", *runs)
    assert re.search(r"oracle +72 +100\.0 \(\d+–100\)", shown)
    assert all(len(line) <= 80 for line in shown.splitlines())
    for suffix, start in (("md", "|"), ("tex", "%"), ("csv", "model,"), ("html", "<!doctype html>")):
        target = tmp_path / "deep" / f"table.{suffix}"
        figures = ("--figures", str(tmp_path / "figures")) if suffix == "md" else ()
        mgsd("report", *runs, "--out", str(target), *figures)
        assert target.read_text().lower().lstrip().startswith(start), suffix
    assert mgsd("report", *runs, "--format", "csv") == (tmp_path / "deep" / "table.csv").read_text()
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".svg", ".png"}
    assert "--format pdf" in error("report", *runs, "--format", "pdf")
    assert "--out" in error("report", *runs, "--format", "html")
    other = str(tmp_path / "other")
    mgsd("eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--tasks", "maze", "--out", other)
    assert "digest" in error("report", runs[0], other, code=3)
    assert "no run here" in error("report", str(tmp_path))
    assert "under the condition symbolic" in error("report", runs[0], "--condition", "symbolic", code=3)
    record = json.loads((tmp_path / "oracle/run.json").read_text())
    ask = ("eval", "--backend", "scripted", "--model", "random", "--suite", "smoke", "--prompts", "compact")
    mgsd(*ask, "--out", str(tmp_path / "c"))
    assert "other prompts" in error("report", runs[0], str(tmp_path / "c"), code=3)
    (tmp_path / "oracle/run.json").write_text(json.dumps({**record, "status": "running"}))
    assert "not finished" in error("report", runs[0], code=3)


@pytest.mark.slow
def test_report_as_a_page(tmp_path: Path) -> None:
    ask = ("eval", "--backend", "scripted", "--suite", "smoke", "--tasks", "maze", "--levels", "3,4")
    runs = [str(tmp_path / model) for model in ("oracle", "straight")]
    for run in runs:
        mgsd(*ask, "--model", Path(run).name, "--out", run)
    out, figures = tmp_path / "report.html", tmp_path / "figures"
    with patch("mgsd_bench.report.figures.all_figures", wraps=all_figures) as draw:
        mgsd("report", *runs, "--out", str(out), "--figures", str(figures))
    assert draw.call_count == 1
    page = out.read_text()
    assert re.search(r"<b>oracle</b> solves 100 % .* points above straight \(\d+–\d+\), paired", page)
    assert (figures / "attribution.png").exists()

    other = str(tmp_path / "compact")
    mgsd(*ask, "--model", "straight", "--prompts", "compact", "--out", other)
    out.unlink()
    shown = mgsd("report", runs[0], other, "--out", str(out), code=3)
    assert "written all the same" in shown
    assert "other prompts" in shown
    page = out.read_text()
    assert "not comparable with straight (prompts)" in page
    assert " points above " not in page

    text = str(tmp_path / "text")
    mgsd(*ask, "--model", "oracle", "--condition", "symbolic", "--out", text)
    mgsd("report", text, "--condition", "symbolic", "--out", str(out))
    assert "<b>oracle</b> solves 100 %" in out.read_text()
    shown = mgsd("report", runs[1], text, "--out", str(out), code=3)
    assert "oracle</b> was not asked under the condition visual (it has symbolic)." in out.read_text()

    out.unlink()
    record = json.loads((tmp_path / "straight/run.json").read_text())
    (tmp_path / "straight/run.json").write_text(json.dumps({**record, "status": "running"}))
    assert "not finished" in error("report", *runs, "--out", str(out), code=3)
    assert not out.exists()


def test_diagnose_a_model_and_then_its_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    shown = mgsd(
        "diagnose", "--backend", "scripted", "--model", "faulty:0.1,0.2,0.1", "--suite", "smoke", "--out", str(out)
    )
    sentences = ("answers hold nothing that could be read", str(out))  # which the terminal wraps
    assert all(len(line) <= 80 or any(said in line for said in sentences) for line in shown.splitlines())
    assert re.search(r"State F1 +Plan-on-GT +E2E +gap", shown)
    found = (out / "diagnosis.json").read_bytes()
    assert json.loads(found)["conditions"] == ["perceive", "symbolic", "visual"]
    mgsd("diagnose", str(out))
    assert (out / "diagnosis.json").read_bytes() == found


def test_diagnose_takes_conditions_from_several_runs(tmp_path: Path) -> None:
    for condition in ("visual", "symbolic"):
        ask = ("eval", "--backend", "scripted", "--model", "faulty:0.1,0.2,0.1", "--suite", "smoke")
        mgsd(*ask, "--condition", condition, "--out", str(tmp_path / condition))
    mgsd("diagnose", str(tmp_path / "visual"), str(tmp_path / "symbolic"))
    assert json.loads((tmp_path / "visual/diagnosis.json").read_text())["macro"]["gap"]["difference"]["n"] == 72
    assert "condition visual" in error("diagnose", str(tmp_path / "symbolic"))
    mgsd("eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--out", str(tmp_path / "other"))
    assert "another model" in error("diagnose", str(tmp_path / "visual"), str(tmp_path / "other"), code=3)
    assert "--model" in error("diagnose")
    assert "--model" in error("diagnose", str(tmp_path / "visual"), "--model", "x")


def test_compare(tmp_path: Path) -> None:
    runs = [str(tmp_path / f"p{rate}") for rate in (2, 5)]
    for run, rate in zip(runs, (0.2, 0.5), strict=True):
        mgsd("eval", "--backend", "scripted", "--model", f"noisy-planning:{rate}", "--suite", "smoke", "--out", run)
    shown = mgsd("compare", *runs, "--out", str(tmp_path / "changes.json"))
    assert all(len(line) <= 80 for line in shown.splitlines())
    (found,) = json.loads((tmp_path / "changes.json").read_text())
    assert found["macro"]["difference"]["value"] < 0
    assert f"{len(found['regressed'])} regressed: " in shown
    assert not found["improved"]
    assert "two run folders" in error("compare", runs[0])


def test_score_answers_from_elsewhere(tmp_path: Path) -> None:
    mgsd(
        "eval",
        "--backend",
        "scripted",
        "--model",
        "noisy-planning:0.5",
        "--suite",
        "smoke",
        "--out",
        str(tmp_path / "run"),
    )
    rows = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"episode": row["episode"], "text": row["text"]}) + "\n" for row in rows))
    score = ("score", "--suite", "smoke", "--answers", str(answers))
    mgsd(*score, "--out", str(tmp_path / "scored"))
    assert (tmp_path / "scored/metrics.json").read_bytes() == (tmp_path / "run/metrics.json").read_bytes()
    lines = answers.read_text().splitlines(keepends=True)
    answers.write_text("".join(lines[:-2]))
    assert "2 requests failed" in mgsd(*score, "--out", str(tmp_path / "missing"), code=5)
    for damage, words in (
        ("{\n", ":73: not JSON"),
        ('{"text": "x"}\n', ":73: an answer needs"),
        ('{"episode": "maze/9/0000", "text": "x"}\n', ":73: answers maze/9/0000/visual/0"),
        (lines[0], ":73: a second answer"),
    ):
        answers.write_text("".join(lines) + damage)
        assert words in error(*score, "--out", str(tmp_path / "bad"))
    assert "cannot be read" in error(*score[:-1], str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "bad"))


def test_names_are_text_and_not_markup(tmp_path: Path) -> None:
    out = str(tmp_path / "[/x]")
    ask = ("eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--tasks", "maze")
    assert f"run in {out}" in mgsd(*ask, "--out", out)
    lines = (Path(out) / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (Path(out) / "samples.jsonl").write_bytes(b"".join(lines[:-1]))
    assert f"resuming {out}" in mgsd(*ask, "--out", out)
    assert f"diagnosis in {out}" in mgsd("diagnose", out)


def test_answers_to_unknown_episodes_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    mgsd("eval", "--backend", "scripted", "--model", "oracle", "--suite", "smoke", "--tasks", "maze", "--out", str(run))
    lines = (run / "episodes.jsonl").read_text().splitlines(keepends=True)
    (run / "episodes.jsonl").write_text("".join(lines[1:]))
    assert "does not hold the episodes of run.json" in error("diagnose", str(run))


def test_special_files_are_one_line_at_once(tmp_path: Path) -> None:
    """A pipe that nobody writes to is never waited for, wherever a file or a folder is named."""
    pipe, run = tmp_path / "pipe.yaml", tmp_path / "run"
    os.mkfifo(pipe)
    model = ("--backend", "scripted", "--model", "oracle", "--suite", "smoke")
    mgsd("eval", *model, "--out", str(run))
    for name in ("run.json", "episodes.jsonl", "samples.jsonl"):
        broken = tmp_path / f"no-{name.partition('.')[0]}"
        shutil.copytree(run, broken)
        (broken / name).unlink()
        os.mkfifo(broken / name)
    prompts = tmp_path / "prompts"
    for name in ("frozenlake", "maze", "minibehaviour"):
        shutil.copytree(get_task(name).prompts / "compact", prompts / name)
    (prompts / "maze" / "visual.txt").unlink()
    os.mkfifo(prompts / "maze" / "visual.txt")
    new = ("--out", str(tmp_path / "new"))
    for words in (
        ("eval", *model, *new, "--config", str(pipe)),
        ("eval", *model, *new, "--prompts", str(prompts)),
        ("score", "--answers", str(pipe), "--suite", "smoke", *new),
        ("gate", "--candidate", str(run), "--baseline", str(run), "--policy", str(pipe)),
        ("table1", "--config", str(pipe)),
        ("train", "run", str(pipe), "--dry-run"),
        *(("diagnose", str(tmp_path / f"no-{name}")) for name in ("run", "episodes", "samples")),
        *(("eval", *model, "--out", str(tmp_path / f"no-{name}")) for name in ("run", "samples")),
    ):
        shown = error(*words)
        assert "a pipe, not a file" in shown, words
