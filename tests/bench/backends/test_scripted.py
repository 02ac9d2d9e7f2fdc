"""Scripted models do what their names say, and the pipeline finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from scipy.stats import binomtest

from mgsd_bench.analysis.run import load_run
from mgsd_bench.backends import BackendConfig, generate, open_backend, single_turn
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.runs.sample import Sample
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import Suite, episodes
from mgsd_envs import get_task


def run(model: str, out: Path, suite: str = "mgsd-v1") -> list[Sample]:
    chosen: Suite = find_suite(suite)
    evaluate(
        Evaluation(chosen, None, ["visual"], 1, "compact", "scripted", BackendConfig(model), out), Console(quiet=True)
    )
    return load_run(out).samples


def test_oracle_solves_everything_with_as_few_actions_as_possible(tmp_path: Path) -> None:
    samples = run("oracle", tmp_path / "run")
    assert len(samples) == 1200
    assert len({(s.task, s.level) for s in samples}) == 12
    assert all(s.outcome == "solved" and s.optimal for s in samples)
    by_id = {e.id: e for e in episodes(find_suite("mgsd-v1"))}
    for s in samples:
        truth = get_task(s.task).facts(by_id[s.episode].state)
        assert {tuple(fact) for fact in s.facts} == truth


def test_straight_solves_just_the_straight_episodes(tmp_path: Path) -> None:
    samples = run("straight", tmp_path / "run")
    assert all((s.outcome == "solved") == s.straight for s in samples)
    assert 0 < sum(s.straight for s in samples) <= 400


@pytest.mark.slow
def test_random_is_poor(tmp_path: Path) -> None:
    samples = run("random", tmp_path / "run")
    assert sum(s.outcome == "solved" for s in samples) < 0.15 * len(samples)


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
@pytest.mark.slow
def test_noisy_planning_fails_at_its_rate(tmp_path: Path, rate: float) -> None:
    samples = run(f"noisy-planning:{rate}", tmp_path / "run")
    failed = sum(s.outcome != "solved" for s in samples)
    assert binomtest(failed, len(samples), rate).pvalue > 0.001
    assert all(s.outcome in ("wrong", "illegal") for s in samples if s.outcome != "solved")


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
@pytest.mark.slow
def test_noisy_perception_misreads_at_its_rate(tmp_path: Path, rate: float) -> None:
    samples = run(f"noisy-perception:{rate}", tmp_path / "run")
    by_id = {e.id: e for e in episodes(find_suite("mgsd-v1"))}
    kept = total = 0
    for s in samples:
        truth = {fact for fact in get_task(s.task).facts(by_id[s.episode].state) if fact[0] != "size"}
        kept += len(truth & {tuple(fact) for fact in s.facts})
        total += len(truth)
    assert binomtest(total - kept, total, rate).pvalue > 0.001


def test_faulty_breaks_its_format_at_its_rate(tmp_path: Path) -> None:
    samples = run("faulty:0,0,0.3", tmp_path / "run")
    broken = sum(s.outcome == "no_answer" for s in samples)
    assert binomtest(broken, len(samples), 0.3).pvalue > 0.001
    assert all(s.outcome in ("solved", "no_answer") for s in samples)


def test_perception_is_not_at_fault_where_the_state_is_given(tmp_path: Path) -> None:
    job = Evaluation(
        find_suite("smoke"), None, ["symbolic", "perceive"], 1, "compact", "scripted",
        BackendConfig("noisy-perception:1"), tmp_path / "run",
    )  # fmt: skip
    evaluate(job, Console(quiet=True))
    outcomes = {(s.condition, s.outcome) for s in load_run(tmp_path / "run").samples}
    assert outcomes == {("symbolic", "solved"), ("perceive", "wrong")}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nobody",
        "noisy-planning",
        "noisy-planning:",
        "noisy-planning:2",
        "noisy-planning:x",
        "oracle:1",
        "faulty:0.1",
        "faulty:1,1,2",
    ],
)
def test_bad_names(name: str) -> None:
    with pytest.raises(UserError, match="model="):
        open_backend("scripted", BackendConfig(name))


def test_unknown_backend() -> None:
    with pytest.raises(UserError, match=r"backend=smoke-signals: .* vllm"):
        open_backend("smoke-signals", BackendConfig("x"))


@pytest.mark.parametrize(
    "model", ["oracle", "random", "straight", "noisy-perception:0.5", "noisy-planning:0.5", "faulty:0.5,0.5,0.5"]
)
def test_backend_contract(model: str) -> None:
    """Streaming, one response a request, in a context manager, the same again for the same seeds."""
    asked = list(episodes(find_suite("smoke")))[:5] * 20
    pulled: list[str] = []

    def requests() -> object:
        for i, episode in enumerate(asked):
            pulled.append(episode.id)
            yield single_turn(str(i), "text", None, i, "visual", episode)

    with open_backend("scripted", BackendConfig(model)) as backend:
        stream = generate(backend, requests())  # type: ignore[arg-type]
        first = next(stream)
        assert len(pulled) < len(asked)
        responses = [first, *stream]
        assert [r.key for r in responses] == [str(i) for i in range(100)]
        assert all(r.error is None and r.finish_reason == "stop" for r in responses)
        assert list(generate(backend, requests())) == responses  # type: ignore[arg-type]
        assert backend.describe()["model"] == model
