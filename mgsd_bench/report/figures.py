"""Figures of diagnoses: pure functions from diagnosis values to matplotlib figures.

Every figure can be read in grey: besides its colour (Okabe and Ito's palette) each series has a marker, a line style or
a hatch of its own. Bands and bars are 95 % intervals. matplotlib is imported when a figure is drawn, its global state
is left alone, and nobody's own matplotlib settings change the outcome.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.report.tables import ATTRIBUTIONS, estimate, model_names, one_line, task_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = dict[str, Any]

WIDTH = 7.2
DPI = 200
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
INK, GREY, PALE = "#222222", "#777777", "#DDDDDD"
COLOURS = (BLUE, ORANGE, GREEN, PINK, RED, SKY)
MARKERS = ("o", "s", "D", "^", "v", "P")
FEWEST = 5
"""Lengths with fewer episodes are not drawn: their intervals would cover the whole panel."""
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
BARS = {"state": ("State F1", GREEN, "////"), "plan_on_gt": ("Plan-on-GT", ORANGE, "\\\\\\\\"), "e2e": ("E2E", SKY, "")}
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


@style()
def accuracy_by_level(diagnoses: Sequence[Json]) -> Figure:
    """Share of questions solved against the grid size, from the image and from the state as text."""
    return _curves("accuracy-by-level", diagnoses, "levels", "level", "level (cells a side)")


@style()
def accuracy_by_length(diagnoses: Sequence[Json]) -> Figure:
    """Share of questions solved against the length of the shortest plan, from the image and from the state as text."""
    return _curves("accuracy-by-length", diagnoses, "lengths", "shortest", "actions in the shortest plan")


@style()
def decomposition(diagnoses: Sequence[Json]) -> Figure:
    """State F1, Plan-on-GT and E2E of each task, with what the blind plans solve."""
    figure, panels = _per_model("decomposition", diagnoses, 2.0)
    for ax, diagnosis in panels:
        scopes = _scopes(diagnosis)
        _bars(ax, [[estimate(scope, key) for scope in scopes.values()] for key in BARS], list(BARS.values()))
        for i, scope in enumerate(scopes.values()):
            for key, (name, marker) in BLIND.items():
                if cell := estimate(scope, key):
                    ax.plot(
                        i + 0.46, 100 * cell["value"], marker, ms=4.5, mfc="white", mec=INK, label=name, clip_on=False
                    )
        _percent_axis(ax, "%")
        _task_ticks(ax, [f"{name}\nn = {scope['n']}" for name, scope in scopes.items()])
    return _legend(figure)


@style()
def by_path(diagnoses: Sequence[Json]) -> Figure:
    """Share solved where the straight plan works, and where something is in its way."""
    figure, panels = _per_model("by-path", diagnoses, 1.8)
    for ax, diagnosis in panels:
        scopes = _scopes(diagnosis, "all")  # not a mean of tasks: one may have no such episodes
        cells = [[(scope.get("by_path") or {}).get(key) for scope in scopes.values()] for key in PATHS]
        _bars(ax, cells, list(PATHS.values()))
        _percent_axis(ax, "solved from the image (%)")
        counts = [" / ".join(str(cell["n"] if cell else 0) for cell in pair) for pair in zip(*cells, strict=True)]
        _task_ticks(ax, [f"{name}\nn = {count}" for name, count in zip(scopes, counts, strict=True)])
    return _legend(figure)


@style()
def attribution(diagnoses: Sequence[Json]) -> Figure:
    """What the answers to all questions failed at, as shares of each task's questions."""
    figure, panels = _per_model("attribution", diagnoses, 1.5)
    for ax, diagnosis in panels:
        scopes = {name: scope for name, scope in _scopes(diagnosis, "all").items() if scope.get("attribution")}
        left = [0.0] * len(scopes)
        for key in ATTRIBUTIONS:
            colour, hatch, ink = SHARES[key]
            counts = [scope["attribution"] for scope in scopes.values()]
            shares = [100 * of_scope.get(key, 0) / max(1, sum(of_scope.values())) for of_scope in counts]
            ax.barh(
                range(len(shares)), shares, 0.7, left, color=colour, hatch=hatch, edgecolor="white", lw=0.6, label=key
            )
            for y, (x, share) in enumerate(zip(left, shares, strict=True)):
                if share >= 4:
                    box = {"boxstyle": "square,pad=0.15", "fc": colour, "ec": "none"}
                    ax.text(x + share / 2, y, f"{share:.0f}", ha="center", va="center", color=ink, bbox=box)
            left = [x + share for x, share in zip(left, shares, strict=True)]
        ax.set_yticks(range(len(scopes)), [f"{name} (n = {scope['n']})" for name, scope in scopes.items()])
        ax.invert_yaxis()
        ax.tick_params("y", length=0)
        ax.grid(False)
        ax.set(xlim=(0, 100), xlabel="share of all questions (%)")
    return _legend(figure)


