"""`gate`, `baseline`, `power` and `noise` as a user meets them."""

from __future__ import annotations

import csv
import json
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mgsd_bench.backends import BackendConfig, Sampling
from mgsd_bench.cli import app
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.evaluate import Evaluation, evaluate
from mgsd_bench.gate import Measured, MetricRule, Policy, decide
from mgsd_bench.gate_baselines import save_baseline
from mgsd_bench.gate_runs import gate
from mgsd_bench.paired import Change
from mgsd_bench.report.gate import GateReport, gate_report, to_junit, to_markdown
from mgsd_bench.runs import Run, read_run
from mgsd_bench.suites import get_suite, select
from rich.console import Console
from typer.testing import CliRunner

LOOSE = "metrics: {e2e: 10, plan_on_gt: 10}\nlimits: {min_episodes: 1}\n"


def make(folder: Path, model: str, limit: int = 25, **changes: Any) -> Path:
    """A run of a scripted model on lakes and mazes."""
    suite = select(get_suite("mgsd-v1"), ["frozenlake", "maze"], [3, 4])
    config = BackendConfig(
        model, Sampling(seed=changes.pop("seed", 0), max_tokens=changes.pop("max_tokens", 4096)),
        max_pixels=changes.pop("max_pixels", 262_144),
    )  # fmt: skip
    job = Evaluation(suite, limit, ["visual", "symbolic"], 1, "default", "scripted", config, folder)
    evaluate(replace(job, **changes), Console(quiet=True))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make(folder / "old", "noisy-planning:0.1")
    make(folder / "worse", "noisy-planning:0.6")
    return folder


