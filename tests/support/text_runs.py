"""Every command on runs and files that hold a text that means harm, and what is wrong with what it shows or writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import text_outputs
from support.forking import Ended, Forker
from support.hostile_files import POLICY, QUESTIONS, SCRIPTED
from support.text_payloads import MARKER, failed, planted

LIMIT = 120.0
"""Seconds of a processor that a command may take."""
MOST_WAITING = 1200.0
"""Seconds in all, however busy the machine is."""
CODES = {0, 1, 2, 3, 4, 5}


@dataclass(frozen=True, slots=True)
class Checked:
    """Something that was shown or written.

    Attributes:
        kind: its class.
        name: of which command and text.
        problems: what is wrong with it, if anything.
    """

    kind: str
    name: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What the commands on one text have written, to be held against what they write on a plain one."""

    folder: Path
    endings: dict[str, Ended]

    def text(self, name: str) -> str:
        """A file's text."""
        path = self.folder / name
        return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""


RUNS = ("A", "B", "other", "failed")
COMMANDS: dict[str, list[str]] = {
    "report": ["report", "A", "B"],
    "report md": ["report", "A", "B", "--out", "table.md"],
    "report csv": ["report", "A", "B", "--out", "table.csv"],
    "report tex": ["report", "A", "B", "--out", "table.tex"],
    "report html": ["report", "A", "B", "--out", "page.html"],
    "report of runs that differ": ["report", "A", "other", "--allow", "prompts"],
    "report of runs that differ md": ["report", "A", "other", "--allow", "prompts", "--out", "other.md"],
    "report of runs that differ tex": ["report", "A", "other", "--allow", "prompts", "--out", "other.tex"],
    "report of runs that differ html": ["report", "A", "other", "--allow", "prompts", "--out", "other.html"],
    "report of runs that may not": ["report", "A", "other"],
    "report of failed requests": ["report", "failed", "--out", "failed.html"],
    "compare": ["compare", "A", "B", "--out", "compare.json"],
    "diagnose": ["diagnose", "A"],
    "verify": ["verify", "A"],
    "gate": ["gate", "--baseline", "A", "--candidate", "B", "--policy", "policy.yaml", "--markdown", "gate.md",
             "--junit", "junit.xml", "--json", "verdict.json"],
    "gate other": ["gate", "--baseline", "A", "--candidate", "other", "--allow", "prompts", "--policy", "policy.yaml",
                   "--markdown", "other-gate.md", "--junit", "other-junit.xml"],
    "baseline save": ["baseline", "save", "A", "x", "--dir", "kept"],
    "baseline list": ["baseline", "list", "--dir", "kept"],
    "baseline show": ["baseline", "show", "x", "--dir", "kept"],
    "noise": ["noise", "--runs", "A", "B"],
    "score": ["score", "--rescore", "A", "--out", "again"],
    "eval": ["eval", *SCRIPTED, *QUESTIONS, "--out", "A"],
    "export": ["export", "failed", "--out", "samples.csv"],
    "export eee": ["export", "A", "--format", "eee", "--out", "records"],
}  # fmt: skip
OPTIONS = {
    "eval": ("--model", "--suite", "--tasks", "--theme", "--prompts", "--condition", "--backend", "--out", "--set",
             "--config", "-M", "--data-root", "--levels", "--base-url"),
    "score": ("--answers", "--rescore"), "gate": ("--baseline", "--candidate", "--policy", "--inconclusive", "--allow"),
    "report": ("", "--measure", "--condition", "--format", "--allow", "--out"), "compare": ("", "--condition"),
    "diagnose": ("",), "verify": ("",), "baseline": ("", "save", "show", "list"), "noise": ("--model",),
    "power": ("--suite", "--policy"), "show": ("", "--plan", "--theme", "--condition"), "train": ("", "--set"),
    "table1": ("--config",), "suites": ("",), "generate": ("--suite", "--split", "--length"), "": ("",),
}  # fmt: skip
FILES = {
    "a policy's floor": ("policy.yaml", "floors: [{metric: e2e, min: 1, task: %}]\nmetrics: {e2e: 50}\n",
                         ["gate", "--baseline", "A", "--candidate", "B", "--policy", "policy.yaml",
                          "--markdown", "floor.md", "--junit", "floor.xml"]),
    "a policy's key": ("policy.yaml", "%: 1\n", ["power", "--policy", "policy.yaml"]),
    "a policy's verdict": ("policy.yaml", "inconclusive: %\n", ["power", "--policy", "policy.yaml"]),
    "a policy's metric": ("policy.yaml", "metrics: {%: 1}\n", ["power", "--policy", "policy.yaml"]),
    "a setting": ("s.yaml", "suite: %\n", ["eval", *SCRIPTED, "--config", "s.yaml"]),
    "a recipe's name": ("r.yaml", "extends: tiny-smoke\nname: %\nabout: %\n", ["train", "r.yaml", "--dry-run"]),
    "a recipe's base": ("r.yaml", "extends: tiny-smoke\nbase: %\nstart: null\n", ["train", "r.yaml", "--dry-run"]),
    "a recipe's stage": ("r.yaml", "extends: tiny-smoke\nstages: {%: {method: sft}}\n", ["train", "r.yaml"]),
    "a table": ("t.yaml", "title: %\nabout: %\nmodels: {a: {label: %, made_by: %, differs: %, finished: A}}\n"
                "tables: {x: {title: %, about: [%], rows: [a]}}\n",
                ["table1", "--config", "t.yaml", "--out", "tables"]),
    "a table's row": ("t.yaml", "models: {%: {finished: %}}\ntables: {%: {rows: [%]}}\n",
                      ["table1", "--config", "t.yaml", "--out", "tables"]),
    "a card's suite": ("model/mgsd-bench.yaml", "suite: %\nprompts: %\n",
                       ["eval", "--backend", "hf", "--model", "model", "--out", "new"]),
    "a configuration": ("model/config.json", '{"model_type": %, "architectures": [%]}',
                        ["eval", "--backend", "hf", "--model", "model", "--out", "new"]),
    "an answer's episode": ("a.jsonl", '{"episode": %, "text": "x"}', ["score", "--answers", "a.jsonl", *QUESTIONS]),
    "an answer's repeat": ("a.jsonl", '{"episode": "x", "text": "x", "repeat": %}', ["score", "--answers", "a.jsonl"]),
    "a test set": ("data/test.jsonl", '{"input_state": [], "meta": {"level": 3, "layout": [%], "x": %, "start_pos": 0, '
                   '"target_pos": 1}}',
                   ["eval", *SCRIPTED, "--suite", "visualplanning-frozenlake", "--data-root", "data"]),
    "a record": ("bad/run.json", '{"format": 1, "status": %, "identity": {"suite": %, "model": %, "digest": %, '
                 '"episodes_digest": %}, "sessions": []}', ["report", "bad"]),
    "a sample": ("A2/samples.jsonl", '{"task": %, "condition": %, "plan": null, "facts": []}', ["verify", "A2"]),
}  # fmt: skip


