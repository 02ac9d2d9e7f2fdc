"""The one look of all figures, and the pieces that they are made of.

matplotlib is imported when a figure is drawn, its global state is left alone, and nobody's own matplotlib settings
change the outcome. Colours are Okabe and Ito's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mgsd_bench.report.tables import model_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mgsd_bench.analysis.diagnosis import Diagnosis
    from mgsd_bench.statistics.intervals import Estimate

WIDTH = 7.2
DPI = 200
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
INK, GREY, PALE = "#222222", "#777777", "#DDDDDD"
COLOURS = (BLUE, ORANGE, GREEN, PINK, RED, SKY)
MARKERS = ("o", "s", "D", "^", "v", "P")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
STYLE: dict[Any, Any] = {
    "font.size": 8, "axes.labelsize": 8, "axes.titlesize": 8, "legend.fontsize": 8, "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5, "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": GREY, "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "xtick.color": INK, "ytick.color": INK, "text.color": INK, "axes.labelcolor": INK, "legend.frameon": False,
    "legend.handlelength": 2.8, "errorbar.capsize": 2,
    "axes.xmargin": 0.08, "axes.grid": True, "axes.grid.axis": "y", "grid.color": PALE, "grid.linewidth": 0.5,
    "axes.axisbelow": True, "lines.linewidth": 1.3, "lines.markersize": 4, "hatch.linewidth": 0.5,
    "text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "mgsd-bench", "figure.dpi": 100,
    "text.hinting": "none", "figure.constrained_layout.w_pad": 0.08,
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """The one look of all figures, whatever the user's own settings are."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")  # a name in a script that the font lacks
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def new(label: str, rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, list[list[Axes]]]:
    """A figure of page width, its panels by row and column; ``label`` names its files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.set_label(label)
    return figure, figure.subplots(rows, columns, squeeze=False, **options).tolist()


def per_model(label: str, diagnoses: Sequence[Diagnosis], height: float) -> tuple[Figure, list[tuple[Axes, Diagnosis]]]:
    """One panel a model, one below the other."""
    figure, axes = new(label, len(diagnoses), 1, 0.5 + height * len(diagnoses))
    for (ax,), name in zip(axes, model_names(diagnoses), strict=True):
        ax.set_title(short(name))
    return figure, [(ax, diagnosis) for (ax,), diagnosis in zip(axes, diagnoses, strict=True)]


def line(ax: Axes, points: Sequence[tuple[int, Estimate | None]], look: int, label: str) -> None:
    """A curve with its band; points that were not measured are left out."""
    shown = [(x, cell) for x, cell in points if cell]
    if not shown:
        return
    xs = [x for x, _ in shown]
    low, value, high = zip(*((100 * cell.low, 100 * cell.value, 100 * cell.high) for _, cell in shown), strict=True)
    colour = COLOURS[look % 6]
    ax.fill_between(xs, low, high, color=colour, alpha=0.18, lw=0)
    ax.plot(xs, value, color=colour, marker=MARKERS[look % 6], ls=LINES[look % 6], label=label, clip_on=False)


def bars(ax: Axes, series: Sequence[Sequence[Estimate | None]], looks: Sequence[tuple[str, str, str]]) -> None:
    """Groups of bars with their values and intervals; what was not measured is left out."""
    width = 0.81 / len(series)
    for i, (cells, (name, colour, hatch)) in enumerate(zip(series, looks, strict=True)):
        shown = [(j + (i - (len(series) - 1) / 2) * width, cell) for j, cell in enumerate(cells) if cell]
        if not shown:
            continue
        xs, values = [x for x, _ in shown], [100 * cell.value for _, cell in shown]
        ax.bar(xs, values, width * 0.92, color=colour, hatch=hatch, edgecolor="white", lw=0, label=name)
        ax.errorbar(xs, values, yerr=error([cell for _, cell in shown]), fmt="none", ecolor=INK, elinewidth=0.9)
        for x, cell in shown:
            ax.annotate(f"{100 * cell.value:.0f}", (x, 100 * cell.high), (0, 2), textcoords="offset points",
                        ha="center", va="bottom", fontsize=7)  # fmt: skip


def error(cells: Sequence[Estimate]) -> list[list[float]]:
    """Lengths of the error bars below and above the values."""
    below = [max(0.0, 100 * (cell.value - cell.low)) for cell in cells]
    return [below, [max(0.0, 100 * (cell.high - cell.value)) for cell in cells]]


def percent_axis(ax: Axes, label: str, *, first: bool = True) -> None:
    """0 to 100 %, with room for figures above full bars."""
    ax.set_ylim(0, 112)
    ax.set_yticks(range(0, 101, 20))
    if first:
        ax.set_ylabel(label)


def task_ticks(ax: Axes, labels: Sequence[str]) -> None:
    """One name under each group of bars."""
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.6, len(labels) - 0.4)
    ax.tick_params("x", length=0)


def legend(figure: Figure) -> Figure:
    """One legend for all panels, above them; each name once."""
    from matplotlib.lines import Line2D

    found: dict[str, Any] = {}
    for ax in figure.axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    names = sorted(found, key=lambda name: isinstance(found[name], Line2D))  # bars first
    if names:
        columns = max(1, min(len(names), 100 // (max(map(len, names)) + 6)))
        figure.legend([found[name] for name in names], names, loc="outside upper left", ncols=columns)
    return settle(figure)


def settle(figure: Figure) -> Figure:
    """Lay the figure out now and for good; else every drawing of it would move things by a hair."""
    figure.draw_without_rendering()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def short(name: str) -> str:
    """A name that fits a legend and that matplotlib does not take for a hidden label."""
    short = name if len(name) <= 40 else f"{name[:19]}…{name[-20:]}"
    return f"\u200b{short}" if short.startswith("_") else short