def call(*words: object, code: int = 0) -> str:
    """Run a command in this process; its output, or the one line of its refusal."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, UserError):
        assert int(done.exception.code) == code, done.exception
        assert "\n" not in str(done.exception)
        return str(done.exception)
    assert done.exit_code == code, done.output + repr(done.exception)
    return done.output


def copy(run: Path, to: Path) -> Path:
    shutil.copytree(run, to)
    return to


def edit(run: Path, **identity: Any) -> Path:
    record = json.loads((run / "run.json").read_text())
    record["identity"].update(identity)
    (run / "run.json").write_text(json.dumps(record))
    return run


# --- verdicts ---


def test_the_same_run_passes_and_a_spoiled_one_fails(runs: Path, tmp_path: Path) -> None:
    policy = tmp_path / "gate.yaml"
    policy.write_text(LOOSE)
    options = ("--policy", policy, "--json", tmp_path / "verdict.json")
    shown = call("gate", "--baseline", runs / "old", "--candidate", runs / "old", *options)
    assert "PASS" in shown
    assert json.loads((tmp_path / "verdict.json").read_text())["verdict"] == "pass"
    shown = call("gate", "--baseline", runs / "old", "--candidate", runs / "worse", *options, code=1)
    assert "FAIL: E2E, Plan-on-GT dropped" in shown
    found = json.loads((tmp_path / "verdict.json").read_text())
    assert (found["verdict"], found["exit_code"]) == ("fail", 1)
    assert found["metrics"][0]["change"] < found["metrics"][0]["high"] < 0
    assert found["regressions"][0]["lost"]
    assert sum(row["worse"] for row in found["tasks"]["e2e"]) >= 20


def test_too_few_episodes_are_inconclusive(runs: Path, tmp_path: Path) -> None:
    policy = tmp_path / "gate.yaml"
    policy.write_text("metrics: {e2e: 1}\n")
    target = ("--policy", policy, "--json", tmp_path / "v.json")
    both = ("gate", "--baseline", runs / "old", "--candidate", runs / "old")
    shown = call(*both, *target, code=4)
    assert "INCONCLUSIVE: E2E is open; about" in shown.replace("\n", " ")
    call(*both, *target, "--inconclusive", "pass")
    call(*both, *target, "--inconclusive", "fail", code=1)
    policy.write_text("limits: {min_episodes: 1000}\n")
    assert "only 50 episodes of frozenlake" in call(*both, *target, code=4)


def test_floors(runs: Path, tmp_path: Path) -> None:
    policy = tmp_path / "gate.yaml"
    target = ("--policy", policy, "--json", tmp_path / "v.json", "--junit", tmp_path / "j.xml")
    both = ("gate", "--baseline", runs / "worse", "--candidate", runs / "worse")
    policy.write_text(LOOSE + "floors: [{metric: e2e, task: maze, level: 3, min: 95}]\n")
    assert "E2E maze 3 is below its floor" in call(*both, *target, code=1)
    assert "floor E2E maze 3" in (tmp_path / "j.xml").read_text()
    policy.write_text(LOOSE + "floors: [{metric: state_f1, min: 50}, {metric: e2e, task: maze, min: 1}]\n")
    call(*both, *target)
    policy.write_text(LOOSE + "floors: [{metric: e2e, task: maze, level: 9, min: 1}]\n")
    assert "no such episodes" in call(*both, *target, code=2)


# --- refusals ---


def test_refusals(runs: Path, tmp_path: Path) -> None:
    def refused(candidate: Path, code: int = 3) -> str:
        return call("gate", "--baseline", runs / "old", "--candidate", candidate, code=code)

    assert "other episodes" in refused(edit(copy(runs / "old", tmp_path / "a"), episodes_digest="0" * 64))
    assert "pixel limits" in refused(make(tmp_path / "b", "oracle", max_pixels=100_000))
    assert "max_tokens 99, not 4096" in refused(make(tmp_path / "c", "oracle", max_tokens=99))
    assert "missing metric plan_on_gt" in refused(make(tmp_path / "d", "oracle", conditions=["visual"]))
    assert "prompts or images" in refused(make(tmp_path / "e", "oracle", prompts="compact"))
    assert "other episodes" in refused(make(tmp_path / "f", "oracle", limit=7))
    half = copy(runs / "old", tmp_path / "g")
    record = json.loads((half / "run.json").read_text())
    (half / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    assert "not finished (interrupted)" in refused(half)
    torn = copy(runs / "old", tmp_path / "h")
    (torn / "samples.jsonl").write_bytes((torn / "samples.jsonl").read_bytes()[:-20])
    assert "questions of" in refused(torn)
    corrupt = copy(runs / "old", tmp_path / "i")
    with (corrupt / "samples.jsonl").open("a") as stream:
        stream.write("{nonsense\n")
    assert "samples.jsonl:201: not a sample" in refused(corrupt, 2)
    assert "no run here" in refused(tmp_path / "none", 2)
    assert "scored by version" in refused(edit(copy(runs / "old", tmp_path / "j"), scorer=2))


@pytest.mark.parametrize(("outcome", "says"), [("error", "requests failed (limit 0 %)"), ("truncated", "cut off")])
def test_failed_and_cut_answers_are_no_evidence(runs: Path, outcome: str, says: str) -> None:
    old = read_run(runs / "old")
    spoiled = [replace(sample, outcome=outcome) if i % 8 == 0 else sample for i, sample in enumerate(old.samples)]
    with pytest.raises(UserError, match=r"cut off|requests failed") as caught:
        gate(old, replace(old, samples=spoiled), Policy())
    assert says in str(caught.value)
    assert caught.value.code == Exit.NOT_COMPARABLE


def test_options_that_do_not_go_together(runs: Path) -> None:
    old = runs / "old"
    assert "either --candidate or --model" in call("gate", "--baseline", old, code=2)
    assert "--sequential" in call("gate", "--baseline", old, "--candidate", old, "--sequential", code=2)
    assert "--inconclusive" in call("gate", "--baseline", old, "--candidate", old, "--inconclusive", "x", code=2)
    assert "no baseline of that name" in call("gate", "--baseline", "nobody", "--candidate", old, code=2)
    assert "either --from or" in call("power", "--from", old, old, "--discordance", 5, code=2)
    assert "either --runs or --model" in call("noise", code=2)


# --- asking the candidate ---


def test_a_model_is_asked_what_its_baseline_was_asked(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "candidate"
    shown = call("gate", "--baseline", runs / "old", "--model", "noisy-planning:0.6", "--out", out, code=1)
    assert "200 answers" not in shown
    ours, theirs = (read_run(path).record["identity"] for path in (runs / "old", out))
    assert ours["digest"] == theirs["digest"]
    assert ours["sampling"] == theirs["sampling"]
    same = {sample.key: sample.outcome for sample in read_run(runs / "worse").samples}
    assert {sample.key: sample.outcome for sample in read_run(out).samples} == same


def test_a_sequential_gate_stops_early_and_goes_on_where_it_stopped(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "candidate"
    words = ("gate", "--baseline", runs / "old", "--model", "noisy-planning:0.6", "--sequential", "--out", out)
    shown = call(*words, code=1)
    assert "fail" in shown
    run = read_run(out)
    assert run.record["status"] == "stopped"
    assert 0 < len(run.samples) < 200
    assert "% of the episodes saved" in (out / "verdict.json").read_text()
    before = (out / "samples.jsonl").read_bytes()
    assert "FAIL" in call(*words, code=1)
    assert (out / "samples.jsonl").read_bytes() == before
    assert "not finished (stopped)" in call("gate", "--baseline", runs / "old", "--candidate", out, code=3)


def test_a_sequential_gate_sees_everything_if_it_must(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "candidate"
    call("gate", "--baseline", runs / "old", "--model", "noisy-planning:0.1", "--sequential", "--out", out, code=4)
    assert read_run(out).record["status"] == "complete"


def test_a_model_is_not_asked_if_the_baseline_will_not_do(runs: Path, tmp_path: Path) -> None:
    visual = make(tmp_path / "visual", "oracle", conditions=["visual"])
    shown = call("gate", "--baseline", visual, "--model", "oracle", "--out", tmp_path / "x", code=3)
    assert "missing metric plan_on_gt" in shown
    changed = edit(copy(runs / "old", tmp_path / "changed"), digest="0" * 64)
    shown = call("gate", "--baseline", changed, "--model", "oracle", "--out", tmp_path / "x", code=3)
    assert "prompts default have changed" in shown
    bare = copy(runs / "old", tmp_path / "bare")
    record = json.loads((bare / "run.json").read_text())
    del record["identity"]["pixels"]
    (bare / "run.json").write_text(json.dumps(record))
    assert "lacks a setting" in call("gate", "--baseline", bare, "--model", "oracle", "--out", tmp_path / "x", code=2)
    assert not (tmp_path / "x").exists()


# --- baselines ---


def test_baselines(runs: Path, tmp_path: Path) -> None:
    folder = ("--dir", tmp_path / "kept")
    call("baseline", "save", runs / "old", "v1", *folder)
    kept = tmp_path / "kept" / "v1"
    assert sorted(path.name for path in kept.iterdir()) == [
        "episodes.jsonl", "metrics.json", "run.json", "samples.jsonl",
    ]  # fmt: skip
    assert json.loads((kept / "metrics.json").read_text()) == json.loads((runs / "old" / "metrics.json").read_text())
    assert str(tmp_path) not in (kept / "run.json").read_text()
    assert "v1" in call("baseline", "list", *folder)
    assert "episodes_digest" in call("baseline", "show", "v1", *folder)
    call("gate", "--baseline", "v1", "--candidate", runs / "worse", *folder, "--json", tmp_path / "v.json", code=1)
    assert "exists" in call("baseline", "save", runs / "old", "v1", *folder, code=2)
    assert "not a name" in call("baseline", "save", runs / "old", "../v1", *folder, code=2)
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    call("baseline", "save", runs / "old", "v1", "--force", *folder)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_the_order_of_answers_leaves_no_trace_in_a_baseline(runs: Path, tmp_path: Path) -> None:
    other = copy(runs / "old", tmp_path / "other")
    lines = (other / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (other / "samples.jsonl").write_bytes(b"".join(reversed(lines)))
    folders = [save_baseline(run, name, tmp_path) for run, name in ((runs / "old", "a"), (other, "b"))]
    assert folders[0].joinpath("samples.jsonl").read_bytes() == folders[1].joinpath("samples.jsonl").read_bytes()


def test_an_unfinished_run_is_no_baseline(runs: Path, tmp_path: Path) -> None:
    half = copy(runs / "old", tmp_path / "half")
    record = json.loads((half / "run.json").read_text())
    (half / "run.json").write_text(json.dumps({**record, "status": "running"}))
    assert "not finished" in call("baseline", "save", half, "x", "--dir", tmp_path, code=3)


# --- reports ---


def test_markdown_and_junit(runs: Path, tmp_path: Path) -> None:
    summary, junit = tmp_path / "summary.md", tmp_path / "junit.xml"
    summary.write_text("# before\n")
    call(
        "gate", "--baseline", runs / "old", "--candidate", runs / "worse", "--json", tmp_path / "v.json",
        "--markdown", summary, "--junit", junit, code=1,
    )  # fmt: skip
    text = summary.read_text()
    assert text.startswith("# before\n## ❌ FAIL: E2E, Plan-on-GT dropped\n")
    assert "| metric | n | baseline | candidate | change |" in text
    assert "Levels that lost most" in text
    assert text.count("<details>") == text.count("</details>") == 2
    root = ElementTree.fromstring(junit.read_text())
    assert root.attrib == {"name": "mgsd-bench gate", "tests": "3", "failures": "2", "errors": "0", "skipped": "0"}
    assert [case.attrib["name"] for case in root.iter("testcase")] == [
        "metric E2E", "metric State F1", "metric Plan-on-GT",
    ]  # fmt: skip


def small_report() -> GateReport:
    n, policy = 600, Policy(metrics=(MetricRule("e2e", 0.03, 0.015), MetricRule("plan_on_gt", 0.05, 0.025)))
    weights = np.full(n, 1 / n)
    lost = Change(np.concatenate([np.full(36, -1.0), np.full(6, 1.0), np.zeros(n - 42)]), weights)
    same = Change(np.zeros(n), weights)
    measured = {"e2e": Measured(0.8, 0.75, lost), "plan_on_gt": Measured(0.9, 0.9, same)}
    row = {"task": "maze", "n": n, "baseline": 0.8, "candidate": 0.75, "worse": 36, "better": 6}
    worst = [{"metric": "e2e", "task": "maze", "level": 5, "n": 100, "drop": 0.1, "lost": ["maze/5/0001"]}]
    decision = decide(measured, policy, notes=["backend differs"])
    return GateReport(
        decision, policy, ("old", "runs/old"), ("new", "runs/new"), "mgsd-v1", "ab12" * 16, {"e2e": [row]}, worst
    )


def test_markdown_to_the_letter() -> None:
    assert to_markdown(small_report()) == (
        """\
