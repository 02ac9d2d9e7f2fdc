"""What a gate found, for the terminal, for a program, for a pull request and for a CI server.

Names of models and episodes come from outside; each format has its own escape.
"""

from __future__ import annotations

from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.gating.decision import FloorDecision, MetricDecision, Status
from mgsd_bench.gating.policy import Verdict
from mgsd_bench.gating.result import GateDecision, LevelLoss
from mgsd_bench.report.cells import plain_table
from mgsd_bench.report.tables import as_markdown
from mgsd_bench.report.text import markdown_text, one_line

SHOWN_LEVELS = 5
SHOWN_EPISODES = 8
_MARK = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔"}
_HEAD = ("metric", "n", "baseline", "candidate", "change", "{} % bounds", "margin", "differ", "status", "p drop")


def headline(report: GateDecision) -> str:
    """The verdict in one line, with its reason."""
    decision = report.decision
    dropped = [METRICS[row.rule.metric].title for row in decision.metrics if row.status == Status.DROPPED]
    broken = [_floor_name(row) for row in decision.floors if row.status == Status.DROPPED]
    if decision.verdict == Verdict.FAIL:
        why = [f"{', '.join(dropped)} dropped"] if dropped else []
        return f"FAIL: {'; '.join([*why, *(f'{name} is below its floor' for name in broken)])}"
    if decision.verdict == Verdict.PASS:
        return "PASS: no metric dropped by its margin"
    needed, n = decision.episodes_needed, max((row.n for row in decision.metrics), default=0)
    if needed is None:
        floors = ", ".join(_floor_name(row) for row in decision.floors if row.status == Status.OPEN)
        return f"INCONCLUSIVE: {floors} is below its floor, but not surely"
    open_rows = ", ".join(METRICS[row.rule.metric].title for row in decision.metrics if row.status == Status.OPEN)
    if needed > n:
        return f"INCONCLUSIVE: {open_rows} is open; about {needed:,} episodes would decide, there are {n:,}"
    return f"INCONCLUSIVE: {open_rows} is open: the change is too near the margin for {n:,} episodes"


def show(report: GateDecision, console: Console) -> None:
    """Print the figures, the levels that lost most and the notes."""
    console.print(gate_table(report))
    lines = [*map(_lost, report.regressions[:SHOWN_LEVELS]), *(f"note: {one_line(x)}" for x in report.decision.notes)]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def gate_table(report: GateDecision) -> Table:
    """One row a primary metric and one a floor, for the terminal."""
    short = {"baseline": "base", "candidate": "cand."}
    head, *rows = [row[:-1] for row in _rows(report)]  # the p-value is in the other formats
    head = [short.get(name, name) for name in head]
    note = (
        "\n%, changes in points. held: a drop of the margin is ruled out; dropped: a drop is proven (sign-flip test, "
        "Holm); open: neither. differ: episodes that changed"
    )
    title = f"baseline: {report.baseline.model}   candidate: {report.candidate.model}   {report.suite}"
    table = plain_table(title, note, head)
    for row in rows:
        table.add_row(*row)
    return table


def to_markdown(report: GateDecision) -> str:
    """A job summary or comment on a pull request: verdict, figures, the worst regressions and their episodes."""
    decision = report.decision
    of = (report.candidate.model, report.baseline.model, report.suite, report.episodes_digest[:12])
    names = [markdown_text(name) for name in of]
    lines = [
        f"## {_MARK[decision.verdict]} {markdown_text(headline(report))}",
        "",
        f"{names[0]} against {names[1]} on {names[2]} (episodes {names[3]})",
        "",
        as_markdown(_rows(report)),
    ]
    rows = [["task", "metric", "n", "baseline", "candidate", "worse", "better"]]
    for name, of_metric in report.tasks.items():
        for row in of_metric:
            figures = [f"{100 * value:.1f}" for value in (row.baseline, row.candidate)]
            rows.append([row.task, METRICS[name].title, str(row.n), *figures, str(row.worse), str(row.better)])
    lines += ["<details><summary>By task</summary>", "", as_markdown(rows), "</details>", ""]
    if report.regressions:
        lines += ["<details><summary>Levels that lost most</summary>", ""]
        lines += [f"- {markdown_text(_lost(row))}" for row in report.regressions[:SHOWN_LEVELS]]
        lines += ["", "</details>", ""]
    lines += [f"- {markdown_text(note)}" for note in decision.notes]
    return "\n".join(lines).rstrip().replace("@", "&#64;") + "\n"  # a name must not call anybody


