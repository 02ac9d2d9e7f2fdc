"""The gate's verdicts and decisions, looking early, and its policies: what they promise."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_bench.errors import Exit, UserError
from mgsd_bench.gating.decision import Decision, FloorDecision, Measured, Status, decide, episodes_needed
from mgsd_bench.gating.policy import Floor, MetricRule, Policy, Verdict
from mgsd_bench.gating.policy_file import load_policy
from mgsd_bench.gating.sequential import SPENDING, blocks, nominal_levels, sequential_decision, spent
from mgsd_bench.statistics.paired import Change, drop_p, lower_bound, noninferiority_p
from support.changes import changes, counts, macro_change

ONE = Policy(metrics=(MetricRule("e2e", 0.03, 0.015),))
ORDER = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}


def measured(of: Change) -> Measured:
    return Measured(0.5, 0.5 + of.mean, of)


def verdict(of: Change, policy: Policy = ONE) -> Verdict:
    return decide({"e2e": measured(of)}, policy).verdict


# --- verdicts ---


@given(changes, st.randoms(use_true_random=False))
def test_the_order_of_episodes_does_not_matter(tasks: list[list[int]], rng: object) -> None:
    of = macro_change(tasks)
    order = np.random.default_rng(1).permutation(len(of.values))
    other = Change(of.values[order], of.weights[order])
    assert drop_p(other) == pytest.approx(drop_p(of), abs=1e-9)
    assert noninferiority_p(other, 0.03) == pytest.approx(noninferiority_p(of, 0.03), abs=1e-9)
    assert verdict(other) == verdict(of)


@given(changes, st.data())
def test_a_worse_candidate_never_gets_a_better_verdict(tasks: list[list[int]], data: st.DataObject) -> None:
    of = macro_change(tasks)
    could = np.flatnonzero(of.values > -1)
    if not len(could):
        return
    chosen = data.draw(st.lists(st.sampled_from(list(map(int, could))), min_size=1, max_size=5, unique=True))
    values = of.values.copy()
    values[chosen] -= 1
    worse = Change(values, of.weights)
    for margin in (0.01, 0.03, 0.1):
        policy = Policy(metrics=(MetricRule("e2e", margin, margin / 2),))
        assert ORDER[verdict(worse, policy)] <= ORDER[verdict(of, policy)]
    assert drop_p(worse) <= drop_p(of) + 1e-3  # the two methods meet at ENUMERATED


def test_without_any_difference_the_bound_is_the_rule_of_three() -> None:
    of = counts(0, 0, 600)
    assert lower_bound(of, 0.05) == pytest.approx(math.log(0.05) / 600, abs=1e-6)
    assert drop_p(of) == 1
    assert verdict(of) == Verdict.PASS
    assert verdict(counts(0, 0, 60)) == Verdict.INCONCLUSIVE


# --- decisions ---


def decisions(**of: Change) -> Decision:
    rules = tuple(MetricRule(name, 0.03, 0.015) for name in of)
    return decide({name: measured(found) for name, found in of.items()}, Policy(metrics=rules))


def test_all_metrics_have_to_hold() -> None:
    same, lost, near = counts(5, 5, 1200), counts(90, 5, 1200), counts(140, 120, 1200)
    assert decisions(e2e=same, state_f1=same).verdict == Verdict.PASS
    assert decisions(e2e=same, state_f1=lost).verdict == Verdict.FAIL
    undecided = decisions(e2e=same, state_f1=near)
    assert undecided.verdict == Verdict.INCONCLUSIVE
    assert [row.status for row in undecided.metrics] == [Status.HELD, Status.OPEN]
    assert undecided.episodes_needed == undecided.metrics[1].episodes_needed


def test_a_proven_drop_within_the_margin_passes() -> None:
    found = decisions(e2e=counts(200, 120, 12_000))
    assert found.metrics[0].p_drop < 0.001
    assert found.verdict == Verdict.PASS


def test_a_proven_drop_below_the_tolerance_is_left_open() -> None:
    of = counts(16, 2, 1200)
    policy = Policy(metrics=(MetricRule("e2e", 0.013, 0.0125),))
    row = decide({"e2e": measured(of)}, policy).metrics[0]
    assert row.p_drop < 0.01
    assert row.status == Status.OPEN


def test_several_metrics_are_adjusted() -> None:
    of = counts(11, 2, 300)
    assert decisions(e2e=of).verdict == Verdict.FAIL
    quiet = counts(0, 0, 300)
    found = decisions(e2e=of, state_f1=quiet, plan_on_gt=quiet, direct=quiet, optimal=quiet)
    assert found.metrics[0].p_drop == pytest.approx(5 * drop_p(of))
    assert found.verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("value", "high", "status", "expected"),
    [
        (0.9, 0.95, Status.HELD, Verdict.PASS),
        (0.7, 0.78, Status.DROPPED, Verdict.FAIL),
        (0.78, 0.85, Status.OPEN, Verdict.INCONCLUSIVE),
    ],
)
def test_floors(value: float, high: float, status: Status, expected: Verdict) -> None:
    floor = FloorDecision(Floor("e2e", 0.8, "maze", 3), value, 0.6, high, 100)
    assert floor.status == status
    found = decide({"e2e": measured(counts(0, 0, 1200))}, ONE, [floor])
    assert found.verdict == expected


def test_exit_codes() -> None:
    found = {of: Decision(of, ()) for of in Verdict}
    assert [found[of].exit_code(ONE) for of in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)] == [
        Exit.OK,
        Exit.REGRESSION,
        Exit.INCONCLUSIVE,
    ]
    assert found[Verdict.INCONCLUSIVE].exit_code(replace(ONE, inconclusive=Verdict.PASS)) == Exit.OK
    assert found[Verdict.INCONCLUSIVE].exit_code(replace(ONE, inconclusive=Verdict.FAIL)) == Exit.REGRESSION


def test_more_discordance_needs_more_episodes() -> None:
    needed = [episodes_needed(counts(k, k, 600), 0.03, 0.05) for k in (0, 15, 60)]
    assert needed == sorted(needed)
    assert needed[2] == pytest.approx(6.18 * 0.2 / 0.03**2, rel=0.01)
    assert needed[0] > 100


# --- looking early ---


def test_boundaries_are_those_that_were_published() -> None:
    # one-sided 0.025, five equal looks: Lan-DeMets boundaries as in ldbounds and gsDesign
    shares = (0.2, 0.4, 0.6, 0.8, 1.0)
    published = {
        "obrien-fleming": (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
        "pocock": (2.4380, 2.4268, 2.4101, 2.3966, 2.3859),
    }
    from scipy.stats import norm

    for spending, expected in published.items():
        found = norm.isf(nominal_levels(shares, 0.025, spending))
        assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("spending", SPENDING)
def test_all_of_alpha_is_spent_in_the_end(spending: str) -> None:
    assert spent(1.0, 0.05, spending) == pytest.approx(0.05)
    assert spent(0.0, 0.05, spending) == 0
    assert nominal_levels((1.0,), 0.05, spending)[0] == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("shares", [(), (0.5, 0.5), (0.5, 0.2), (0.0, 1.0), (0.5, 1.5)])
def test_shares_of_looks_must_grow(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must grow"):
        nominal_levels(shares, 0.05, "pocock")


def test_blocks_have_the_same_mix_and_each_episode_once() -> None:
    strata = {("maze", 3): [f"maze/3/{i}" for i in range(10)], ("maze", 4): [f"maze/4/{i}" for i in range(7)]}
    found = blocks(strata, 5)
    assert sorted(chain(*found)) == sorted(chain(*strata.values()))
    assert [sum(name.startswith("maze/3") for name in block) for block in found] == [2] * 5
    assert {sum(name.startswith("maze/4") for name in block) for block in found} <= {1, 2}
    assert found == blocks({key: names[::-1] for key, names in strata.items()}, 5)
    assert len(blocks({("maze", 3): ["a", "b"]}, 5)) == 2


def test_a_large_drop_stops_early_and_no_change_not_at_once() -> None:
    def looks(lost: int, count: int) -> list[dict[str, Measured]]:
        return [{"e2e": measured(counts(lost * i, 2 * i, 200 * i))} for i in range(1, count + 1)]

    assert sequential_decision(looks(60, 1), 1000, ONE).verdict == Verdict.FAIL
    assert sequential_decision(looks(2, 1), 1000, ONE).verdict == Verdict.INCONCLUSIVE
    assert sequential_decision(looks(2, 5), 1000, ONE).verdict == Verdict.PASS
    broken = FloorDecision(Floor("e2e", 0.9), 0.5, 0.4, 0.6, 200)
    assert sequential_decision(looks(2, 2), 1000, ONE, [broken]).verdict == Verdict.INCONCLUSIVE
    assert sequential_decision(looks(2, 5), 1000, ONE, [broken]).verdict == Verdict.FAIL


# --- policies ---


def test_a_policy_file(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(
        "alpha: 0.1\nmetrics:\n  e2e: 2\n  plan_on_gt: {margin: 4, tolerance: 1}\n"
        "floors:\n  - {metric: e2e, task: maze, level: 3, min: 90}\n"
        "limits: {errors: 1, truncated: 5, min_episodes: 10}\ninconclusive: fail\n"
        "sequential: {looks: 4, spending: pocock}\n"
    )
    assert load_policy(path) == Policy(
        metrics=(MetricRule("e2e", 0.02, 0.01), MetricRule("plan_on_gt", 0.04, 0.01)),
        floors=(Floor("e2e", 0.9, "maze", 3),),
        alpha=0.1,
        max_errors=0.01,
        max_truncated=0.05,
        min_episodes=10,
        inconclusive=Verdict.FAIL,
        looks=4,
        spending="pocock",
    )
    path.write_text("")
    assert load_policy(path) == Policy()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1", "gate.yaml:1: not YAML"),
        ("- 1", "the file: must be a mapping"),
        ("metric: {}", "did you mean metrics"),
        ("metrics: {}", "name at least one"),
        ("metrics: {e2: 3}", "did you mean e2e"),
        ("metrics: {e2e: much}", "metrics.e2e.margin: 'much' must be a number"),
        ("metrics: {e2e: {tolerance: 1}}", "needs a margin"),
        ("metrics: {e2e: {margin: 1, tolerance: 2}}", "must not exceed the margin"),
        ("metrics: {e2e: -1}", "must be from 0.01 to 100"),
        ("metrics: {e2e: .nan}", "must be a number"),
        ("alpha: 1", "must be from 0.0001 to 0.5"),
        ("floors: {}", "must be a list"),
        ("floors: [{metric: e2e}]", "needs metric and min"),
        ("floors: [{metric: e2e, level: 3, min: 5}]", "needs a task"),
        ("floors: [{metric: [], min: 5}]", "choose from"),
        ("limits: {min_episodes: 1.5}", "must be a whole number"),
        ("inconclusive: maybe", "choose from"),
        ("sequential: {looks: 1}", "at least 2"),
        ("sequential: {spending: all}", "choose from obrien-fleming, pocock"),
        ("1: 2", "unknown key"),
    ],
)
def test_a_wrong_policy_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_policy(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.code == Exit.USAGE


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_policy(tmp_path / "none.yaml")


def test_the_policy_in_the_documentation_is_the_default(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "gate.md").read_text()
    path = tmp_path / "gate.yaml"
    path.write_text(page.partition("\n## Policy\n")[2].split("```yaml\n")[1].split("```")[0])
    assert load_policy(path) == Policy()
