"""`gate`, `baseline`, `power` and `noise` as a user meets them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mgsd_bench.analysis.run import load_run
from mgsd_bench.backends.checkpoints import fingerprint
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.gating.policy import Policy
from mgsd_bench.gating.result import gate
from mgsd_bench.runs.scoring import SCORER_VERSION
from support.gating import LOOSE, call, copy, edit, make

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
    assert "image limits" in refused(make(tmp_path / "b", "oracle", max_pixels=100_000))
    assert "max_tokens 99, not max_tokens 4096" in refused(make(tmp_path / "c", "oracle", max_tokens=99))
    assert "missing metric plan_on_gt" in refused(make(tmp_path / "d", "oracle", conditions=["visual"]))
    assert "prompts or images" in refused(make(tmp_path / "e", "oracle", prompts="compact"))
    assert "other episodes" in refused(make(tmp_path / "f", "oracle", limit=7))
    half = copy(runs / "old", tmp_path / "g")
    record = json.loads((half / "run.json").read_text())
    (half / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    assert "not finished (interrupted)" in refused(half)
    torn = copy(runs / "old", tmp_path / "h")
    (torn / "samples.jsonl").write_bytes((torn / "samples.jsonl").read_bytes()[:-20])
    assert "other symbolic questions" in refused(torn)
    corrupt = copy(runs / "old", tmp_path / "i")
    with (corrupt / "samples.jsonl").open("a") as stream:
        stream.write("{nonsense\n")
    assert "samples.jsonl:201: not a sample" in refused(corrupt, 2)
    assert "no run here" in refused(tmp_path / "none", 2)
    assert "scored by version" in refused(edit(copy(runs / "old", tmp_path / "j"), scorer=SCORER_VERSION + 1))


@pytest.mark.parametrize(("outcome", "says"), [("error", "requests failed (limit 0 %)"), ("truncated", "cut off")])
def test_failed_and_cut_answers_are_no_evidence(runs: Path, outcome: str, says: str) -> None:
    old = load_run(runs / "old")
    spoiled = [replace(sample, outcome=outcome) if i % 8 == 0 else sample for i, sample in enumerate(old.samples)]
    with pytest.raises(UserError, match=r"cut off|requests failed") as caught:
        gate(old, replace(old, given=spoiled), Policy())
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
    asked = ("gate", "--baseline", old, "--model", "oracle", "--base-url", "http://localhost:8000")
    assert "add --backend openai" in call(*asked, code=2)


# --- asking the candidate ---


def test_a_model_is_asked_what_its_baseline_was_asked(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "candidate"
    shown = call("gate", "--baseline", runs / "old", "--model", "noisy-planning:0.6", "--out", out, code=1)
    assert "200 answers" not in shown
    ours, theirs = (load_run(path).record["identity"] for path in (runs / "old", out))
    assert ours["digest"] == theirs["digest"]
    assert ours["sampling"] == theirs["sampling"]
    same = {sample.key: sample.outcome for sample in load_run(runs / "worse").samples}
    assert {sample.key: sample.outcome for sample in load_run(out).samples} == same


def test_a_sequential_gate_stops_early_and_goes_on_where_it_stopped(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "candidate"
    words = ("gate", "--baseline", runs / "old", "--model", "noisy-planning:0.6", "--sequential", "--out", out)
    shown = call(*words, code=1)
    assert "fail" in shown
    run = load_run(out)
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
    assert load_run(out).record["status"] == "complete"


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


def test_answers_of_other_weights_are_not_taken_for_the_candidates(runs: Path, tmp_path: Path) -> None:
    """Nothing is left to ask of a finished run, so no engine would notice that the checkpoint is another by now."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    before, after, policy = (tmp_path / name for name in ("before", "after", "gate.yaml"))
    policy.write_text(LOOSE)
    options = ("--policy", policy, "--out", after)
    call("gate", "--baseline", runs / "old", "--model", "noisy-planning:0.1", *options)
    edit(copy(runs / "old", before), backend="vllm")
    edit(after, backend="vllm", model=str(checkpoint))
    record = json.loads((after / "run.json").read_text())
    record["sessions"][0]["backend"] = {"engine": "vllm", "fingerprint": fingerprint(checkpoint)}
    (after / "run.json").write_text(json.dumps(record))
    words = ("gate", "--baseline", before, "--model", checkpoint, *options)
    assert "PASS" in call(*words)
    (checkpoint / "config.json").write_text('{"trained": "more"}')
    assert "holds answers of other weights" in call(*words, code=3)


# --- power and noise ---


@pytest.mark.slow
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
    assert "another model" in call("noise", "--runs", runs / "old", runs / "worse", code=3)
