"""Figures: what is in them, that they can be read in grey, and that their bytes never change."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mgsd_bench.analysis.diagnosis import Diagnosis
from mgsd_bench.report import figures, plotting
from support.diagnoses import bare, diagnosis

pytest.importorskip("matplotlib")
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer

pytestmark = pytest.mark.slow

Make = Callable[[Sequence[Diagnosis]], Any]
MAKERS: list[Make] = [
    figures.accuracy_by_level, figures.accuracy_by_length, figures.decomposition, figures.by_path,
    figures.attribution, figures.modality_gap, lambda diagnoses: figures.misread(diagnoses[-1]),
]  # fmt: skip
INPUTS = {
    "one": [diagnosis()],
    "three": [diagnosis(), diagnosis("other", 0.8), diagnosis("_x $y$ <b>\n" * 9, 0.3)],
    "bare": [bare()],
    "mixed": [bare(), diagnosis()],
}


def with_maze(**changes: Any) -> Diagnosis:
    made = diagnosis()
    return replace(made, tasks={**made.tasks, "maze": replace(made.tasks["maze"], **changes)})


def words(figure: Any) -> str:
    return " ".join(t for t in ElementTree.fromstring(figures.to_svg(figure)).itertext() if t.strip())


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("diagnoses", INPUTS.values(), ids=INPUTS)
def test_each_figure_is_drawn_whatever_was_not_measured(make: Make, diagnoses: Any) -> None:
    svg = figures.to_svg(make(diagnoses))
    assert svg.startswith("<svg")
    ElementTree.fromstring(svg)


def test_svg_has_the_same_bytes_every_time() -> None:
    first, again = (figures.all_figures(INPUTS["one"]) for _ in range(2))
    for caption, figure in first.items():
        svg = figures.to_svg(figure)
        assert svg == figures.to_svg(figure)
        assert svg == figures.to_svg(again[caption])
        assert "dc:date" not in svg


def test_the_settings_of_the_user_change_nothing() -> None:
    import matplotlib

    expected = figures.to_svg(figures.decomposition([diagnosis()]))
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert figures.to_svg(figures.decomposition([diagnosis()])) == expected
        assert matplotlib.rcParams["font.size"] == 30


def test_all_figures_of_one_model_and_of_several() -> None:
    one, three = figures.all_figures(INPUTS["one"]), figures.all_figures(INPUTS["three"])
    assert [figure.get_label() for figure in one.values()] == [
        "decomposition", "attribution", "modality-gap", "accuracy-by-level", "accuracy-by-length", "by-path", "misread",
    ]  # fmt: skip
    assert [figure.get_label() for figure in three.values()][-3:] == ["misread-1", "misread-2", "misread-3"]
    drawn = [figure.get_label() for figure in figures.all_figures([bare()]).values()]
    assert drawn == ["decomposition", "attribution", "accuracy-by-level"]
    assert len({figure.get_label() for figure in three.values()}) == len(three)


def test_curves_have_a_band_and_an_n() -> None:
    figure = figures.accuracy_by_level([diagnosis()])
    assert len(figure.axes) == 3
    frozenlake = figure.axes[0]
    assert len(frozenlake.collections) == 2  # bands: from the image, from text
    visual = next(line for line in frozenlake.lines if line.get_label() == "E2E (image)")
    assert list(visual.get_xdata()) == [3, 5, 8]
    assert list(visual.get_ydata()) == pytest.approx([60, 50, 35])
    assert "n = 40" in words(figure)
    assert len(figures.accuracy_by_level(INPUTS["three"]).axes) == 6


def test_bars_have_values_errors_and_the_blind_plans_beside_them() -> None:
    (ax,) = figures.decomposition([diagnosis()]).axes
    assert len(ax.patches) == 3 * 4
    assert sum(isinstance(c, ErrorbarContainer) for c in ax.containers) == 3
    assert len(ax.lines) >= 2 * 4
    text = words(ax.figure)
    assert all(part in text for part in ("State F1", "Plan-on-GT", "E2E", "straight plan", "random plan", "n = 120"))


def test_what_was_not_measured_is_not_drawn_as_zero() -> None:
    maze = diagnosis().tasks["maze"]
    value = with_maze(plan_on_gt=None, by_path=replace(maze.by_path, blocked=None))
    assert len(figures.decomposition([value]).axes[0].patches) == 11
    assert len(figures.by_path([value]).axes[0].patches) == 7


def test_shares_add_up_to_all_questions() -> None:
    (ax,) = figures.attribution([diagnosis()]).axes
    for y in range(4):
        widths = [bar.get_width() for bar in ax.patches if round(bar.get_y() + bar.get_height() / 2) == y]
        assert sum(widths) == pytest.approx(100)


def test_gap_is_in_points_with_interval_n_and_p() -> None:
    gap = diagnosis().tasks["maze"].gap
    assert gap is not None
    value = with_maze(gap=replace(gap, mid_p=0.00001))
    figure = figures.modality_gap([value, diagnosis("other")])
    text = words(figure)
    assert all(part in text for part in ("n = 80, p < 0.001", "n = 120, p = 0.001", "percentage points", "other"))
    assert sum(isinstance(c, ErrorbarContainer) for c in figure.axes[0].containers) == 2 * 4


def test_heat_maps_of_a_task_share_one_scale() -> None:
    figure = figures.misread(diagnosis())
    images = [ax.images[0] for ax in figure.axes if ax.images]
    levels = (3, 5, 8, 3, 5, 8, 3, 6, 3, 6, 5, 6, 5, 6)
    assert [image.get_array().shape for image in images] == [(k, k) for k in levels]
    assert [len({image.get_clim() for image in images[a:b]}) for a, b in ((0, 6), (6, 10), (10, 14))] == [1, 1, 1]
    text = words(figure)
    assert [text.count(word) for word in ("facts an answer", "missed", "invented")] == [3, 3, 3]
    missed, invented = images[1].get_array(), images[4].get_array()
    assert missed.sum() == pytest.approx(3 * invented.sum())


def test_names_are_text() -> None:
    text = words(figures.accuracy_by_level([diagnosis("a $x^2$ <script>"), diagnosis("_b\nc"), diagnosis("z" * 500)]))
    assert "a $x^2$ <script>" in text
    assert "_b c" in text
    assert "z" * 41 not in text


def luminance(colour: str) -> float:
    r, g, b = to_rgb(colour)
    return 0.299 * r + 0.587 * g + 0.114 * b


@pytest.mark.parametrize("looks", [figures.BARS, figures.PATHS, figures.SHARES])
def test_bars_differ_in_grey(looks: Any) -> None:
    seen = [(look[0], look[1]) if looks is figures.SHARES else (look[1], look[2]) for look in looks.values()]
    for i, (colour, hatch) in enumerate(seen):
        for other, other_hatch in seen[:i]:
            assert hatch != other_hatch or abs(luminance(colour) - luminance(other)) > 0.2


def test_lines_differ_without_colour() -> None:
    assert len(set(plotting.MARKERS)) == len(set(map(str, plotting.LINES))) == len(plotting.COLOURS) == 6


def test_save_writes_both_formats(tmp_path: Path) -> None:
    figure = figures.modality_gap([diagnosis()])
    svg, png = figures.save(figure, tmp_path / "new" / "gap.v1")
    assert (svg.name, png.name) == ("gap.v1.svg", "gap.v1.png")
    assert svg.read_text(encoding="utf-8") == figures.to_svg(figure)
    with Image.open(png) as image:
        assert image.width == round(figures.WIDTH * figures.DPI)
    before = png.read_bytes()
    figures.save(figures.modality_gap([diagnosis()]), tmp_path / "new" / "gap.v1")
    assert png.read_bytes() == before


def test_matplotlib_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, mgsd_bench.report.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_lengths_with_few_episodes_are_not_drawn() -> None:
    lengths = diagnosis().tasks["maze"].lengths
    few = (replace(length, n=figures.FEWEST - 1) for length in lengths[3:])
    value = with_maze(lengths=(*lengths[:3], *few))
    shown = figures.accuracy_by_length([value]).axes[1].lines[0]
    assert list(shown.get_xdata()) == [1, 2, 3]