## ❌ FAIL: E2E dropped

new against old on mgsd-v1 (episodes ab12ab12ab12)

| metric | n | baseline | candidate | change | 95 % bounds | margin | differ | status | p drop |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| E2E | 600 | 80.0 | 75.0 | -5.0 | -7.0 to -3.2 | 3 | 7.0 | dropped | 0.000 |
| Plan-on-GT | 600 | 90.0 | 90.0 | +0.0 | -0.5 to +0.5 | 5 | 0.0 | held | 1.000 |

<details><summary>By task</summary>

| task | metric | n | baseline | candidate | worse | better |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| maze | E2E | 600 | 80.0 | 75.0 | 36 | 6 |

</details>

<details><summary>Levels that lost most</summary>

- maze 5, E2E: 10.0 points of 100; lost maze/5/0001

</details>

- backend differs
"""
    )


def test_junit_to_the_letter() -> None:
    assert to_junit(small_report()) == (
        """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites name="mgsd-bench gate" tests="2" failures="1" errors="0" skipped="0">
  <testsuite name="mgsd-v1 new" tests="2" failures="1" errors="0" skipped="0">
    <testcase classname="mgsd-bench.gate" name="metric E2E">
      <failure message="80.0 to 75.0 %, change -5.0 points (-7.0 to -3.2), margin 3, n 600: dropped">\
