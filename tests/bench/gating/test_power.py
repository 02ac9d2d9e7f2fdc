"""What `power` predicts is what the gate does."""

from __future__ import annotations

import numpy as np
import pytest

from mgsd_bench.gating.policy import MetricRule
from mgsd_bench.gating.power import Design, chances, design_of, design_of_change, detectable_drop, fixed_rule_alarms
from mgsd_bench.statistics.paired import Change, drop_p, noninferiority_p
from mgsd_bench.suites.choose import find_suite

pytestmark = pytest.mark.slow

RULE = MetricRule("e2e", 0.03, 0.015)
EVEN = Design(((400, 1 / 400),))


def test_the_design_of_a_suite() -> None:
    design = design_of(find_suite("mgsd-v1"))
    assert design.n == 1200
    assert design.heaviest == pytest.approx(1 / 600)
    assert design.effective == pytest.approx(9 / (1 / 600 + 1 / 400 + 1 / 200))
    assert design_of(find_suite("mgsd-v1"), 20).effective == pytest.approx(design.scaled(0.2).effective)
    weights = np.repeat([1 / 3 / 600, 1 / 3 / 400, 1 / 3 / 200], [600, 400, 200])
    assert design_of_change(Change(np.zeros(1200), weights)).effective == pytest.approx(design.effective)


@pytest.mark.parametrize("design", [EVEN, design_of(find_suite("mgsd-v1"), 20)], ids=["even", "tasks"])
@pytest.mark.parametrize(("discordance", "drop"), [(0.0, 0.0), (0.02, 0.0), (0.02, 0.03), (0.05, 0.03), (0.1, 0.06)])
def test_chances_agree_with_the_gates_own_tests(design: Design, discordance: float, drop: float) -> None:
    rng = np.random.default_rng(3)
    weights = np.concatenate([np.full(count, weight) for count, weight in design.groups])
    held = dropped = 0
    for _ in range(400):
        chance = rng.random(design.n)
        values = np.where(chance < discordance / 2 + drop, -1.0, np.where(chance > 1 - discordance / 2, 1.0, 0.0))
        of = Change(values, weights)
        if noninferiority_p(of, RULE.margin) <= 0.05:
            held += 1
        elif drop_p(of) <= 0.05 and -of.mean >= RULE.tolerance - 1e-12:
            dropped += 1
    found = chances(design, discordance, drop, RULE)
    assert found.held == pytest.approx(held / 400, abs=0.075)  # three standard errors
    assert found.dropped == pytest.approx(dropped / 400, abs=0.075)
    assert found.held + found.dropped + found.open == pytest.approx(1)


@pytest.mark.parametrize("discordance", [0.02, 0.1, 0.3])
def test_no_change_fails_at_most_as_often_as_promised_and_a_lost_margin_passes_as_rarely(discordance: float) -> None:
    for design in (EVEN, EVEN.scaled(3)):
        assert chances(design, discordance, 0.0, RULE).dropped <= 0.051
        assert chances(design, discordance, RULE.margin, RULE).held <= 0.055


def test_counting_by_weight_and_by_effective_number_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    design = Design(((300, 1 / 900), (300, 1 / 900), (300, 1 / 900)))
    counted = chances(design, 0.02, 0.0, RULE)
    monkeypatch.setattr("mgsd_bench.gating.power.COUNTED", 0)
    effective = chances(design, 0.02, 0.0, RULE)
    assert counted.held == pytest.approx(effective.held, abs=1e-3)
    assert counted.dropped == pytest.approx(effective.dropped, abs=1e-3)


def test_more_episodes_and_less_noise_find_smaller_drops() -> None:
    found = [detectable_drop(EVEN.scaled(factor), 0.1, RULE) for factor in (0.5, 1, 2, 4)]
    assert None not in found
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]
    noisy = [detectable_drop(EVEN, discordance, RULE) for discordance in (0.02, 0.1, 0.3)]
    assert noisy == sorted(noisy)  # type: ignore[type-var]


def test_a_found_drop_is_found_four_times_out_of_five() -> None:
    drop = detectable_drop(EVEN, 0.1, RULE)
    assert drop is not None
    assert chances(EVEN, 0.1, drop, RULE).dropped == pytest.approx(0.8, abs=0.02)
    assert detectable_drop(Design(((3, 1 / 3),)), 0.1, RULE) is None


def test_shares_that_are_not_possible_are_refused() -> None:
    with pytest.raises(ValueError, match="not possible"):
        chances(EVEN, 0.5, 0.9, RULE)


def test_a_fixed_rule_cries_wolf() -> None:
    assert fixed_rule_alarms(Design(((500, 1 / 500),)), 0.1, 0.02) == pytest.approx(0.079, abs=0.001)
    assert fixed_rule_alarms(EVEN, 0.0, 0.02) == 0


@pytest.mark.parametrize("design", [Design(((6, 1 / 6),)), Design(((2, 1 / 4), (1, 1 / 2))), EVEN])
def test_every_episode_may_change(design: Design) -> None:
    """What is lost is not won: beyond that, gains give way to losses."""
    rule = MetricRule("e2e", 0.3, 0.15)
    for drop in (0.0, 0.1, 0.5):
        found = chances(design, 1.0, drop, rule)
        assert 0 <= found.held <= found.held + found.dropped <= 1 + 1e-9
    assert chances(design, 0.5, 0.75, rule).held == pytest.approx(0, abs=1e-9)
    found_drop = detectable_drop(design, 1.0, rule)
    assert found_drop is None or 0 < found_drop <= 0.5
