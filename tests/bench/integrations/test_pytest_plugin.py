"""The fixture `mgsd_gate`, in the tests of somebody who trains checkpoints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.gating import LOOSE, make

pytestmark = pytest.mark.slow

pytest_plugins = "pytester"

HEAVY = ("numpy", "scipy", "PIL", "yaml", "rich", "typer", "matplotlib", "torch", "mgsd_envs", "mgsd_bench.gating")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make(folder / "old", "noisy-planning:0.1")
    make(folder / "worse", "noisy-planning:0.6")
    make(folder / "seeded", "noisy-planning:0.1", seed=1)
    (folder / "loose.yaml").write_text(LOOSE)
    (folder / "strict.yaml").write_text("metrics: {e2e: 1}\n")
    return folder


def in_process(pytester: pytest.Pytester, code: str, *options: str) -> pytest.RunResult:
    """Run tests in a pytest of their own."""
    pytester.makepyfile(code)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


def test_verdicts(runs: Path, pytester: pytest.Pytester) -> None:
    for name in ("loose.yaml", "strict.yaml"):
        pytester.path.joinpath(name).write_text((runs / name).read_text())
    pytester.makeini(f"[pytest]\nmgsd_baseline = {runs / 'old'}\nmgsd_policy = loose.yaml\n")
    result = in_process(
        pytester,
        f"""
        from pathlib import Path

        RUNS = Path({str(runs)!r})

        def test_pass(mgsd_gate):
            decision = mgsd_gate(candidate=RUNS / "old")
            assert decision.verdict == "pass"
            assert [row.rule.metric for row in decision.metrics] == ["e2e", "plan_on_gt"]

        def test_fail(mgsd_gate):
            mgsd_gate(candidate=RUNS / "worse")

        def test_undecided(mgsd_gate):
            mgsd_gate(candidate=RUNS / "old", policy="strict.yaml")

        def test_undecided_skip(mgsd_gate):
            mgsd_gate(candidate=RUNS / "old", policy="strict.yaml", inconclusive="skip")

        def test_undecided_pass(mgsd_gate):
            decision = mgsd_gate(candidate=RUNS / "old", policy="strict.yaml", inconclusive="pass")
            assert decision.verdict == "inconclusive"

        def test_not_comparable(mgsd_gate):
            mgsd_gate(candidate=RUNS / "seeded")

        def test_mistake(mgsd_gate):
            mgsd_gate(candidate="nowhere")
        """,
    )
    result.assert_outcomes(passed=2, skipped=1, failed=4)
    result.stdout.fnmatch_lines(
        [
            "*_ test_fail _*",
            "FAIL: E2E, Plan-on-GT dropped",
            "*E2E *dropped*",
            "*frozenlake *E2E: * points in 25; lost *",
            f"answers in {runs / 'worse'}",
            "*_ test_undecided _*",
            "INCONCLUSIVE: E2E is open*",
            "*_ test_not_comparable _*",
            f"mgsd_gate: {runs / 'seeded'}: other sampling than *",
            "*_ test_mistake _*",
            "mgsd_gate: nowhere: no run here*",
            "FAILED *::test_fail - Failed: FAIL: E2E, Plan-on-GT dropped",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert ".py:" not in "".join(line for line in result.outlines if "mgsd_bench" in line)


def test_a_model_is_asked_and_defaults_come_from_the_command_line(runs: Path, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("baselines", "gate").mkdir(parents=True)
    pytester.path.joinpath("baselines", "gate", "production").symlink_to(runs / "old")
    pytester.makeini("[pytest]\nmgsd_baseline = nobody\n")
    result = in_process(
        pytester,
        """
        from pathlib import Path

        def test_model(mgsd_gate):
            assert mgsd_gate(model="noisy-planning:0.1").verdict == "pass"
            assert not Path("runs").exists()

        def test_resumed(mgsd_gate):
            mgsd_gate(model="noisy-planning:0.6", out="mine", sequential=True)
        """,
        "--mgsd-baseline=production",
        f"--mgsd-policy={runs / 'loose.yaml'}",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAIL: *", f"answers in {pytester.path / 'mine'}"])
    assert (pytester.path / "mine" / "samples.jsonl").exists()


def test_without_a_baseline(pytester: pytest.Pytester) -> None:
    result = in_process(pytester, 'def test_it(mgsd_gate): mgsd_gate(model="oracle")')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["mgsd_gate: no baseline; give baseline=, --mgsd-baseline or ini mgsd_baseline"])


def test_the_options_explain_themselves(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--help")
    result.stdout.fnmatch_lines(["mgsd-bench:", "*--mgsd-baseline=NAME*", "*--mgsd-policy=PATH*", "*mgsd_baselines *"])


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    code = f"import sys, mgsd_bench.integrations.pytest_plugin; print([m for m in {HEAVY!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
