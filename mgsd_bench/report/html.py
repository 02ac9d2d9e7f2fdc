"""The report as one HTML file that needs nothing else: a verdict, tables, figures and an explorer of answers.

What models wrote is data of an untrusted party: it is in the file only as JSON without ``<``, the page shows it only as
text, and the page's content security policy lets no other script run and nothing be fetched.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.run import Run
from mgsd_bench.files import write_whole
from mgsd_bench.report import dead_ends
from mgsd_bench.report.explorer import Explorer, LeftOut
from mgsd_bench.report.markup import number, percent, stacked_bar, table, text, whisker
from mgsd_bench.report.tables import OVERLAP, run_names
from mgsd_bench.report.verdict import CAUSES, as_html
from mgsd_bench.report.worlds import data_uri

if TYPE_CHECKING:
    from mgsd_bench.analysis.diagnosis import Diagnosis, Scope, TaskDiagnosis
    from mgsd_bench.analysis.overlap import Bounds
    from mgsd_bench.analysis.verdict import Verdict
    from mgsd_bench.statistics.intervals import Estimate

SCRIPTS = ("data", "address", "boards", "list", "answer", "turns", "download", "main")
"""Parts of the page's one script, in their order: files of the template that share one scope."""
_CARDS = {
    "State F1": "facts of the state read from the picture",
    "Plan-on-GT": "solved when the true state is given as text",
    "E2E": "solved from the picture alone",
    "Modality gap": "Plan-on-GT minus E2E, in points",
}
_COLUMNS = ("n", "State F1", "Plan-on-GT", "E2E", "E2E, blocked", "straight", "random")
_JOINT = tuple("".join(key) for key in product("10", repeat=3))
_COSTS_NOTE = (
    '<p class="note">In %, with 95 % intervals. <b>if planned well</b>: solved by a shortest plan for the state that '
    "was stated; <b>if seen well</b>: Plan-on-GT.</p>"
)


