"""docs/results.md is what its command makes, and every published figure says where it is from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mgsd_bench.reproduce.published import load_published
from support.scripts import results_page

ROOT = Path(__file__).parents[2]
RELATED = sorted((ROOT / "baselines" / "published" / "related").glob("*.csv"))


def test_the_page_is_what_the_command_makes() -> None:
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == results_page.main()


@pytest.mark.parametrize("path", RELATED, ids=lambda path: path.stem)
def test_every_figure_has_a_value_a_source_and_a_protocol(path: Path) -> None:
    rows = results_page.read(path)
    assert len({row["benchmark"] for row in rows}) == 1
    assert len({(row["task"], row["model"], row["metric"]) for row in rows}) == len(rows)
    for row in rows:
        assert 0 <= float(row["value"]) <= 100
        assert all(row[name] for name in ("where", "protocol", "task", "model", "metric"))
        # a file at a commit, or a text with a number of its own
        assert re.match(r"[\w.-]+/[\w.-]+@[0-9a-f]{7} \S", row["where"]) or row["arxiv"]
        assert row["obtained"] in {"first-hand", "second-hand"}
        assert not row["n"] or int(row["n"]) > 0


def test_every_known_figure_is_on_the_page_and_no_other() -> None:
    page = results_page.main()
    same = page.partition("## Published on the same tasks")[2].partition("## Published on near tasks")
    shown = [float(text) for text in re.findall(r"([\d.]+)<sup>", same[0])]
    assert sorted(shown) == sorted(figure.value for figure in load_published() if figure.value is not None)
    near = [float(text) for text in re.findall(r"\| ([\d.]+)[^|]*<sup>", same[2])]
    assert sorted(near) == sorted(float(row["value"]) for path in RELATED for row in results_page.read(path))