def to_junit(report: GateDecision) -> str:
    """JUnit XML: a test case a metric and a floor; dropped is a failure, open is skipped or as the policy counts it."""
    decision = report.decision
    undecided = report.policy.inconclusive
    cases = [
        *(
            (f"metric {METRICS[row.rule.metric].title}", row.rule.metric, row.status, _sentence(row))
            for row in decision.metrics
        ),
        *((f"floor {_floor_name(row)}", "", row.status, _floor_sentence(row)) for row in decision.floors),
    ]
    failed = [
        status == Status.DROPPED or (status == Status.OPEN and undecided == Verdict.FAIL) for _, _, status, _ in cases
    ]
    skipped = [status == Status.OPEN and undecided == Verdict.INCONCLUSIVE for _, _, status, _ in cases]
    counts = {"tests": str(len(cases)), "failures": str(sum(failed)), "errors": "0", "skipped": str(sum(skipped))}
    root = ElementTree.Element("testsuites", {"name": "mgsd-bench gate", **counts})
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": _xml(f"{report.suite} {report.candidate.model}"), **counts}
    )
    for (name, metric, _, text), bad, left_out in zip(cases, failed, skipped, strict=True):
        case = ElementTree.SubElement(suite, "testcase", {"classname": "mgsd-bench.gate", "name": _xml(name)})
        if bad:
            failure = ElementTree.SubElement(case, "failure", {"message": _xml(text)})
            worst = [row for row in report.regressions if row.metric == metric][:SHOWN_LEVELS]
            failure.text = _xml("; ".join(map(_lost, worst)) or text)
        elif left_out:
            ElementTree.SubElement(case, "skipped", {"message": _xml(f"inconclusive: {text}")})
        else:
            ElementTree.SubElement(case, "system-out").text = _xml(text)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _rows(report: GateDecision) -> list[list[str]]:
    sure = f"{100 * (1 - report.policy.alpha):g}"
    rows = [[name.format(sure) for name in _HEAD]]
    rows += [
        [
            METRICS[row.rule.metric].title,
            str(row.n),
            f"{100 * row.baseline:.1f}",
            f"{100 * row.candidate:.1f}",
            f"{100 * row.change:+.1f}",
            f"{100 * row.low:+.1f} to {100 * row.high:+.1f}",
            f"{100 * row.rule.margin:g}",
            f"{100 * row.discordance:.1f}",
            row.status.value,
            f"{row.p_drop:.3f}",
        ]
        for row in report.decision.metrics
    ]
    for floor in report.decision.floors:
        bounds = f"{100 * floor.low:.1f} to {100 * floor.high:.1f}"
        name = f"{_floor_name(floor)} ≥ {100 * floor.floor.minimum:g}"
        value, status = f"{100 * floor.value:.1f}", floor.status.value
        rows.append([name, str(floor.n), "–", value, "–", bounds, "–", "–", status, "–"])
    return rows


def _sentence(row: MetricDecision) -> str:
    return (
        f"{100 * row.baseline:.1f} to {100 * row.candidate:.1f} %, change {100 * row.change:+.1f} points "
        f"({100 * row.low:+.1f} to {100 * row.high:+.1f}), margin {100 * row.rule.margin:g}, n {row.n}: {row.status}"
    )


def _floor_sentence(row: FloorDecision) -> str:
    return (
        f"{100 * row.value:.1f} % ({100 * row.low:.1f} to {100 * row.high:.1f}), minimum "
        f"{100 * row.floor.minimum:g}, n {row.n}: {row.status}"
    )


def _floor_name(row: FloorDecision) -> str:
    where = [str(part) for part in (row.floor.task, row.floor.level) if part is not None]
    return " ".join([METRICS[row.floor.metric].title, *where])


def _lost(row: LevelLoss) -> str:
    more = f" and {len(row.lost) - SHOWN_EPISODES} more" if len(row.lost) > SHOWN_EPISODES else ""
    what = f"{row.task} {row.level}, {METRICS[row.metric].title}: {-100 * row.drop:.1f} points in {row.n}"
    return one_line(f"{what}; lost {', '.join(row.lost[:SHOWN_EPISODES])}{more}")


def _xml(text: str) -> str:
    """One line without the characters that XML 1.0 does not have; ElementTree escapes the others."""
    return "".join(
        c for c in one_line(text) if c in "\t" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
    )
