"""The published figures: every one of them is there, and nothing else has a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgsd_bench.errors import UserError
from mgsd_bench.reproduce.published import COLUMNS, load_published
from mgsd_bench.suites.external import EXTERNAL

TASKS = ("frozenlake", "maze", "minibehaviour")
MACRO = {
    "Qwen3-VL-4B": 11.2,
    "MGSD-4B": 30.5,
    "Qwen3-VL-8B": 17.2,
    "MGSD-8B": 35.6,
    "GPT-5": 41.3,
    "Gemini-3-Flash": 67.0,
}
LAKES = {
    "Gemini-3-Flash": (100, 100, 100, 99, 83, 98),
    "GPT-5": (99, 70, 67, 43, 36, 29),
    "Qwen3-VL-8B": (64, 46, 33, 21, 12, 21),
    "Qwen3-VL-8B SFT": (99, 96, 98, 96, 92, 86),
    "Qwen3-VL-8B GRPO": (91, 70, 70, 31, 34, 24),
    "Qwen3-VL-32B": (75, 51, 47, 25, 23, 26),
    "Qwen3-VL-32B SFT": (96, 99, 98, 100, 99, 90),
    "Qwen3-VL-32B GRPO": (99, 90, 95, 69, 73, 58),
    "DiffThinker": (99, 100, 98, 99, 100, 100),
    "DiffThinker++": (100, 100, 100, 98, 100, 100),
}
EXACT = {
    "Gemini 2.0 Flash direct": (21.2, 8.3, 0.7),
    "Gemini 2.0 Flash CoT": (27.6, 6.9, 4.0),
    "Gemini 2.5 Pro (think)": (72.0, 21.5, 37.6),
    "Qwen2.5-VL-7B direct": (1.2, 0.6, 0.3),
    "Qwen2.5-VL-7B CoT": (8.2, 2.3, 0.5),
    "SFT": (68.6, 60.9, 31.3),
    "VPFT": (75.4, 59.0, 33.8),
    "VPRL": (91.6, 74.5, 75.8),
}


def test_every_figure_is_there_and_no_other() -> None:
    expected: dict[tuple[object, ...], float] = {("MGSD", model, None, None, None): v for model, v in MACRO.items()}
    expected["MGSD", "MGSD-4B", "minibehaviour", None, "symbolic gap"] = 13.4
    for model, values in LAKES.items():
        for level, value in zip(range(3, 9), values, strict=True):
            expected["DiffThinker", model, "frozenlake", level, "accuracy"] = value
    for model, of_model in EXACT.items():
        for task, share in zip(TASKS, of_model, strict=True):
            expected["Visual Planning", model, task, None, "exact match"] = share
    found = {(f.paper, f.model, f.task, f.level, f.metric): f.value for f in load_published() if f.value is not None}
    assert found == expected


def test_what_is_not_known_is_empty() -> None:
    unknown = [figure for figure in load_published() if figure.value is None]
    assert {(figure.paper, figure.model, figure.task) for figure in unknown} == {
        ("MGSD", model, task) for model in MACRO for task in TASKS
    }
    assert all(figure.obtained is None and figure.metric is None and not figure.where for figure in unknown)


def test_second_hand_and_uncertain_figures_say_so() -> None:
    second = {(f.model, f.value) for f in load_published() if f.obtained == "second-hand"}
    assert second == {("GPT-5", 41.3), ("Gemini-3-Flash", 67.0), ("MGSD-4B", 13.4)}
    assert [(f.model, f.value) for f in load_published() if f.uncertain] == [("GPT-5", 41.3)]


def test_test_sets_are_suites() -> None:
    assert {figure.test_set for figure in load_published()} <= set(EXTERNAL)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("P,1,,M,maze,,accuracy,x,,,,,,first-hand,", "value 'x' is no number"),
        ("P,1,,M,maze,,accuracy,150,,,,,,first-hand,", "from 0 to 100"),
        ("P,1,,M,maze,,accuracy,50,,,,,,,", "value and obtained belong together"),
        ("P,1,,M,lake,,accuracy,50,,,,,,first-hand,", "task 'lake' is not known"),
        ("P,1,,M,maze,,guess,50,,,,,,first-hand,", "metric 'guess' is not known"),
        ("P,1,,M,,5,accuracy,50,,,,,,first-hand,", "level 5 of no task"),
        ("P,1,,,maze,,accuracy,50,,,,,,first-hand,", "model is empty"),
        ("P,1,,M,maze", "has not 15 cells"),
        ("P,1,,M,maze,,,,,,,,,,\nP,1,,M,maze,,,,,,,,,,", "the same figure as"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(",".join(COLUMNS) + "\n" + line + "\n")
    with pytest.raises(UserError, match=rf"a\.csv:\d: .*{said}"):
        load_published(tmp_path)


def test_other_columns_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no published figures"):
        load_published(tmp_path)
    (tmp_path / "a.csv").write_text("paper,model\n")
    with pytest.raises(UserError, match="the first line must be paper,arxiv"):
        load_published(tmp_path)