@style()
def modality_gap(diagnoses: Sequence[Json]) -> Figure:
    """Plan-on-GT minus E2E on the same episodes, in percentage points, with the mid-p value of McNemar's test."""
    names, models = [*task_names(diagnoses), "macro"], model_names(diagnoses)
    figure, ((ax,),) = _new("modality-gap", 1, 1, 0.9 + 0.2 * len(names) * (len(models) + 0.5))
    step = 0.8 / len(models)
    for i, (model, diagnosis) in enumerate(zip(models, diagnoses, strict=True)):
        for j, scope in enumerate(_scopes(diagnosis).get(name) for name in names):
            if (cell := estimate(scope, "gap")) is None or scope is None:
                continue
            y = j + (i - (len(models) - 1) / 2) * step
            ax.errorbar(
                100 * cell["value"],
                y,
                xerr=_error([cell]),
                label=_short(model),
                color=COLOURS[i % 6],
                marker=MARKERS[i % 6],
            )
            p = scope["gap"]["mid_p"]
            note = f"n = {cell['n']}" + ("" if p is None else ", p < 0.001" if p < 0.001 else f", p = {p:.3f}")
            ax.annotate(note, (1, y), (4, 0), ax.get_yaxis_transform(), "offset points", va="center", fontsize=7)
    ax.axvline(0, color=INK, lw=0.8)
    ax.set_yticks(range(len(names)), [one_line(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params("y", length=0)
    ax.grid(True, axis="x")
    ax.grid(False, axis="y")
    ax.set_xlabel("modality gap: Plan-on-GT − E2E (percentage points)")
    return _legend(figure)


@style()
def misread(diagnosis: Json) -> Figure:
    """Where on the grid the facts that a model states are wrong: mean misread facts an episode, for each cell."""
    grids = {name: of_task.get("misread") or {} for name, of_task in diagnosis["tasks"].items()}
    grids = {name: of_task for name, of_task in grids.items() if of_task}
    columns = max(map(len, grids.values()), default=1)
    width = min(WIDTH, 1.3 + 1.25 * columns)
    cell = (width - 1.3) / columns
    figure, axes = _new("misread", max(1, len(grids)), columns, 0.1 + (cell + 0.3) * max(1, len(grids)))
    figure.set_layout_engine("compressed")
    figure.set_figwidth(width)
    for ax in (ax for row in axes for ax in row):
        ax.set_axis_off()
    for row, (name, of_task) in zip(axes, grids.items(), strict=False):
        counts = {str(level["level"]): level["n"] for level in diagnosis["tasks"][name]["levels"]}
        highest = max(x for grid in of_task.values() for line in grid for x in line) or 1
        for i, (ax, level) in enumerate(zip(row, sorted(of_task, key=int), strict=False)):
            ax.set_axis_on()
            image = ax.imshow(of_task[level], cmap="Blues", vmin=0, vmax=highest, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(True)
            ax.set_title(f"level {level}, n = {counts.get(level, '?')}", fontsize=7, pad=2)
            if i == 0:
                ax.set_ylabel(one_line(name))
        figure.colorbar(image, ax=row, label="misread facts\nan episode", fraction=0.04, pad=0.02)
    return _settle(figure)


def all_figures(diagnoses: Sequence[Json]) -> dict[str, Figure]:
    """Caption and figure of everything that the diagnoses hold data for; ``figure.get_label()`` is a file name."""
    interval = "95 % Wilson intervals (effective number of episodes, t quantile)"
    makers: list[tuple[str, bool, Callable[[Sequence[Json]], Figure]]] = [
        (
            f"What was seen, planned and solved. State F1, Plan-on-GT and E2E, with {interval}, and "
            "what plans that ignore the image solve.",
            _any(diagnoses, *BARS),
            decomposition,
        ),
        ("What the answers to all questions failed at.", _any(diagnoses, "attribution"), attribution),
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
            any(_rows(d, task, "lengths") for d in diagnoses for task in d["tasks"]),
            accuracy_by_length,
        ),
        (
            f"Accuracy where the straight plan works and where it is blocked, with {interval}. A model that ignores "
            "obstacles solves the former alone.",
            any(any((s.get("by_path") or {}).values()) for d in diagnoses for s in _scopes(d).values()),
            by_path,
        ),
    ]
    figures = {caption: make(diagnoses) for caption, wanted, make in makers if wanted}
    for i, (name, diagnosis) in enumerate(zip(model_names(diagnoses), diagnoses, strict=True), 1):
        if any(of_task.get("misread") for of_task in diagnosis["tasks"].values()):
            figure = figures[f"{name}: misread facts an episode about each cell of the grid."] = misread(diagnosis)
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
    svg.write_bytes(to_svg(figure).encode())
    figure.savefig(png, dpi=DPI, metadata={"Software": None})
    return svg, png


def _new(label: str, rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, list[list[Axes]]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.set_label(label)
    return figure, figure.subplots(rows, columns, squeeze=False, **options).tolist()


def _per_model(label: str, diagnoses: Sequence[Json], height: float) -> tuple[Figure, list[tuple[Axes, Json]]]:
    """One panel a model, one below the other."""
    figure, axes = _new(label, len(diagnoses), 1, 0.5 + height * len(diagnoses))
    for (ax,), name in zip(axes, model_names(diagnoses), strict=True):
        ax.set_title(_short(name))
    return figure, [(ax, diagnosis) for (ax,), diagnosis in zip(axes, diagnoses, strict=True)]


def _curves(label: str, diagnoses: Sequence[Json], rows: str, x: str, xlabel: str) -> Figure:
    """A panel a task; of one model both conditions in it, of several models a row of panels for each condition."""
    from matplotlib.ticker import MaxNLocator

    names, models = task_names(diagnoses), model_names(diagnoses)
    keys = {"e2e": "E2E (image)", "plan_on_gt": "Plan-on-GT (text)"}
    many = len(diagnoses) > 1
    height = 0.7 + 1.8 * (2 if many else 1)
    figure, axes = _new(label, 2 if many else 1, len(names), height, sharey=True, sharex="col")
    for column, task in enumerate(names):
        for i, key in enumerate(keys):
            ax = axes[i if many else 0][column]
            for j, diagnosis in enumerate(diagnoses):
                points = _rows(diagnosis, task, rows)
                look = j if many else i
                _line(
                    ax, [(row[x], estimate(row, key)) for row in points], look, _short(models[j]) if many else keys[key]
                )
            first = _rows(diagnoses[0], task, rows)
            straight = [(row[x], 100 * cell["value"]) for row in first if (cell := estimate(row, "straight"))]
            if straight and (many or i == 1):
                ax.plot(*zip(*straight, strict=True), ":", color=GREY, lw=1.1, label="straight plan")
            _percent_axis(ax, f"{keys[key]}\nsolved (%)" if many else "solved (%)", first=column == 0)
        counts = sorted({row["n"] for d in diagnoses for row in _rows(d, task, rows)})
        n = "–".join(str(c) for c in dict.fromkeys((counts[0], counts[-1]))) if counts else "0"
        axes[0][column].set_title(f"{one_line(task)}\nn = {n} at each point")
        axes[-1][column].set_xlabel(xlabel)
        axes[-1][column].xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    return _legend(figure)


def _rows(diagnosis: Json, task: str, rows: str) -> list[Json]:
    found: list[Json] = diagnosis["tasks"].get(task, {}).get(rows) or []
    return found if rows == "levels" else [row for row in found if row["n"] >= FEWEST]


def _line(ax: Axes, points: Sequence[tuple[int, Json | None]], look: int, label: str) -> None:
    shown = [(x, cell) for x, cell in points if cell]
    if not shown:
        return
    xs = [x for x, _ in shown]
    low, value, high = ([100 * cell[key] for _, cell in shown] for key in ("low", "value", "high"))
    colour = COLOURS[look % 6]
    ax.fill_between(xs, low, high, color=colour, alpha=0.18, lw=0)
    ax.plot(xs, value, color=colour, marker=MARKERS[look % 6], ls=LINES[look % 6], label=label, clip_on=False)


def _bars(ax: Axes, series: Sequence[Sequence[Json | None]], looks: Sequence[tuple[str, str, str]]) -> None:
    """Groups of bars with their values and intervals; what was not measured is left out."""
    width = 0.81 / len(series)
    for i, (cells, (name, colour, hatch)) in enumerate(zip(series, looks, strict=True)):
        shown = [(j + (i - (len(series) - 1) / 2) * width, cell) for j, cell in enumerate(cells) if cell]
        if not shown:
            continue
        xs, values = [x for x, _ in shown], [100 * cell["value"] for _, cell in shown]
        ax.bar(xs, values, width * 0.92, color=colour, hatch=hatch, edgecolor="white", lw=0, label=name)
        ax.errorbar(xs, values, yerr=_error([cell for _, cell in shown]), fmt="none", ecolor=INK, elinewidth=0.9)
        for x, cell in shown:
            ax.annotate(f"{100 * cell['value']:.0f}", (x, 100 * cell["high"]), (0, 2), textcoords="offset points",
                        ha="center", va="bottom", fontsize=7)  # fmt: skip


def _error(cells: Sequence[Json]) -> list[list[float]]:
    """Lengths of the error bars below and above the values."""
    below = [max(0.0, 100 * (cell["value"] - cell["low"])) for cell in cells]
    return [below, [max(0.0, 100 * (cell["high"] - cell["value"])) for cell in cells]]


def _percent_axis(ax: Axes, label: str, *, first: bool = True) -> None:
    ax.set_ylim(0, 112)
    ax.set_yticks(range(0, 101, 20))
    if first:
        ax.set_ylabel(label)


def _task_ticks(ax: Axes, labels: Sequence[str]) -> None:
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.6, len(labels) - 0.4)
    ax.tick_params("x", length=0)


def _legend(figure: Figure) -> Figure:
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
    return _settle(figure)


def _settle(figure: Figure) -> Figure:
    """Lay the figure out now and for good; else every drawing of it would move things by a hair."""
    figure.draw_without_rendering()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _scopes(diagnosis: Json, last: str = "macro") -> Mapping[str, Json]:
    return {**{one_line(name): scope for name, scope in diagnosis["tasks"].items()}, last: diagnosis["macro"]}


def _any(diagnoses: Sequence[Json], *keys: str) -> bool:
    return any(scope.get(key) for d in diagnoses for scope in _scopes(d).values() for key in keys)


def _short(name: str) -> str:
    """A name that fits a legend and that matplotlib does not take for a hidden label."""
    short = name if len(name) <= 40 else f"{name[:19]}…{name[-20:]}"
    return f"\u200b{short}" if short.startswith("_") else short
