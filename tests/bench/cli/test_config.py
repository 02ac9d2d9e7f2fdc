"""Commands that are made of their settings: options, files and ``--set`` say the same."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.config.settings import declared
from mgsd_bench.errors import command_line
from mgsd_bench.evaluation.settings import DiagnosisSettings, EvaluationSettings, ScoreSettings
from mgsd_bench.gating.settings import GateSettings, NoiseSettings
from support.commands import error, mgsd

FILE = """
model: faulty:0.1,0.2,0.1
backend: scripted
suite: smoke
tasks: [maze]
conditions: [visual, symbolic]
limit: 2
seed: 3
engine: {a: 1, b: {c: 2}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.yaml"
    path.write_text(FILE)
    return path


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def test_a_file_says_what_options_say(file: Path, tmp_path: Path) -> None:
    mgsd("eval", "--config", str(file), "--out", str(tmp_path / "file"))
    mgsd(
        "eval", "--model", "faulty:0.1,0.2,0.1", "--backend", "scripted", "--suite", "smoke", "--tasks", "maze",
        "--condition", "visual,symbolic", "--limit", "2", "--seed", "3", "-M", "a=1", "-M", 'b={"c": 2}',
        "--out", str(tmp_path / "options"),
    )  # fmt: skip
    ours, theirs = record(tmp_path / "file"), record(tmp_path / "options")
    assert ours["identity"] == theirs["identity"]
    assert ours["sessions"][0]["config"] == theirs["sessions"][0]["config"]


def test_later_ones_win(file: Path, tmp_path: Path) -> None:
    above = tmp_path / "above.yaml"
    above.write_text("extends: some.yaml\nlimit: 3\nlevels: 3,4\nengine: {b: {d: 3}}\n")
    mgsd(
        "eval", "--config", str(above), "--levels", "4", "--seed", "4", "--repeats", "2", "-M", "e=5",
        "--trust-remote-code",
        "--set", "repeats=1", "--set", "engine.b.c=x", "--out", str(tmp_path / "run"),
    )  # fmt: skip
    found = record(tmp_path / "run")
    identity, config = found["identity"], found["sessions"][0]["config"]
    assert (identity["limit"], identity["levels"], identity["repeats"]) == (3, [4], 1)
    assert (identity["tasks"], identity["conditions"]) == (["maze"], ["visual", "symbolic"])
    assert config["engine_args"] == {"a": 1, "b": {"c": "x", "d": 3}, "e": 5}
    assert (config["sampling"]["seed"], config["trust_remote_code"]) == (4, True)


@pytest.mark.parametrize(
    ("text", "arguments", "line"),
    [
        ("limit: 0", [], "FILE: limit: 0 is not a whole number of 1 or more"),
        ("limt: 1", [], "FILE: limt: no such key; did you mean limit?"),
        ("condition: [visual]", [], "FILE: condition: no such key; did you mean conditions?"),
        ("suite: nope", [], "FILE: suite: nope: unknown suite, and no such file or folder; choose from mgsd-v1, "),
        ("tasks: [maze, chess]", [], "FILE: tasks: chess: not in suite smoke, "),
        ("model: ghost", [], "FILE: model: ghost: unknown scripted model; "),
        ("min_pixels: 999999", [], "FILE: min_pixels: 999999: must not exceed --max-pixels 262144"),
        ("base_url: [http://x]", [], "FILE: base_url: http://x: FILE: backend: scripted asks no server; add --backend"),
        ("data_root: .", [], "FILE: data_root: suite smoke is made, not read; "),
        ("limit: 3", ["--limit", "0"], "--limit 0: must be a whole number of 1 or more"),
        ("limit: 3", ["--set", "limit=0"], "--set limit=0: limit: 0 is not a whole number of 1 or more"),
        ("limit: 3", ["--set", "theme=neon"], "--set theme=neon: maze has classic, plain"),
        ("limit: 3", ["--set", "engine"], "--set engine: write KEY=VALUE"),
        ("extends: none.yaml", [], "FILE: extends: BESIDE/none.yaml: no such file"),
    ],
)
def test_a_mistake_is_said_where_it_was_made(
    text: str, arguments: list[str], line: str, file: Path, tmp_path: Path
) -> None:
    key = text.partition(":")[0]
    file.write_text(re.sub(rf"^{key}: .*\n", "", FILE, flags=re.MULTILINE) + text)
    shown = error("eval", "--config", str(file), *arguments, cwd=tmp_path)
    assert shown.startswith("mgsd-bench: " + line.replace("FILE", str(file)).replace("BESIDE", str(tmp_path)))


def test_a_secret_that_belongs_elsewhere_is_not_shown(file: Path) -> None:
    for given in (["-M", "api_key=hunter2"], ["--set", "engine.api_key=hunter2"]):
        shown = error("eval", "--config", str(file), "--backend", "openai", *given)
        assert "a key given here would be stored" in shown
        assert "hunter2" not in shown


def test_what_is_missing(file: Path, tmp_path: Path) -> None:
    assert error("eval", "--suite", "smoke") == "mgsd-bench: --model: is missing; give it, or a file that has it"
    assert error("gate").startswith("mgsd-bench: --baseline: is missing")
    assert "none.yaml: cannot be read" in error("eval", "--config", str(tmp_path / "none.yaml"))
    file.write_text("[1]")
    assert "must be a mapping" in error("eval", "--config", str(file))


def test_every_command_takes_a_file(file: Path, tmp_path: Path) -> None:
    mgsd("diagnose", "--config", str(file), "--out", str(tmp_path / "run"))
    assert record(tmp_path / "run")["identity"]["conditions"] == ["visual", "symbolic"]
    mgsd("noise", "--config", str(file), "--out", str(tmp_path / "noise"))
    assert record(tmp_path / "noise" / "second")["identity"]["tasks"] == ["maze"]
    answers = tmp_path / "run" / "samples.jsonl"
    scores = tmp_path / "score.yaml"
    scores.write_text(f"{{answers: {answers}, suite: smoke, tasks: maze, limit: 2, conditions: 'visual, symbolic'}}")
    mgsd("score", "--config", str(scores), "--out", str(tmp_path / "scored"))
    assert (tmp_path / "scored/metrics.json").read_text() == (tmp_path / "run/metrics.json").read_text()
    gated = tmp_path / "gate.yaml"
    policy = tmp_path / "policy.yaml"
    policy.write_text("limits: {min_episodes: 1}")
    gated.write_text(f"{{baseline: {tmp_path / 'run'}, candidate: {tmp_path / 'run'}, policy: {policy}}}")
    assert "verdict in" in mgsd("gate", "--config", str(gated), "--inconclusive", "pass")


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("eval", EvaluationSettings),
        ("diagnose", DiagnosisSettings),
        ("score", ScoreSettings),
        ("noise", NoiseSettings),
        ("gate", GateSettings),
    ],
)
def test_help_shows_every_setting_in_its_panel(command: str, model: type) -> None:
    shown = mgsd(command, "--help")
    for field in declared(model).values():
        panel = shown.partition(f"─ {field.setting.panel} ─")[2].partition("╰")[0]
        assert f" {command_line(field.name, None)} " in panel
    assert {"--config", "--set"} <= set(shown.split())


def test_version() -> None:
    assert mgsd("--version") == f"mgsd-bench {version('mgsd-bench')}\n"
