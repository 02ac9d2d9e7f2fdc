"""The report as one HTML file that needs nothing else: figures, tables and an explorer of every answer.

What models wrote is data of an untrusted party: it is in the file only as JSON without ``<``, the page shows it only as
text, and the page's content security policy lets no other script run and nothing be fetched.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.run import Run
from mgsd_bench.files import write_whole
from mgsd_bench.report.explorer import Explorer, data_uri

if TYPE_CHECKING:
    from mgsd_bench.analysis.diagnosis import Diagnosis, Scope, TaskDiagnosis
    from mgsd_bench.statistics.intervals import Estimate

_CARDS = {
    "State F1": "facts of the state read from the picture",
    "Plan-on-GT": "solved when the true state is given as text",
    "E2E": "solved from the picture alone",
    "Modality gap": "Plan-on-GT minus E2E, in points",
}
_COLUMNS = ("n", "State F1", "Plan-on-GT", "E2E", "E2E, blocked", "straight", "random")
_CAUSES = {
    Attribution.SOLVED: "the plan works",
    Attribution.PERCEPTION: "the plan works in the world that was stated, not in the true one",
    Attribution.PLANNING: "the true state was stated, and the plan fails",
    Attribution.BOTH: "a false state was stated, and the plan fails in it too",
    Attribution.UNSTATED: "no complete state was stated",
    Attribution.FORMAT: "no plan could be read",
}
_JOINT = tuple("".join(key) for key in product("10", repeat=3))
_COSTS_NOTE = (
    '<p class="note">In %, with 95 % intervals. <b>if planned well</b>: solved by a shortest plan for the state that '
    "was stated; <b>if seen well</b>: Plan-on-GT.</p>"
)


def write_html(
    out: Path,
    *,
    title: str,
    diagnosis: Diagnosis | None,
    runs: Sequence[Run],
    figures: Mapping[str, str],
    tables: Mapping[str, Sequence[Sequence[str]]] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write the report.

    Args:
        out: the file.
        title: its heading.
        diagnosis: of the one run, for the summary.
        runs: the runs whose answers can be looked at, one by one.
        figures: SVG files by caption.
        tables: further tables by caption; cells are text, the first row of each is its heading.
        notes: what must be said beside the figures of several runs.

    Raises:
        UserError: a run is damaged.
        OSError: the file cannot be written.
    """
    explorer = Explorer(runs)
    style, script = (_template(name) for name in ("report.css", "report.js"))
    parts = {
        "title": _text(title),
        "about": _about(diagnosis, runs),
        "summary": (_summary(diagnosis) if diagnosis else "") + _tables(tables or {}),
        "figures": "".join(f'<p class="note">{_text(note)}</p>' for note in notes if not diagnosis) + _figures(figures),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "index": explorer.index,
        "episodes": explorer.episodes,
        "samples": explorer.samples,
    }
    write_whole(out, re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _template("report.html")))