def write_html(
    out: Path,
    *,
    title: str,
    verdict: Verdict | None,
    runs: Sequence[Run],
    figures: Mapping[str, str],
    tables: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> None:
    """Write the report.

    Args:
        out: the file.
        title: its heading.
        verdict: of the runs, for the summary; None leaves it out.
        runs: the runs whose answers can be looked at, side by side.
        figures: SVG files by caption.
        tables: further tables by caption; cells are text, the first row of each is its heading.

    Raises:
        UserError: a run is damaged.
        OSError: the file cannot be written.
    """
    explorer, names = Explorer(runs), run_names(runs)
    style, script = _template("report.css"), _script()
    notes = verdict.notes if verdict else ()
    parts = {
        "title": text(title),
        "about": _about(names, runs, explorer),
        "summary": (_summary(verdict, names) if verdict else "") + _tables(tables or {}),
        "details": _details(verdict, names) if verdict else "",
        "figures": _figures(figures, notes),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "left_out": _left_out(explorer.left_out),
        "index": explorer.index,
        "episodes": explorer.episodes,
        "samples": explorer.samples,
        "transcripts": _transcripts(explorer),
    }
    pieces = re.split(r"\{\{(\w+)\}\}", _template("report.html"))  # every second one is the name of a part
    write_whole(out, ((parts[piece] if place % 2 else piece).encode() for place, piece in enumerate(pieces)))


def _left_out(found: LeftOut | None) -> str:
    """Which answers are in the page, where not all are."""
    if found is None:
        return ""
    return (
        f'<p class="note" id="left-out">This page shows {found.answers:,} of {found.of_answers:,} answers: all to '
        f"{found.episodes:,} of {found.of_episodes:,} episodes, chosen so that every model, task, level, condition and "
        "outcome is among them, failures before solved answers and the most unexpected failures first. Figures and "
        "tables are of all answers; filters, search, counts and the CSV below are of those shown.</p>"
    )


def _transcripts(explorer: Explorer) -> str:
    """The turns of what was acted out step by step, and what was shown in them; nothing where there is none."""
    blocks = {"transcripts": explorer.transcripts.lines, "shown": explorer.transcripts.shown}
    return "".join(
        f'<script type="application/x-ndjson" id="data-{name}">{lines}</script>\n'
        for name, lines in blocks.items()
        if explorer.transcripts.numbers
    )


def _template(name: str) -> str:
    return (files("mgsd_bench.report") / "template" / name).read_text(encoding="utf-8")


def _script() -> str:
    """The page's script; its parts see each other, and nothing else sees them."""
    return '"use strict";\n(() => {\n' + "\n".join(_template(f"{name}.js") for name in SCRIPTS) + "})();\n"


def _hash(text: str) -> str:
    """A script or style as a content security policy names it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _about(names: Sequence[str], runs: Sequence[Run], explorer: Explorer) -> str:
    """Model, suite, digest and the number of answers."""
    identities = [run.identity for run in runs]
    rows = {
        "model": names,
        "suite": [identity["suite"] for identity in identities],
        "digest": [identity["episodes_digest"][:12] for identity in identities],
        "conditions": list(explorer.conditions),
        "answers": [f"{explorer.answers:,}"],
    }
    return "".join(
        f"<div><dt>{name}</dt><dd>{text(', '.join(dict.fromkeys(values)))}</dd></div>"
        for name, values in rows.items()
        if values
    )


def _summary(verdict: Verdict, names: Sequence[str]) -> str:
    """The verdict, and of one run its diagnosis."""
    only = verdict.runs[0].diagnosis if len(verdict.runs) == 1 else None
    return as_html(verdict, names) + (f'<section id="summary">{_diagnosis(only)}</section>' if only else "")


def _details(verdict: Verdict, names: Sequence[str]) -> str:
    """The diagnosis of each of several runs, to be opened."""
    shown = "".join(
        f"<details><summary>{text(name)}</summary>{_diagnosis(run.diagnosis)}</details>"
        for name, run in zip(names, verdict.runs, strict=True)
        if run.diagnosis and len(names) > 1
    )
    return f'<section id="details"><h2>Each model in detail</h2>{shown}</section>' if shown else ""


def _diagnosis(diagnosis: Diagnosis) -> str:
    total, tasks = diagnosis.macro, diagnosis.tasks
    scopes: dict[str, Scope] = {**tasks, "macro average": total} if len(tasks) > 1 else {**tasks}
    levels = {f"{name} {level.level}": level for name, task in tasks.items() for level in task.levels}
    parts = [
        f'<div class="cards">{_cards(total)}</div>',
        "".join(f'<p class="note">{text(note)}</p>' for note in diagnosis.notes),
        "<h2>Results by task</h2>",
        _results(scopes),
        '<p class="note">In % of episodes, with 95 % intervals; State F1 × 100. <b>straight</b> and <b>random</b> are '
        "plans made without looking; <b>blocked</b> are the episodes that the straight plan does not solve.</p>",
        f"<details><summary>By level</summary>{_results(levels)}</details>",
        f"<details><summary>State F1 by kind of fact</summary>{_facts(tasks)}</details>",
        "<h2>Why answers fail</h2>",
        _causes(scopes),
        _dead_ends(diagnosis),
        "<h2>How often what goes wrong, and what it costs</h2>",
        _costs(scopes),
        _COSTS_NOTE,
    ]
    if total.joint:
        parts.append(f"<details><summary>Seen × planned × solved</summary>{_joint(scopes)}</details>")
    return "".join(parts)


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
            f'<p class="figure">{number(value)}</p>{whisker(value, low, high)}'
            f'<p class="interval">95 %: {number(low)} to {number(high)} · n&nbsp;=&nbsp;{estimate.n:,}</p>'
        )
    return f'<article class="card"><h3>{name}</h3>{figure}<p class="note">{note}</p></article>'


def _results(scopes: Mapping[str, Scope]) -> str:
    rows = []
    for name, scope in scopes.items():
        estimates = [*_headline(scope), scope.by_path.blocked, scope.straight, scope.random]
        rows.append([text(name), f"{scope.n:,}", *map(percent, estimates)])
    return table(("", *_COLUMNS), rows)


def _causes(scopes: Mapping[str, Scope]) -> str:
    """Counts and shares of every attribution, and the shares as a bar."""
    rows = []
    for name, scope in scopes.items():
        shares = {cause.value: 100 * scope.failures[cause].value for cause in Attribution}
        ranges = {cause: _range(scope.attribution_bounds.get(cause)) for cause in shares}
        cells = [
            f"{scope.attribution[cause]:,} <small>{number(share)} %{ranges[cause]}</small>"
            for cause, share in shares.items()
        ]
        rows.append([text("all" if name == "macro average" else name), *cells, stacked_bar(shares)])
    legend = "".join(
        f'<li><span class="swatch" data-value="{cause}"></span><b>{cause}</b>: {note}</li>'
        for cause, note in CAUSES.items()
    )
    return table(("", *Attribution, ""), rows) + f'<ul class="legend">{legend}</ul><p class="note">{text(OVERLAP)}</p>'


def _range(bounds: Bounds | None) -> str:
    return "" if bounds is None else f" ({number(100 * bounds.low)}–{number(100 * bounds.high)})"


def _dead_ends(diagnosis: Diagnosis) -> str:
    """Failed plans that could not be saved any more, where a task has such."""
    by_task = dead_ends.rows(diagnosis)
    if not by_task:
        return ""
    shown = table(("", *dead_ends.COLUMNS), [[text(name), *map(text, cells)] for name, cells in by_task.items()])
    return f'<h2>Errors that nothing makes good</h2>{shown}<p class="note">{text(dead_ends.NOTE)}.</p>'


def _costs(scopes: Mapping[str, Scope]) -> str:
    """Rates of the three kinds of fault, and accuracy if one of them were gone."""
    rows = []
    for name, scope in scopes.items():
        faults = [getattr(scope.faults, name) for name in ("misread", "invented", "misplanned", "unreadable")]
        rows.append([text(name), *map(percent, [*faults, scope.if_planned_well, scope.plan_on_gt])])
    heading = (
        "facts missed",
        "facts invented",
        "plans that fail in the stated world",
        "no plan",
        "if planned well",
        "if seen well",
    )
    return table(("", *heading), rows)


def _joint(scopes: Mapping[str, Scope]) -> str:
    """How often state exact, Plan-on-GT and E2E occur together, and E2E beside the product of the first two."""
    rows, signs = [], [" ".join("✓" if right == "1" else "✗" for right in key) for key in _JOINT]
    for name, scope in scopes.items():
        if joint := scope.joint:
            shares = (f"{number(100 * share)} %" for share in (joint.observed, joint.independent))
            counts = (str(joint.counts[key]) for key in _JOINT)
            rows.append([text("all" if name == "macro average" else name), *counts, *shares])
    return table(("state exact, Plan-on-GT, E2E", *signs, "E2E", "exact × Plan-on-GT"), rows)


def _facts(tasks: Mapping[str, TaskDiagnosis]) -> str:
    rows = []
    for name, task in tasks.items():
        for kind, row in task.facts.items():
            counts = [f"{count:,}" for count in (row.tp, row.fp, row.fn)]
            rows.append([text(f"{name}: {kind}"), *counts, number(100 * row.f1)])
    return table(("", "right", "false", "missing", "F1"), rows)


def _tables(tables: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """Tables of text, each with its caption below it."""
    shown = "".join(
        table([text(cell) for cell in heading], [[text(cell) for cell in row] for row in rows])
        + f'<p class="note">{text(caption)}</p>'
        for caption, (heading, *rows) in tables.items()
    )
    return f'<section id="tables"><h2>Tables</h2>{shown}</section>' if shown else ""


def _figures(figures: Mapping[str, str], notes: Sequence[str]) -> str:
    """SVG files as images, in which no script of theirs could run, with what must be said beside them."""
    if not figures:
        return ""
    shown = "".join(
        f'<figure><img src="{data_uri("image/svg+xml", svg.encode("utf-8", "replace"))}" alt="{text(caption)}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
        for caption, svg in figures.items()
    )
    said = "".join(f'<p class="note">{text(note)}</p>' for note in notes)
    return f'<section id="figures"><h2>Figures</h2>{said}<div class="figures">{shown}</div></section>'
