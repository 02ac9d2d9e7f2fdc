"""What a gate writes for people and for CI servers."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.gating.decision import Measured, decide
from mgsd_bench.gating.policy import MetricRule, Policy
from mgsd_bench.gating.result import GateDecision, LevelLoss, Side, TaskChange, gate
from mgsd_bench.report.gate import to_junit, to_markdown
from mgsd_bench.statistics.paired import Change
from support.gating import call


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


def small_report() -> GateDecision:
    n, policy = 600, Policy(metrics=(MetricRule("e2e", 0.03, 0.015), MetricRule("plan_on_gt", 0.05, 0.025)))
    weights = np.full(n, 1 / n)
    lost = Change(np.concatenate([np.full(36, -1.0), np.full(6, 1.0), np.zeros(n - 42)]), weights)
    same = Change(np.zeros(n), weights)
    measured = {"e2e": Measured(0.8, 0.75, lost), "plan_on_gt": Measured(0.9, 0.9, same)}
    decision = decide(measured, policy, notes=["backend differs"])
    return GateDecision(
        decision=decision,
        policy=policy,
        baseline=Side("old", "runs/old"),
        candidate=Side("new", "runs/new"),
        suite="mgsd-v1",
        episodes_digest="ab12" * 16,
        tasks={"e2e": (TaskChange("maze", n, 0.8, 0.75, 36, 6),)},
        regressions=(LevelLoss("e2e", "maze", 5, 100, 0.1, ("maze/5/0001",)),),
    )


def test_a_verdict_survives_its_json_form() -> None:
    found = small_report()
    assert GateDecision.from_json(found.to_json()).to_json() == found.to_json()
    assert list(found.to_pandas()["status"]) == [row.status.value for row in found.metrics]
    for broken in ({}, [], {**found.to_json(), "verdict": "maybe"}, {**found.to_json(), "metrics": [1]}):
        with pytest.raises(ValueError):
            GateDecision.from_json(broken)


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

- maze 5, E2E: -10.0 points in 100; lost maze/5/0001

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
maze 5, E2E: -10.0 points in 100; lost maze/5/0001</failure>
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
    before, after = load_run(runs / "old"), named(load_run(runs / "worse"), evil)
    report = gate(before, after, Policy())
    text, xml = to_markdown(report), to_junit(report)
    assert r"\<img src=x\>\|\`a\` \# b" in text
    assert "@" not in text
    assert "\x1b" not in text + xml
    assert "\n# b" not in text
    (suite,) = ElementTree.fromstring(xml)
    assert "<img src=x>" in suite.attrib["name"]