def _template(name: str) -> str:
    return (files("mgsd_bench.report") / "template" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A script or style as a content security policy names it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _text(value: object) -> str:
    """A value as HTML text; what UTF-8 cannot hold becomes a question mark."""
    return escape(str(value).encode("utf-8", "replace").decode())


def _about(diagnosis: Diagnosis | None, runs: Sequence[Run]) -> str:
    """Model, suite, digest and the number of answers."""
    identities = [run.identity for run in runs]
    rows = {
        "model": [diagnosis.model] if diagnosis else [run.model for run in runs],
        "suite": [identity["suite"] for identity in identities],
        "digest": [identity["episodes_digest"][:12] for identity in identities],
        "conditions": list(dict.fromkeys(sample.condition for run in runs for sample in run.samples)),
        "answers": [f"{sum(len(run.samples) for run in runs):,}"],
    }
    return "".join(
        f"<div><dt>{name}</dt><dd>{_text(', '.join(dict.fromkeys(values)))}</dd></div>"
        for name, values in rows.items()
        if values
    )


def _summary(diagnosis: Diagnosis) -> str:
    total, tasks = diagnosis.macro, diagnosis.tasks
    scopes: dict[str, Scope] = {**tasks, "macro average": total} if len(tasks) > 1 else {**tasks}
    levels = {f"{name} {level.level}": level for name, task in tasks.items() for level in task.levels}
    parts = [
        f'<div class="cards">{_cards(total)}</div>',
        "".join(f'<p class="note">{_text(note)}</p>' for note in diagnosis.notes),
        "<h2>Results by task</h2>",
        _results(scopes),
        '<p class="note">In % of episodes, with 95 % intervals; State F1 × 100. <b>straight</b> and <b>random</b> are '
        "plans made without looking; <b>blocked</b> are the episodes that the straight plan does not solve.</p>",
        f"<details><summary>By level</summary>{_results(levels)}</details>",
        f"<details><summary>State F1 by kind of fact</summary>{_facts(tasks)}</details>",
        "<h2>Why answers fail</h2>",
        _causes(scopes),
        "<h2>How often what goes wrong, and what it costs</h2>",
        _costs(scopes),
        _COSTS_NOTE,
    ]
    if total.joint:
        parts.append(f"<details><summary>Seen × planned × solved</summary>{_joint(scopes)}</details>")
    return f'<section id="summary">{"".join(parts)}</section>'


def _headline(scope: Scope) -> list[Estimate | None]:
    """State F1, Plan-on-GT and E2E."""
    return [scope.state.f1, scope.plan_on_gt, scope.e2e]


def _cards(scope: Scope) -> str:
    estimates = [*_headline(scope), scope.estimate("gap")]
    return "".join(_card(*card) for card in zip(_CARDS.items(), estimates, strict=True))


def _card(about: tuple[str, str], estimate: Estimate | None) -> str:
    name, note = about
    if estimate is None:
        figure = '<p class="figure">–</p><p class="interval">not measured</p>'
    else:
        value, low, high = 100 * estimate.value, 100 * estimate.low, 100 * estimate.high
        figure = (
            f'<p class="figure">{_number(value)}</p>{_whisker(value, low, high)}'
            f'<p class="interval">95 %: {_number(low)} to {_number(high)} · n&nbsp;=&nbsp;{estimate.n:,}</p>'
        )
    return f'<article class="card"><h3>{name}</h3>{figure}<p class="note">{note}</p></article>'


def _whisker(value: float, low: float, high: float) -> str:
    """An estimate and its interval on a line from 0 to 100, or from -100 where one of them is negative."""
    left, width = (-100, 200) if low < 0 else (0, 100)
    at, start, end = (100 * (v - left) / width for v in (value, low, high))
    return (
        '<svg class="whisker" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="2"/>'
        f'<rect class="range" x="{start:.2f}" y="1" width="{max(end - start, 0.5):.2f}" height="4"/>'
        f'<rect class="value" x="{min(max(at - 0.5, 0), 99):.2f}" width="1" height="6"/></svg>'
    )


def _results(scopes: Mapping[str, Scope]) -> str:
    rows = []
    for name, scope in scopes.items():
        estimates = [*_headline(scope), scope.by_path.blocked, scope.straight, scope.random]
        rows.append([_text(name), f"{scope.n:,}", *map(_estimate, estimates)])
    return _table(("", *_COLUMNS), rows)


def _causes(scopes: Mapping[str, Scope]) -> str:
    """Counts and shares of every attribution, and the shares as a bar."""
    rows = []
    for name, scope in scopes.items():
        shares = {cause: 100 * scope.failures[cause].value for cause in Attribution}
        cells = [f"{scope.attribution[cause]:,} <small>{_number(share)} %</small>" for cause, share in shares.items()]
        rows.append([_text("all" if name == "macro average" else name), *cells, _bar(shares)])
    legend = "".join(
        f'<li><span class="swatch" data-value="{cause}"></span><b>{cause}</b>: {note}</li>'
        for cause, note in _CAUSES.items()
    )
    return _table(("", *Attribution, ""), rows) + f'<ul class="legend">{legend}</ul>'


def _bar(shares: Mapping[Attribution, float]) -> str:
    parts, start = [], 0.0
    for cause, width in shares.items():
        parts.append(f'<rect data-value="{cause}" x="{start:.3f}" width="{width:.3f}" height="10"/>')
        start += width
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(parts)
        + "</svg>"
    )


def _costs(scopes: Mapping[str, Scope]) -> str:
    """Rates of the three kinds of fault, and accuracy if one of them were gone."""
    rows = []
    for name, scope in scopes.items():
        faults = [scope.faults.misread, scope.faults.misplanned, scope.faults.unreadable]
        rows.append([_text(name), *map(_estimate, [*faults, scope.if_planned_well, scope.plan_on_gt])])
    heading = ("facts misread", "plans that fail in the stated world", "no plan", "if planned well", "if seen well")
    return _table(("", *heading), rows)


def _joint(scopes: Mapping[str, Scope]) -> str:
    """How often state exact, Plan-on-GT and E2E occur together, and E2E beside the product of the first two."""
    rows, signs = [], [" ".join("✓" if right == "1" else "✗" for right in key) for key in _JOINT]
    for name, scope in scopes.items():
        if joint := scope.joint:
            shares = (f"{_number(100 * share)} %" for share in (joint.observed, joint.independent))
            counts = (str(joint.counts[key]) for key in _JOINT)
            rows.append([_text("all" if name == "macro average" else name), *counts, *shares])
    return _table(("state exact, Plan-on-GT, E2E", *signs, "E2E", "exact × Plan-on-GT"), rows)


def _facts(tasks: Mapping[str, TaskDiagnosis]) -> str:
    rows = []
    for name, task in tasks.items():
        for kind, row in task.facts.items():
            counts = [f"{count:,}" for count in (row.tp, row.fp, row.fn)]
            rows.append([_text(f"{name}: {kind}"), *counts, _number(100 * row.f1)])
    return _table(("", "right", "false", "missing", "F1"), rows)


def _tables(tables: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """Tables of text, each with its caption below it."""
    shown = "".join(
        _table([_text(cell) for cell in heading], [[_text(cell) for cell in row] for row in rows])
        + f'<p class="note">{_text(caption)}</p>'
        for caption, (heading, *rows) in tables.items()
    )
    return f'<section id="tables"><h2>Tables</h2>{shown}</section>' if shown else ""


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of HTML cells, the first of each row a heading."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heading)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    value, low, high = (_number(100 * end) for end in (estimate.value, estimate.low, estimate.high))
    return f"{value} <small>{low} to {high}</small>"


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def _figures(figures: Mapping[str, str]) -> str:
    """SVG files as images, in which no script of theirs could run."""
    if not figures:
        return ""
    shown = "".join(
        f'<figure><img src="{data_uri("image/svg+xml", svg.encode("utf-8", "replace"))}" alt="{_text(caption)}">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
        for caption, svg in figures.items()
    )
    return f'<section id="figures"><h2>Figures</h2><div class="figures">{shown}</div></section>'