def run_commands(forker: Forker, finished: Path, folder: Path, text: Callable[[int], str]) -> Written:
    """Lay out runs that hold texts, and run every command on them."""
    folder.mkdir()
    planted(finished, folder / "A", text)
    planted(finished, folder / "B", text, worse=True)
    other = planted(finished, folder / "other", text)
    record = json.loads((other / "run.json").read_text())
    record["identity"]["prompts"] = "default"
    record["identity"]["digest"] = "0" * 64
    (other / "run.json").write_text(json.dumps(record))
    failed(planted(finished, folder / "failed", text), text)
    (folder / "policy.yaml").write_text(POLICY)
    endings = {
        name: forker.run(
            words, folder / "shown.txt", MOST_WAITING, folder=folder, processor=LIMIT, **COLOURS[number % 2]
        )
        for number, (name, words) in enumerate(COMMANDS.items())
    }
    return Written(folder, endings)


REFUSED = {"export": 2}
"""An id that says by an @ that it is of another look is not asked about as text; such a run is refused, in a line."""

COLOURS: tuple[dict[str, str], dict[str, str]] = ({}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"})


def checks(name: str, found: Written, plain: Written) -> Iterator[Checked]:
    """What is wrong with what was shown and written, all but the pages."""
    for number, (command, ended) in enumerate(found.endings.items()):
        problems = list(text_outputs.terminal(ended.shown, colours=bool(number % 2)))
        if ended.code not in (plain.endings[command].code, REFUSED.get(command)):
            problems.append(f"ended with {ended.code}, not {plain.endings[command].code}: {ended.shown[-300:]!r}")
        yield Checked("terminal", f"{name}, {command}", tuple(problems))
    for file in ("table.csv", "samples.csv"):
        yield Checked("csv", f"{name}, {file}", tuple(text_outputs.table_of_values(found.text(file))))
    for file in ("table.md", "other.md", "gate.md", "other-gate.md"):
        yield Checked("markdown", f"{name}, {file}", tuple(text_outputs.markdown(found.text(file), plain.text(file))))
    for file in ("junit.xml", "other-junit.xml"):
        yield Checked("junit", f"{name}, {file}", tuple(text_outputs.junit(found.text(file), plain.text(file))))


def messages(forker: Forker, finished: Path, folder: Path, turn: int, text: Callable[[int], str]) -> Iterator[Checked]:
    """What is wrong with what commands say of options and of files that hold texts, a fifth of them in each turn."""
    name = f"turn {turn}"
    folder.mkdir()
    for run in ("A", "B", "A2"):
        planted(finished, folder / run, lambda place: MARKER)
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    for place, (command, option) in enumerate((c, option) for c, options in OPTIONS.items() for option in options):
        if (place + turn) % 5:
            continue
        words = [command] * bool(command) + [option] * bool(option) + [text(place)]
        ended = forker.run(words, folder / "shown.txt", MOST_WAITING, folder=folder, processor=LIMIT)
        yield Checked("message", f"{name}, {command} {option}", tuple(_message(ended)))
    for place, (what, (file, template, words)) in enumerate(FILES.items()):
        if (place + turn) % 5:
            continue
        quoted = json.dumps(text(place))
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(template.replace("%", quoted))
        ended = forker.run(words, folder / "shown.txt", MOST_WAITING, folder=folder, processor=LIMIT)
        yield Checked("message", f"{name}, {what}", tuple(_message(ended)))
        path.unlink()
    yield from _names(forker, folder, turn, text(0))


def _names(forker: Forker, folder: Path, turn: int, payload: str) -> Iterator[Checked]:
    """Folders and files that are called so."""
    called = payload.replace("\0", "").replace("/", "_").encode("utf-8", "ignore")[:200].decode("utf-8", "ignore")
    called = called.lstrip("-").strip() or "x"
    (folder / "A").rename(folder / called)
    every = (["report", called], ["verify", called], ["report", called, "B", "--out", f"{called}.html"],
             ["gate", "--baseline", called, "--candidate", "B"],
             ["report", called, "--out", f"{called}.md"])  # fmt: skip
    words = every[turn % len(every)]
    ended = forker.run(words, folder / "shown.txt", MOST_WAITING, folder=folder, processor=LIMIT)
    yield Checked("message", f"turn {turn}, a folder called {payload[:20]!r}, {words[0]}", tuple(_message(ended)))


def _message(ended: Ended) -> Iterator[str]:
    yield from text_outputs.terminal(ended.shown, errors=True)
    if ended.code not in CODES:
        yield f"ended with {ended.code}: {ended.shown[-300:]!r}"


def page(browser: Any, path: Path, opened: Any, wanted: dict[str, int]) -> Iterator[str]:
    """What is wrong with a page: what it became is what the page of a plain text became."""
    from selenium.common.exceptions import WebDriverException

    try:
        with opened(browser, path) as driven:
            for code in (
                "document.querySelectorAll('details').forEach((it) => { it.open = true; })",
                "document.querySelectorAll('.pick, .row, #play').forEach((it) => it.click())",
                "document.getElementById('search').value = 'a'; "
                "document.getElementById('search').dispatchEvent(new Event('input'))",
                "document.getElementById('search').value = ''; "
                "document.getElementById('search').dispatchEvent(new Event('input'))",
                "document.querySelectorAll('.row')[0].click()",
            ):
                driven.execute_script(code)
            if not driven.execute_script("return document.documentElement.dataset.ready"):
                yield "the page did not get ready"
            if driven.execute_script("return window.pwned !== undefined"):
                yield "code was carried out"
            if found := text_outputs.attributes(driven):
                yield f"attributes: {found[:3]}"
            found_elements = text_outputs.elements(driven)
            if wanted and found_elements != wanted:
                differing = {k for k in {*wanted, *found_elements} if wanted.get(k) != found_elements.get(k)}
                yield f"other elements: {', '.join(sorted(differing))}"
    except AssertionError as error:
        yield f"it asked for something, or complained: {str(error)[:300]}"
    except WebDriverException as error:
        yield f"it is no report: {str(error.msg)[:300]}"
