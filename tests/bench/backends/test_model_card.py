"""A card beside the weights gives defaults; what the user gives wins, and what was taken is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgsd_bench.backends.model_card import CARD
from mgsd_bench.config.settings import make_settings
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.package_data import shipped, shipped_names
from support.commands import mgsd


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / CARD).write_text("suite: tiny-v1\nprompts: compact\nmax_tokens: 160\n")
    return tmp_path


def test_what_is_not_given_comes_from_the_card(checkpoint: Path) -> None:
    found = make_settings(EvaluationSettings, model=str(checkpoint))
    assert (found.suite, found.prompts, found.max_tokens) == ("tiny-v1", "compact", 160)
    assert (found.temperature, found.conditions) == (0.0, ("visual",))


def test_what_is_given_wins(checkpoint: Path) -> None:
    found = make_settings(EvaluationSettings, model=str(checkpoint), suite="smoke", max_tokens=20)
    assert (found.suite, found.prompts, found.max_tokens) == ("smoke", "compact", 20)


def test_a_backend_that_loads_no_weights_has_no_card(checkpoint: Path) -> None:
    assert make_settings(EvaluationSettings, model=str(checkpoint), backend="openai").suite == "mgsd-v1"


def test_every_shipped_checkpoint_has_one() -> None:
    for name in shipped_names():
        folder = shipped(name)
        assert folder is not None
        found = make_settings(EvaluationSettings, model=name)
        assert (found.suite, found.prompts) == ("tiny-v1", "compact"), name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("out: /tmp", "out: a model's card cannot set this"),
        ("trust_remote_code: true", "trust_remote_code: a model's card cannot set this"),
        ("max_tokens: 0", "max_tokens: 0 is not a whole number of 1 or more"),
        ("suite: [1]", "suite: "),
        ("- 1", "must be a mapping"),
        ("suite: {", "not YAML"),
    ],
)
def test_a_card_that_says_something_else_is_one_line(checkpoint: Path, text: str, problem: str) -> None:
    (checkpoint / CARD).write_text(text)
    with pytest.raises(UserError) as refused:
        make_settings(EvaluationSettings, model=str(checkpoint))
    assert str(refused.value).startswith(str(checkpoint / CARD))
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_was_taken_is_printed(checkpoint: Path, tmp_path: Path) -> None:
    shown = mgsd("eval", "--model", str(checkpoint), "--max-tokens", "9", "--out", str(tmp_path / "x"), code=2)
    assert shown.splitlines()[0] == f"from {checkpoint / CARD}: suite tiny-v1, prompts compact"
    assert "no config.json" in shown
