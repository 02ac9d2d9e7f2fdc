"""What looks cost, as a table, a figure and a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mgsd_bench.report import plotting
from mgsd_bench.report.plotting import GREY, INK, style
from mgsd_bench.report.tables import as_markdown, latex_row
from mgsd_bench.report.text import as_csv, csv_text, latex_text, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mgsd_bench.analysis.robustness import AxisResult, LookCell, Robustness
    from mgsd_bench.statistics.intervals import Estimate

AXIS_COLUMNS = (
    *("axis", "solved", "drop", "95 %", "p", "flipped", "broken", "repaired", "kept", "a step", "half at", "State F1"),
    *("misplanned", "detectable"),
)
LOOK_COLUMNS = ("look", "solved", "95 %", "change", "95 % paired", "broken", "repaired", "p", "State F1")
LEGEND = (
    "In %, with 95 % intervals paired by episode; an episode counts by its mean over the severities. drop: clean "
    "accuracy minus solved, in points; p: of no drop, adjusted over the axes (Holm); flipped: answers that differ from "
    "the clean one; broken, repaired: answers at all severities that solve the clean picture alone, or the perturbed "
    "one alone; kept: share of the clean accuracy; a step: points a step of severity; half at: the first severity at "
    "which no more than half of the clean accuracy is left; State F1: its change; misplanned: change of the share of "
    "plans that fail in the stated world; detectable: the drop that so many changed answers let one severity show in "
    "four of five cases; *: no effect seen, as no more answers differ than between two clean arms"
)


def axis_rows(result: Robustness) -> list[tuple[str, ...]]:
    """A row an ordered axis, the heading first."""
    return [AXIS_COLUMNS, *(_axis_row(axis) for axis in result.axes)]


def _axis_row(axis: AxisResult) -> tuple[str, ...]:
    return (
        axis.name + ("*" if axis.effect is False else ""),
        _percent(axis.solved),
        _points(axis.drop),
        _span(axis.drop),
        f"{axis.holm_p:.3f}",
        _percent(axis.flipped),
        str(sum(cell.broken for cell in axis.cells)),
        str(sum(cell.repaired for cell in axis.cells)),
        _percent(axis.retention) if axis.retention else "–",
        _points(axis.slope),
        str(axis.half_at or "–"),
        _points(axis.state_f1) if axis.state_f1 else "–",
        _points(axis.misplanned) if axis.misplanned else "–",
        f"{100 * max(cell.detectable for cell in axis.cells):.1f}",
    )


def brief_rows(result: Robustness) -> list[list[tuple[str, ...]]]:
    """Both tables as a terminal of 80 columns has room for them: no single severities, fewer columns."""
    axes = [(*row[:5], *row[6:8], row[11]) for row in axis_rows(result)]
    apart = [*([result.combined.cell] if result.combined else []), *result.others]
    looks = [LOOK_COLUMNS[:-1], *((r[0].removeprefix(f"{result.first}+"), *r[1:-1]) for r in map(_look_row, apart))]
    return [rows for rows in (axes, looks) if len(rows) > 1]


def look_rows(result: Robustness) -> list[tuple[str, ...]]:
    """A row a look, the heading and the first look before the others."""
    clean = (result.first, _percent(result.clean), _between(result.clean), *["–"] * 6)
    return [LOOK_COLUMNS, clean, *(_look_row(cell) for cell in result.cells())]


def _look_row(cell: LookCell) -> tuple[str, ...]:
    return (
        cell.look,
        _percent(cell.solved),
        _between(cell.solved),
        _points(cell.change),
        _span(cell.change),
        str(cell.broken),
        str(cell.repaired),
        f"{cell.mid_p:.3f}",
        _percent(cell.state_f1) if cell.state_f1 else "–",
    )


def sentences(result: Robustness) -> list[str]:
    """What the figures come to, a line each."""
    n = f"{result.n} episodes"
    said = [f"Clean ({result.first}): {_percent(result.clean)} % solved ({_between(result.clean)}), {n}."]
    if result.blind is not None:
        said.append(f"The plan that sees no obstacle solves {100 * result.blind:.0f} % of as many.")
    if result.again is not None:
        said.append(f"Asked twice in that look, {_percent(result.again)} % of the answers differ by themselves.")
    if result.consistent is not None:
        said.append(
            f"Mirrored and turned: for {_percent(result.consistent)} % of the episodes ({_between(result.consistent)}) "
            "all images come to the same, solved or not."
        )
    if result.mean_drop is not None and result.worst is not None:
        worst = next(axis for axis in result.axes if axis.name == result.worst)
        said.append(
            f"Mean drop over {len(result.axes)} axes: {_points(result.mean_drop)} points ({_span(result.mean_drop)}); "
            f"worst: {worst.name}, {_points(worst.drop)} ({_span(worst.drop)})."
        )
        surely = [
            axis.name
            for axis in result.axes
            if axis.holm_p <= 0.05 and axis.drop.value > 0 and axis.effect is not False
        ]
        said.append(f"Surely lower (Holm, 5 %): {', '.join(surely) or 'none'}.")
        unseen = [axis.name for axis in result.axes if axis.effect is False]
        if unseen:
            said.append(f"No effect seen: {', '.join(unseen)}.")
        moved = [axis.name for axis in result.axes if axis.planning_moved]
        if moved:
            said.append(
                f"Planning changed with the picture ({', '.join(moved)}), which a picture alone cannot do: plans fail "
                "more or less often in the very worlds that the answers state."
            )
    if result.combined is not None:
        cell = result.combined.cell
        said.append(f"Two axes at once: {_points(cell.change)} points ({_span(cell.change)}).")
        if (beyond := result.combined.beyond_sum) is not None:
            said.append(f"That is {_points(beyond)} points ({_span(beyond)}) beyond the sum of both alone.")
    return said


def _csv_cell(value: object) -> object:
    if isinstance(value, str):
        return csv_text(value)
    return f"{value:.6f}" if isinstance(value, float) else value


def write(result: Robustness, output_format: str) -> str:
    """Both tables as ``md`` or ``tex``, or every look as ``csv``."""
    if output_format == "csv":
        frame = result.to_pandas()
        rows = [[_csv_cell(value) for value in row] for row in frame.itertuples(index=False)]
        return as_csv([list(frame.columns), *rows])
    tables = [rows for rows in (axis_rows(result), look_rows(result)) if len(rows) > 1]
    if output_format == "md":
        title = f"# {one_line(result.model)} on {one_line(result.suite)}, {result.condition}\n"
        return "\n".join(
            [title, *(f"{line}  " for line in sentences(result)), "", *map(as_markdown, tables), LEGEND, ""]
        )
    return "\n".join(map(_latex, tables))


def _latex(rows: list[tuple[str, ...]]) -> str:
    body = [latex_row([latex_text(cell).replace("–", "--") for cell in row]) for row in rows]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            rf"\begin{{tabular}}{{l*{{{len(rows[0]) - 1}}}{{r}}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


@style()
def figure(result: Robustness) -> Figure:
    """What is solved against severity, a panel an axis; the grey band is the clean accuracy, dashes the blind plan."""
    columns = min(4, len(result.axes))
    rows = -(-len(result.axes) // columns)
    drawn, panels = plotting.new("robustness", rows, columns, 0.6 + 1.45 * rows, sharey=True)
    flat = [ax for of_row in panels for ax in of_row]
    for ax in flat[len(result.axes) :]:
        ax.set_axis_off()
    for i, (ax, axis) in enumerate(zip(flat, result.axes, strict=False)):
        severities = [0, *(cell.severity for cell in axis.cells)]
        ax.axhspan(100 * result.clean.low, 100 * result.clean.high, color=GREY, alpha=0.15, lw=0)
        ax.axhline(100 * result.straight.value, color=INK, lw=0.8, ls="--")
        points = list(zip(severities, [result.clean, *(cell.solved for cell in axis.cells)], strict=True))
        plotting.line(ax, points, 0, "solved")
        ax.set_title(axis.name + (" (no effect seen)" if axis.effect is False else ""))
        ax.set_xticks(severities)
        plotting.percent_axis(ax, "solved, %", first=i % columns == 0)
    return plotting.settle(drawn)


CAPTION = (
    "What is solved at each severity of a perturbation, with 95 % intervals; 0 is the clean picture, the grey band its "
    "interval, the dashed line what the plan that sees no obstacle solves."
)


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}"


def _between(estimate: Estimate) -> str:
    return f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}"


def _points(estimate: Estimate) -> str:
    return f"{100 * estimate.value + 0.0:+.1f}"


def _span(estimate: Estimate) -> str:
    return f"{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}"
