"""A verdict in words and the tables that it rests on, from :class:`mgsd_bench.analysis.verdict.Verdict`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.report.markup import number, percent, stacked_bar, table, text

if TYPE_CHECKING:
    from mgsd_bench.analysis.verdict import Pair, RunVerdict, Verdict
    from mgsd_bench.statistics.intervals import Estimate

MUCH_UNREAD = 0.05
"""From this share of answers without a readable plan on, the verdict says so."""
_SOLVES = {
    "visual": "solves {} from the picture",
    "symbolic": "solves {} from the state as text",
    "perceive": "reads {} of the pictures without a mistake",
    "direct": "solves {} from the picture, without stating the state first",
    "act": "solves {} acting step by step",
    "act-symbolic": "solves {} acting step by step, with the state as text each turn",
    "act-stale": "solves {} acting step by step, with the first picture again each turn",
    "act-blind": "solves {} acting step by step, with no picture after the first",
}
_FAILURES = {
    "perception": "are perception",
    "planning": "are planning",
    "both": "are both perception and planning",
    "unstated": "state no complete world",
    "format": "hold no plan that can be read",
    "wrong": "end short of the goal",
    "illegal": "break a rule",
    "no_answer": "hold nothing that can be read",
    "truncated": "are cut off",
    "error": "are requests that failed",
    "fatal": "are actions that end the episode",
    "stuck": "would do the same for ever",
    "out_of_steps": "run out of steps",
}
CAUSES = {
    Attribution.SOLVED: "the plan works",
    Attribution.PERCEPTION: "the plan works in the world that was stated, not in the true one",
    Attribution.PLANNING: "the true state was stated, and the plan fails",
    Attribution.BOTH: "a false state was stated, and the plan fails in it too",
    Attribution.UNSTATED: "no complete state was stated",
    Attribution.FORMAT: "no plan could be read",
}
"""What answers from the picture fail at, in words."""


def sentences(verdict: Verdict, names: Sequence[str]) -> list[str]:
    """The verdict in words: a sentence a run, the one that solves most first, and what has to be said besides.

    Args:
        verdict: of the runs.
        names: one a run.
    """
    next_one = dict(zip(verdict.ranking, verdict.ranking[1:], strict=False))
    found = [
        _sentence(verdict, names, place, verdict.pair(place, next_one[place]) if place in next_one else None)
        for place in verdict.ranking
    ]
    return found + _besides(verdict, names)


def _sentence(verdict: Verdict, names: Sequence[str], place: int, pair: Pair | None) -> str:
    run = verdict.runs[place]
    assert run.solved is not None  # or it would not be in the ranking
    parts = [f"{names[place]} {_SOLVES[verdict.condition].format(_share(run.solved))}"]
    if pair:
        parts[0] += f", {_difference(pair, names[pair.lower])}"
    if run.sees and run.invents:
        parts.append(f"it sees {_share(run.sees)} of the facts, and {_share(run.invents)} of what it states is false")
    if run.causes:
        # the two largest kinds of failure, the first of them with its interval
        first, *others = run.causes.items()
        words = f"of its {run.failed:,} failures {_share(first[1])} {_FAILURES[first[0]]}"
        parts.append(words + "".join(f", {_brief(share)} {_FAILURES[cause]}" for cause, share in others[:1]))
    if run.unread and run.unread.value > MUCH_UNREAD:
        parts.append(f"{_share(run.unread)} of its answers could not be read or were cut off")
    return "; ".join(parts) + "."


def _difference(pair: Pair, lower: str) -> str:
    if pair.change is None:
        aspects = ", ".join(reason.partition(":")[0] for reason in pair.reasons)
        return f"not comparable with {lower} ({aspects})"
    found = pair.change.macro.difference
    value, low, high = (f"{100 * end:.0f}".replace("-", "−") for end in (found.value, found.low, found.high))
    if found.low > 0:
        return f"{value} points above {lower} ({low}–{high}), paired"
    return f"not told apart from {lower} ({value} points, {low} to {high}, paired)"


def _besides(verdict: Verdict, names: Sequence[str]) -> list[str]:
    """Runs without the condition, conditions that are missing, and why runs may not be set side by side."""
    found = []
    for name, run in zip(names, verdict.runs, strict=True):
        if run.solved is None:
            there = ", ".join(run.conditions) or "no answer"
            found.append(f"{name} was not asked under the condition {verdict.condition} (it has {there}).")
    from_text = [names[i] for i in verdict.ranking if "symbolic" not in verdict.runs[i].conditions]
    if from_text and verdict.condition == "visual":
        found.append(f"Not asked from the state as text, so without Plan-on-GT and gap: {', '.join(from_text)}.")
    reasons: dict[str, list[str]] = {}
    for pair in verdict.pairs:
        for reason in pair.reasons:
            reasons.setdefault(reason, []).append(f"{names[pair.higher]} and {names[pair.lower]}")
    for reason, pairs in reasons.items():
        found.append(f"No difference is given between {'; '.join(pairs)}: they are not alike in {reason}.")
    return found


def _share(cell: Estimate) -> str:
    return f"{_brief(cell)} ({100 * cell.low:.0f}–{100 * cell.high:.0f})"


def _brief(cell: Estimate) -> str:
    return f"{100 * cell.value:.0f} %"


def as_html(verdict: Verdict, names: Sequence[str]) -> str:
    """The verdict in words, with its tables where there are several runs."""
    lines, ranked = [_emphasised(line, names) for line in sentences(verdict, names)], len(verdict.ranking)
    words = "".join(f"<li>{line}</li>" for line in lines[:ranked])
    words += "".join(f'<li class="note">{line}</li>' for line in lines[ranked:])
    parts = ["<h2>Verdict</h2>", f'<ul class="verdict">{words}</ul>']
    parts += [f'<p class="note">{text(note)}</p>' for note in verdict.notes]
    if len(verdict.runs) > 1:
        order = [*verdict.ranking, *(i for i in range(len(names)) if i not in verdict.ranking)]
        parts += [_overview(verdict, names, order), _by_task(verdict, names), _differences(verdict, names)]
    return f'<section id="verdict">{"".join(parts)}</section>'


def _emphasised(line: str, names: Sequence[str]) -> str:
    """A sentence as HTML, the name that it begins with in bold."""
    name = next((name for name in sorted(names, key=len, reverse=True) if line.startswith(f"{name} ")), "")
    return f"<b>{text(name)}</b>{text(line[len(name) :])}" if name else text(line)


def _overview(verdict: Verdict, names: Sequence[str], order: Sequence[int]) -> str:
    rows = []
    for place in order:
        run = verdict.runs[place]
        total = run.diagnosis.macro if run.diagnosis else None
        measured = [run.solved, run.sees, run.invents]
        measured += [total.plan_on_gt, total.estimate("gap")] if total else [None, None]
        n = f"{run.solved.n:,}" if run.solved else "–"
        rows.append([text(names[place]), n, *map(percent, measured), _failures(run)])
    heading = (
        "model",
        "n",
        "solved",
        "facts seen",
        "facts invented",
        "solved from text",
        "gap",
        "what answers come to",
    )
    note = (
        f"Under the condition {verdict.condition}, macro averages in % with 95 % intervals. <b>facts seen</b>: share "
        "of the true facts that are stated from the picture; <b>facts invented</b>: share of the stated facts that "
        "are false; <b>gap</b>: solved from text minus solved from the picture, in points."
    )
    legend = "".join(
        f'<li><span class="swatch" data-value="{cause}"></span><b>{cause}</b>: {about}</li>'
        for cause, about in CAUSES.items()
    )
    return (
        table(heading, rows, "models compared")
        + f'<ul class="legend">{legend}</ul><p class="note">{note}</p>'
    )  # fmt: skip


def _failures(run: RunVerdict) -> str:
    """What answers from the picture come to, as a bar; the same in words for those who do not see it."""
    if run.diagnosis is None:
        return "–"
    shares = {cause: 100 * share.value for cause, share in run.diagnosis.macro.failures.items()}
    words = ", ".join(f"{cause} {share:.0f} %" for cause, share in shares.items() if share)
    return f'<span title="{words}">{stacked_bar(shares)}<span class="hidden">{words}</span></span>'


def _by_task(verdict: Verdict, names: Sequence[str]) -> str:
    ranked = [(names[i], verdict.runs[i]) for i in verdict.ranking]
    tasks = list(dict.fromkeys(task for _, run in ranked for task in run.by_task or ()))
    rows = []
    for name, run in ranked:
        cells = [(run.by_task or {}).get(task) for task in tasks]
        rows.append([text(name), *(percent(cell) for cell in (*cells, run.solved))])
    shown = table(("solved, %", *map(text, tasks), "macro average"), rows, "solved by task")
    return f"<details open><summary>By task</summary>{shown}</details>" if ranked else ""


def _differences(verdict: Verdict, names: Sequence[str]) -> str:
    """Every run minus every one that solves less, in points."""
    pairs = {(pair.higher, pair.lower): pair for pair in verdict.pairs}
    if not pairs:
        return ""
    rows = [
        [text(names[high]), *(_point_cell(pairs.get((high, low))) for low in verdict.ranking[1:])]
        for high in verdict.ranking[:-1]
    ]
    heading = ("row minus column, points", *(text(names[low]) for low in verdict.ranking[1:]))
    note = (
        "Macro averages on the same episodes, paired, with 95 % intervals that are not widened for the number of "
        "comparisons."
    )
    shown = table(heading, rows, "differences in points") + f'<p class="note">{note}</p>'
    return f"<details><summary>Every difference</summary>{shown}</details>"


def _point_cell(pair: Pair | None) -> str:
    if pair is None:
        return ""
    if pair.change is None:
        return '<span class="note">not comparable</span>'
    found = pair.change.macro.difference
    value, low, high = (number(100 * end) for end in (found.value, found.low, found.high))
    return f"{value} <small>{low} to {high}</small>"
