"""Texts that mean harm where they are shown, and runs that have one in every place where a text can stand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgsd_bench.suites.suite import digest
from mgsd_envs import episode_from_json
from support.stored import line

PWNED = "window.pwned=1;alert(1)"
PAYLOADS: dict[str, str] = {
    "a script": f"<script>{PWNED}</script>",
    "the end of a script": f"</script><script>{PWNED}</script>",
    "a script in a comment": f"<!--<script>{PWNED}</script>",
    "an image": f"<img src=x onerror='{PWNED}'>",
    "an image elsewhere": '"><img src="http://example.invalid/leak.png">',
    "a drawing": f"<svg onload={PWNED}><script>{PWNED}</script></svg>",
    "a frame": '<iframe src="http://example.invalid/frame"></iframe>',
    "a sheet": '</style><link rel=stylesheet href="http://example.invalid/x.css"><style>*{display:none}</style>',
    "a way out of an attribute": f"' \" onmouseover=\"{PWNED}\" autofocus onfocus='{PWNED}' x=",
    "the end of a title": f"</title></textarea></select></svg><script>{PWNED}</script>",
    "another base": '<base href="http://example.invalid/"><meta http-equiv=refresh content="0;url=http://example.invalid">',
    "a form": '<form action="http://example.invalid"><button autofocus>go</button></form>',
    "a template": "{{script}} {{title}} ${alert(1)} {{7*7}} <%= 7*7 %>",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x&#62; &amp;#64;",
    "line separators": "a\u2028b\u2029c\x85d\x0be",
    "a proto": "__proto__",
    "a constructor": "constructor",
    "a link": "[free](javascript:alert(1)) [x]: http://example.invalid <http://example.invalid>",
    "a picture": "![x](http://example.invalid/x.png) [![y](z)](w)",
    "a bare address": "see http://example.invalid/x and https://example.invalid or www.example.com, a@example.com",
    "a mention": "@everyone #1 GH-1 :tada: <details open><summary>x</summary></details>",
    "a table": "a | b |\n| --- | --- |\n| c | d",
    "a heading": "# title\n\n- item\n\n> quote\n\n---\n\n```\ncode",
    "code": "`code` ``a`b`` **bold** _it_ ~~no~~ $x^2$ $$y$$ \\[z\\]",
    "LaTeX that reads": r"\input{/etc/passwd}\include{/etc/passwd}\openin5=/etc/passwd",
    "LaTeX that runs": r"\immediate\write18{touch pwned}\csname @@input\endcsname /etc/passwd ^^5cinput{/etc/passwd}",
    "LaTeX that ends": r"\end{tabular}\end{document} % the rest & more \\ \hline $ # _ { } ~ ^ \def\a{\a}\a",
    "a formula": "=cmd|' /C calc'!A0",
    "a formula behind a tab": "\t=HYPERLINK(\"http://example.invalid\")",
    "a formula behind a line": "\r\n=1+1",
    "a formula of +": "+1+cmd|' /C calc'!A0",
    "a formula of -": "-2+3+cmd|' /C calc'!A0",
    "a formula of @": "@SUM(1+1)*cmd|' /C calc'!A0",
    "a formula of another =": "\uff1d1+1",
    "XML": "]]></failure><testcase name='x'/><!ENTITY a SYSTEM \"file:///etc/passwd\">&a;",
    "what XML has not": "a\x00b\x01c\ufffed\uffff e\x1f",
    "colours": "\x1b[31mred\x1b[0m\x1b[2J\x1b[H\x1b[8mhidden",
    "a title": "\x1b]0;title\x07\x1b]2;x\x1b\\",
    "a link in a terminal": "\x1b]8;;http://example.invalid\x07click\x1b]8;;\x07",
    "a clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07\x1bP0;1|17/ab\x1b\\",
    "C1": "\x9b31m\x9d0;x\x9c\x90q\x9c \x84\x85\x8d",
    "backspaces": "safe\x08\x08\x08\x08harm\rover\x7f\x0e\x0f\x07",
    "directions": "\u202egpj.exe\u202c \u2066a\u2067b\u2068c\u2069 \u200e\u200f\u061c",
    "nothing to see": "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg",
    "surrogates": "\ud800x\udfff \udc80",
    "rich's own marks": "[bold red]x[/bold red] [link=http://example.invalid]y[/link] [/] :smile:",
    "our own marks": "\x02engine.key\x03secret\x04\x05 \x02out\x04",
    "much": "x" * 20_000,
    "many words": "word " * 5_000,
    "many lines": "line\n" * 5_000,
}  # fmt: skip
MARKER = "plain"
"""What stands in the run that others are held against."""


def _told(value: Any, payload: str) -> Any:
    """A record's value with every text in it replaced."""
    if isinstance(value, dict):
        return {key: _told(inner, payload) for key, inner in value.items()}
    if isinstance(value, list):
        return [_told(inner, payload) for inner in value]
    return payload if isinstance(value, str) else value


def texts(turn: int) -> Callable[[int], str]:
    """The text for a place by its number; over all turns every text comes to every place."""
    every = list(PAYLOADS.values())
    return lambda place: every[(turn + 7 * place) % len(every)]


def planted(run: Path, to: Path, text: Callable[[int], str], *, worse: bool = False) -> Path:
    """A copy of a finished run that has a text in every place, by its number.

    Those are the names of model, suite, look, prompts and backend, the prompts, whatever the sessions say of engines
    and versions, episodes' ids, and of the answers texts, actions, facts and broken rules. With ``worse`` nothing is
    solved.
    """
    shutil.copytree(run, to)
    episodes, names = [], {}
    for number, row in enumerate(map(json.loads, (run / "episodes.jsonl").read_text().splitlines())):
        names[row["id"]] = f"{text(number)}/{number}"
        episodes.append({**row, "id": names[row["id"]]})
    lines = "".join(json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n" for row in episodes)
    (to / "episodes.jsonl").write_text(lines)
    record = json.loads((run / "run.json").read_text())
    named = {name: text(number) for number, name in enumerate(("model", "suite", "theme", "prompts", "backend"))}
    known = digest(map(episode_from_json, episodes))
    record["identity"] |= {**named, "episodes_digest": known}
    record["prompts"] = {key: text(number) for number, key in enumerate(record.get("prompts", {}))} | {text(5): text(6)}
    record["sessions"] = [_told(session, text(7)) for session in record["sessions"]]
    (to / "run.json").write_text(json.dumps(record))
    rows = [json.loads(each) for each in (run / "samples.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        said = f"{text(number)}\n{row['text']}\n{text(number + 1)}"
        row |= {"episode": names[row["episode"]], "text": said, "prompt_digest": text(8)}
        row["facts"] = [*row["facts"], [text(11)], ["printer", 0, 1, text(number + 3)]]
        if worse or row["outcome"] != "solved":
            row |= {
                "outcome": "illegal",
                "illegal": text(9),
                "optimal": False,
                "plan": [*(row["plan"] or []), text(10)],
            }
    (to / "samples.jsonl").write_bytes(b"".join(line(row) for row in rows))
    return to


def failed(run: Path, text: Callable[[int], str]) -> Path:
    """The same run, half its requests failed with errors that are the texts."""
    rows = [json.loads(each) for each in (run / "samples.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows[::2]):
        row |= {"outcome": "error", "error": text(number), "finish_reason": "error", "text": "", "plan": None,
                "facts": [], "form": "none", "illegal": None, "optimal": False, "steps": 0}  # fmt: skip
    (run / "samples.jsonl").write_bytes(b"".join(line(row) for row in rows))
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "status": "errors"}))
    return run