maze 5, E2E: 10.0 points of 100; lost maze/5/0001</failure>
    </testcase>
    <testcase classname="mgsd-bench.gate" name="metric Plan-on-GT">
      <system-out>90.0 to 90.0 %, change +0.0 points (-0.5 to +0.5), margin 5, n 600: held</system-out>
    </testcase>
  </testsuite>
</testsuites>
"""
    )


def test_names_from_outside_stay_text(runs: Path) -> None:
    def named(run: Run, name: str) -> Run:
        return replace(run, record={**run.record, "identity": {**run.record["identity"], "model": name}})

    evil = '<img src=x>|`a`\n# b\x1b[31m\x00 & @team "c" ]]>'
    before, after = read_run(runs / "old"), named(read_run(runs / "worse"), evil)
    report = gate_report(before, after, Policy(), gate(before, after, Policy()))
    text, xml = to_markdown(report), to_junit(report)
    assert r"\<img src=x\>\|\`a\` \# b" in text
    assert "@" not in text
    assert "\x1b" not in text + xml
    assert "\n# b" not in text
    (suite,) = ElementTree.fromstring(xml)
    assert "<img src=x>" in suite.attrib["name"]


# --- power and noise ---


def test_power(runs: Path, tmp_path: Path) -> None:
    shown = call("power", "--discordance", 5, "--out", tmp_path / "p.csv")
    assert "drop found" in shown
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [row["n"] for row in rows] == ["120", "240", "600", "1200"]
    found = [float(row["drop found"]) for row in rows]
    assert found == sorted(found, reverse=True)
    assert "E2E" in call("power", "--from", runs / "old", runs / "worse")


def test_noise(runs: Path, tmp_path: Path) -> None:
    words = ("--backend", "scripted", "--suite", "smoke", "--tasks", "maze", "--levels", 3, "--out", tmp_path / "noise")
    shown = call("noise", "--model", "noisy-planning:0.5", *words)
    assert "texts differ" in shown
    first, second = (
        [json.loads(line)["episode"] for line in (tmp_path / "noise" / name / "samples.jsonl").open()]
        for name in ("first", "second")
    )
    assert first[:6] == second[:6][::-1]
    found = json.loads((tmp_path / "noise" / "second" / "noise.json").read_text())
    assert {row["metric"]: row["discordance"] for row in found["metrics"]}["e2e"] == 0
    other = make(tmp_path / "seeded", "noisy-planning:0.1", seed=1)
    assert "other sampling" in call("noise", "--runs", runs / "old", other, code=3)
    assert "of model" in call("noise", "--runs", runs / "old", runs / "worse", code=3)
