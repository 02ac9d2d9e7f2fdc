"""Figures of diagnoses: pure functions from diagnosis values to matplotlib figures.

Every figure can be read in grey: besides its colour (Okabe and Ito's palette) each series has a marker, a line style or
a hatch of its own. Bands and bars are 95 % intervals.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mgsd_bench.files import write_whole
from mgsd_bench.report import plotting
from mgsd_bench.report.plotting import (
    BLUE,
    COLOURS,
    DPI,
    GREEN,
    GREY,
    INK,
    MARKERS,
    ORANGE,
    PALE,
    RED,
    SKY,
    WIDTH,
    style,
)
from mgsd_bench.report.tables import ATTRIBUTIONS, model_names, task_names
from mgsd_bench.report.text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mgsd_bench.analysis.diagnosis import Diagnosis, Length, Level, Scope
    from mgsd_bench.statistics.intervals import Estimate

FEWEST = 5
"""Lengths with fewer episodes are not drawn: their intervals would cover the whole panel."""
BARS = {
    "state_f1": ("State F1", GREEN, "////"),
    "plan_on_gt": ("Plan-on-GT", ORANGE, "\\\\\\\\"),
    "e2e": ("E2E", SKY, ""),
}
BLIND = {"straight": ("straight plan", "D"), "random": ("random plan", "X")}
PATHS = {"straight": ("straight plan works", SKY, ""), "blocked": ("straight plan is blocked", RED, "////")}
SHARES = {
    "solved": (BLUE, "", "white"),
    "perception": (ORANGE, "////", INK),
    "planning": (SKY, "||||", INK),
    "both": (RED, "xxxx", INK),
    "unstated": (PALE, "", INK),
    "format": (GREY, "----", INK),
}


@style()
def accuracy_by_level(diagnoses: Sequence[Diagnosis]) -> Figure:
    """Share of questions solved against the grid size, from the image and from the state as text."""
    return _curves("accuracy-by-level", diagnoses, _level_points, "level (cells a side)")


@style()
def accuracy_by_length(diagnoses: Sequence[Diagnosis]) -> Figure:
    """Share of questions solved against the length of the shortest plan, from the image and from the state as text."""
    return _curves("accuracy-by-length", diagnoses, _length_points, "actions in the shortest plan")


@style()
def decomposition(diagnoses: Sequence[Diagnosis]) -> Figure:
    """State F1, Plan-on-GT and E2E of each task, with what the blind plans solve."""
    figure, panels = plotting.per_model("decomposition", diagnoses, 2.0)
    for ax, diagnosis in panels:
        scopes = _scopes(diagnosis)
        plotting.bars(ax, [[scope.estimate(key) for scope in scopes.values()] for key in BARS], list(BARS.values()))
        for i, scope in enumerate(scopes.values()):
            for key, (name, marker) in BLIND.items():
                if cell := scope.estimate(key):
                    ax.plot(i + 0.46, 100 * cell.value, marker, ms=4.5, mfc="white", mec=INK, label=name, clip_on=False)
        plotting.percent_axis(ax, "%")
        plotting.task_ticks(ax, [f"{name}\nn = {scope.n}" for name, scope in scopes.items()])
    return plotting.legend(figure)


@style()
def by_path(diagnoses: Sequence[Diagnosis]) -> Figure:
    """Share solved where the straight plan works, and where something is in its way."""
    figure, panels = plotting.per_model("by-path", diagnoses, 1.8)
    for ax, diagnosis in panels:
        scopes = _scopes(diagnosis)
        cells = [[getattr(scope.by_path, key) for scope in scopes.values()] for key in PATHS]
        plotting.bars(ax, cells, list(PATHS.values()))
        plotting.percent_axis(ax, "solved from the image (%)")
        counts = [" / ".join(str(cell.n if cell else 0) for cell in pair) for pair in zip(*cells, strict=True)]
        plotting.task_ticks(ax, [f"{name}\nn = {count}" for name, count in zip(scopes, counts, strict=True)])
    return plotting.legend(figure)


@style()
def attribution(diagnoses: Sequence[Diagnosis]) -> Figure:
    """What the answers to all questions failed at, as shares of each task's questions."""
    figure, panels = plotting.per_model("attribution", diagnoses, 1.5)
    for ax, diagnosis in panels:
        scopes = _scopes(diagnosis, "all")
        left = [0.0] * len(scopes)
        for key in ATTRIBUTIONS:
            colour, hatch, ink = SHARES[key]
            shares = [100 * scope.failures[key].value for scope in scopes.values()]
            ax.barh(
                range(len(shares)), shares, 0.7, left, color=colour, hatch=hatch, edgecolor="white", lw=0.6, label=key
            )
            for y, (x, share) in enumerate(zip(left, shares, strict=True)):
                if share >= 4:
                    box = {"boxstyle": "square,pad=0.15", "fc": colour, "ec": "none"}
                    ax.text(x + share / 2, y, f"{share:.0f}", ha="center", va="center", color=ink, bbox=box)
            left = [x + share for x, share in zip(left, shares, strict=True)]
        ax.set_yticks(range(len(scopes)), [f"{name} (n = {scope.n})" for name, scope in scopes.items()])
        ax.invert_yaxis()
        ax.tick_params("y", length=0)
        ax.grid(False)
        ax.set(xlim=(0, 100), xlabel="share of all questions (%)")
    return plotting.legend(figure)


@style()
def modality_gap(diagnoses: Sequence[Diagnosis]) -> Figure:
    """Plan-on-GT minus E2E on the same episodes, in percentage points, with the mid-p value of McNemar's test."""
    names, models = [*task_names(diagnoses), "macro"], model_names(diagnoses)
    figure, ((ax,),) = plotting.new("modality-gap", 1, 1, 0.9 + 0.2 * len(names) * (len(models) + 0.5))
    step = 0.8 / len(models)
    for i, (model, diagnosis) in enumerate(zip(models, diagnoses, strict=True)):
        for j, scope in enumerate(_scopes(diagnosis).get(name) for name in names):
            if scope is None or scope.gap is None:
                continue
            cell = scope.gap.difference
            y = j + (i - (len(models) - 1) / 2) * step
            ax.errorbar(
                100 * cell.value,
                y,
                xerr=plotting.error([cell]),
                label=plotting.short(model),
                color=COLOURS[i % 6],
                marker=MARKERS[i % 6],
            )
            p = scope.gap.mid_p
            note = f"n = {cell.n}, " + ("p < 0.001" if p < 0.001 else f"p = {p:.3f}")
            ax.annotate(note, (1, y), (4, 0), ax.get_yaxis_transform(), "offset points", va="center", fontsize=7)
    ax.axvline(0, color=INK, lw=0.8)
    ax.set_yticks(range(len(names)), [one_line(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params("y", length=0)
    ax.grid(True, axis="x")
    ax.grid(False, axis="y")
    ax.set_xlabel("modality gap: Plan-on-GT − E2E (percentage points)")
    return plotting.legend(figure)


@style()
def reliability(diagnoses: Sequence[Diagnosis]) -> Figure:
    """Share of episodes solved at least once in k tries, and in all of k tries, against k."""
    figure, panels = plotting.per_model("reliability", diagnoses, 2.0)
    for ax, diagnosis in panels:
        for look, (name, scope) in enumerate(_scopes(diagnosis).items()):
            for curve in (scope.repeats.at_least_once, scope.repeats.every_time) if scope.repeats else ():
                plotting.line(ax, list(enumerate(curve, 1)), look, one_line(name))
        plotting.percent_axis(ax, "solved (%)")
        ax.set_xlabel("tries (k): upper curves at least once in k, lower curves every time of k")
    return plotting.legend(figure)


@style()
def misread(diagnosis: Diagnosis) -> Figure:
    """Where on the grid facts are missed and where they are invented: mean facts an answer, for each cell."""
    grids = {name: task for name, task in diagnosis.tasks.items() if task.missed}
    columns = max((len(task.missed) for task in grids.values()), default=1)
    width = min(WIDTH, 1.3 + 1.25 * columns)
    cell = (width - 1.3) / columns
    rows = max(1, 2 * len(grids))
    figure, axes = plotting.new("misread", rows, columns, 0.3 + cell * rows)
    figure.set_layout_engine("compressed")
    figure.set_figwidth(width)
    for ax in (ax for row in axes for ax in row):
        ax.set_axis_off()
    for i, (name, task) in enumerate(grids.items()):
        counts = {level.level: level.n for level in task.levels}
        maps = {"missed": task.missed, "invented": task.invented}
        highest = max(x for of_kind in maps.values() for grid in of_kind.values() for line in grid for x in line) or 1
        for row, (kind, of_kind) in zip(axes[2 * i :], maps.items(), strict=False):
            for j, (ax, level) in enumerate(zip(row, sorted(of_kind), strict=False)):
                ax.set_axis_on()
                image = ax.imshow(of_kind[level], cmap="Blues", vmin=0, vmax=highest, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
                ax.spines[:].set_visible(True)
                if kind == "missed":
                    ax.set_title(f"level {level}, n = {counts.get(level, '?')}", fontsize=7, pad=2)
                if j == 0:
                    ax.set_ylabel(f"{one_line(name)}\n{kind}")
        figure.colorbar(image, ax=[ax for row in axes[2 * i : 2 * i + 2] for ax in row], label="facts an answer")
    return plotting.settle(figure)


def all_figures(diagnoses: Sequence[Diagnosis]) -> dict[str, Figure]:
    """Caption and figure of everything that the diagnoses hold data for; ``figure.get_label()`` is a file name."""
    interval = "95 % Wilson intervals (effective number of episodes, t quantile)"
    makers: list[tuple[str, object, Callable[[Sequence[Diagnosis]], Figure]]] = [
        (
            f"What was seen, planned and solved. State F1, Plan-on-GT and E2E, with {interval}, and "
            "what plans that ignore the image solve.",
            _any(diagnoses, *BARS),
            decomposition,
        ),
        (
            "What the answers to all questions failed at. Both: two faults were made, of which one alone may have been "
            "enough.",
            True,
            attribution,
        ),
        (
            "Modality gap: Plan-on-GT minus E2E on the same episodes, with 95 % intervals (Bonett and Price) and "
            "the mid-p value of McNemar's test.",
            _any(diagnoses, "gap"),
            modality_gap,
        ),
        (f"Accuracy by level, with {interval}.", _any(diagnoses, "e2e", "plan_on_gt"), accuracy_by_level),
        (
            f"Accuracy by length of the shortest plan, with {interval}; lengths of fewer than {FEWEST} "
            "episodes left out.",
            any(_length_points(d, task) for d in diagnoses for task in d.tasks),
            accuracy_by_length,
        ),
        (
            f"Accuracy where the straight plan works and where it is blocked, with {interval}. A model that ignores "
            "obstacles solves the former alone.",
            any(s.by_path.straight or s.by_path.blocked for d in diagnoses for s in _scopes(d).values()),
            by_path,
        ),
    ]
    makers.append(
        (
            f"Reliability over repeats: solved at least once in, and every time of, so many tries; with {interval}.",
            any(scope.repeats for d in diagnoses for scope in _scopes(d).values()),
            reliability,
        )
    )
    figures = {caption: make(diagnoses) for caption, wanted, make in makers if wanted}
    for i, (name, diagnosis) in enumerate(zip(model_names(diagnoses), diagnoses, strict=True), 1):
        if any(task.missed for task in diagnosis.tasks.values()):
            caption = f"{name}: facts about each cell of the grid that are missed, and that are invented, an answer."
            figure = figures[caption] = misread(diagnosis)
            if len(diagnoses) > 1:
                figure.set_label(f"misread-{i}")
    return figures


@style()
def to_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element, the same bytes every time; text stays text."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = re.sub(r'<g id="[^"]*"', "<g", svg[svg.index("<svg") :])  # numbered names, which would clash on one page
    return re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


@style()
def save(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Write ``path`` with the endings .svg and .png added; missing folders are made.

    Raises:
        OSError: they cannot be written.
    """
    svg, png = (path.with_name(path.name + ending) for ending in (".svg", ".png"))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(svg, to_svg(figure))
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI, metadata={"Software": None}, format="png")
    write_whole(png, drawn.getvalue())
    return svg, png


Points = Callable[["Diagnosis", str], "list[tuple[int, Level | Length]]"]
"""The points of a curve of one task: where on the x-axis, and the figures there."""


def _curves(label: str, diagnoses: Sequence[Diagnosis], points: Points, xlabel: str) -> Figure:
    """A panel a task; of one model both conditions in it, of several models a row of panels for each condition."""
    from matplotlib.ticker import MaxNLocator

    names, models = task_names(diagnoses), model_names(diagnoses)
    keys = {"e2e": "E2E (image)", "plan_on_gt": "Plan-on-GT (text)"}
    many = len(diagnoses) > 1
    height = 0.7 + 1.8 * (2 if many else 1)
    figure, axes = plotting.new(label, 2 if many else 1, len(names), height, sharey=True, sharex="col")
    for column, task in enumerate(names):
        for i, key in enumerate(keys):
            ax = axes[i if many else 0][column]
            for j, diagnosis in enumerate(diagnoses):
                curve = [(x, figures.estimate(key)) for x, figures in points(diagnosis, task)]
                plotting.line(ax, curve, j if many else i, plotting.short(models[j]) if many else keys[key])
            straight = [(x, 100 * cell.value) for x, cell in _straight(diagnoses[0], task, points)]
            if straight and (many or i == 1):
                ax.plot(*zip(*straight, strict=True), ":", color=GREY, lw=1.1, label="straight plan")
            plotting.percent_axis(ax, f"{keys[key]}\nsolved (%)" if many else "solved (%)", first=column == 0)
        counts = sorted({figures.n for d in diagnoses for _, figures in points(d, task)})
        n = "–".join(str(c) for c in dict.fromkeys((counts[0], counts[-1]))) if counts else "0"
        axes[0][column].set_title(f"{one_line(task)}\nn = {n} at each point")
        axes[-1][column].set_xlabel(xlabel)
        axes[-1][column].xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    return plotting.legend(figure)


def _level_points(diagnosis: Diagnosis, task: str) -> list[tuple[int, Level | Length]]:
    return [(level.level, level) for level in diagnosis.tasks[task].levels] if task in diagnosis.tasks else []


def _length_points(diagnosis: Diagnosis, task: str) -> list[tuple[int, Level | Length]]:
    lengths = diagnosis.tasks[task].lengths if task in diagnosis.tasks else ()
    return [(length.shortest, length) for length in lengths if length.n >= FEWEST]


def _straight(diagnosis: Diagnosis, task: str, points: Points) -> list[tuple[int, Estimate]]:
    """What the straight plan solves, where the points are levels."""
    return [(x, cell) for x, figures in points(diagnosis, task) if (cell := figures.estimate("straight"))]


def _scopes(diagnosis: Diagnosis, last: str = "macro") -> Mapping[str, Scope]:
    return {**{one_line(name): scope for name, scope in diagnosis.tasks.items()}, last: diagnosis.macro}


def _any(diagnoses: Sequence[Diagnosis], *metrics: str) -> bool:
    return any(scope.estimate(name) for d in diagnoses for scope in _scopes(d).values() for name in metrics)
