"""The one rule of what may be set side by side: its whole table, aspect by aspect and command by command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.analysis.comparable import ASPECTS, QUESTIONS, Aspect, Question, check, differences
from mgsd_bench.analysis.run import load_run
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import PROTOCOL
from support.gating import call, copy, make
from support.stored import line as sealed_line

DOCS = Path(__file__).parents[3] / "docs" / "comparability.md"
COMMANDS: dict[Question, tuple[str, ...]] = {
    Question.MODELS: ("compare", "{a}", "{b}"),
    Question.GAP: ("diagnose", "{a}", "{b}"),
    Question.GATE: ("gate", "--baseline", "{a}", "--candidate", "{b}", "--policy", "{policy}"),
    Question.REPEATS: ("noise", "--runs", "{a}", "{b}"),
}


AT_ONCE = {name: aspect for name, aspect in ASPECTS.items() if name != "closed-loop"}
"""What runs of plans that are said at once can differ in; for the other one see test_diagnose_loops.py."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparable")
    (folder / "policy.yaml").write_text("metrics: {e2e: 50, plan_on_gt: 50}\nlimits: {min_episodes: 1}\n")
    return make(folder / "base", "noisy-planning:0.1", limit=3)


def rewrite(run: Path, **changes: Any) -> None:
    record = json.loads((run / "run.json").read_text())
    record["identity"].update({key: value for key, value in changes.items() if key != "status"})
    record["status"] = changes.get("status", record["status"])
    (run / "run.json").write_text(json.dumps(record))


def reask(run: Path) -> None:
    """The same answers to other prompts."""
    lines = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    for line in lines:
        line["prompt_digest"] = line["prompt_digest"][::-1]
    (run / "samples.jsonl").write_bytes(b"".join(sealed_line(line) for line in lines))


def drop_visual(run: Path) -> None:
    lines = (run / "samples.jsonl").read_text().splitlines()
    (run / "samples.jsonl").write_text("".join(line + "\n" for line in lines if '"condition":"visual"' not in line))


CHANGES: dict[str, Callable[[Path], None]] = {
    "status": lambda run: rewrite(run, status="interrupted"),
    "episodes": lambda run: rewrite(run, episodes_digest="0" * 64),
    "condition": drop_visual,
    "scorer": lambda run: rewrite(run, scorer=99),
    "look": lambda run: rewrite(run, theme="plain"),
    "prompts": reask,
    "sampling": lambda run: rewrite(run, sampling={"temperature": 1.0, "max_tokens": 64}),
    "image-limits": lambda run: rewrite(run, pixels=[1, 2]),
    "repeats": lambda run: rewrite(run, repeats=7),
    "model": lambda run: rewrite(run, model="another"),
}


def words(question: Question, base: Path, other: Path) -> list[str]:
    places = {"a": str(base), "b": str(other), "policy": str(base.parent / "policy.yaml")}
    return [word.format(**places) for word in COMMANDS[question]]


@pytest.mark.slow
@pytest.mark.parametrize("aspect", AT_ONCE.values(), ids=list(AT_ONCE))
@pytest.mark.parametrize("question", COMMANDS)
def test_every_aspect_changed_alone_is_refused_or_does_not_matter(
    question: Question, aspect: Aspect, base: Path, tmp_path: Path
) -> None:
    other = copy(base, tmp_path / "other")
    CHANGES[aspect.name](other)
    asked = words(question, base, other)
    if question not in aspect.matters:
        if aspect.name == "repeats" or aspect.name == "condition":
            pytest.skip("what the runs hold would no longer be what they say")
        call(*asked)
        return
    shown = call(*asked, code=3)
    if aspect.name == "condition" and question == Question.GATE:
        assert "missing metric e2e" in shown
        return
    refused = {difference.aspect for difference in differences([load_run(base), load_run(other)], question, ["visual"])}
    assert refused == {aspect.name}
    values = {"sampling": ("temperature", "max_tokens 64"), "image-limits": ("1, 2", "65536"), "model": ("another",)}
    for value in values.get(aspect.name, ()):
        assert value in shown


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, aspect in AT_ONCE.items() if aspect.allowable])
@pytest.mark.parametrize("question", COMMANDS)
def test_what_is_let_through_is_written_beside_the_figures(
    question: Question, name: str, base: Path, tmp_path: Path
) -> None:
    if question not in ASPECTS[name].matters or name == "repeats":
        pytest.skip("does not matter for this question, or would not be what the runs hold")
    other = copy(base, tmp_path / "other")
    CHANGES[name](other)
    shown = " ".join(call(*words(question, base, other), "--allow", name).split())
    assert f"not alike in {name}" in shown


@pytest.mark.slow
def test_a_table_or_report_says_what_was_let_through(base: Path, tmp_path: Path) -> None:
    other = copy(base, tmp_path / "other")
    CHANGES["sampling"](other)
    for suffix in ("md", "tex", "html"):
        out = tmp_path / f"report.{suffix}"
        assert "other sampling" in call("report", base, other, "--out", out, code=3)
        call("report", base, other, "--out", out, "--allow", "sampling")
        assert "not alike in sampling" in out.read_text()
    assert "not alike in sampling" in call("report", base, other, "--allow", "sampling")
    call("compare", base, other, "--allow", "sampling", "--out", tmp_path / "changes.json")
    assert json.loads((tmp_path / "changes.json").read_text())[0]["notes"]


def test_all_that_disagrees_is_named_at_once_with_both_values(base: Path, tmp_path: Path) -> None:
    """A picture run beside a text run that was asked in every way otherwise."""
    other = copy(base, tmp_path / "other")
    for name in ("sampling", "image-limits", "prompts", "look"):
        CHANGES[name](other)
    rewrite(other, prompts="compact")
    shown = call("diagnose", base, other, code=3)
    for part in (
        "other sampling", "temperature 1.0", "temperature 0.0", "max_tokens 64", "max_tokens 4096",
        "other image limits", "1, 2", "65536, 262144", "other prompts", "compact, not default", "other look", "plain",
        "--allow look,prompts,sampling,image-limits",
    ):  # fmt: skip
        assert part in shown


def test_what_figures_rest_on_cannot_be_let_through(base: Path) -> None:
    run = load_run(base)
    for name in ("episodes", "status", "condition"):
        with pytest.raises(UserError, match="figures rest on it"):
            check([run, run], Question.MODELS, ["visual"], [name])
    with pytest.raises(UserError, match="unknown; choose from scorer, look"):
        check([run, run], Question.MODELS, ["visual"], ["smapling"])


def test_runs_without_newer_keys_are_compared_by_what_they_have(base: Path, tmp_path: Path) -> None:
    old = copy(base, tmp_path / "old")
    record = json.loads((old / "run.json").read_text())
    for key in ("repeats", "pixels"):
        del record["identity"][key]
    (old / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="not recorded") as caught:
        check([load_run(base), load_run(old)], Question.GATE, ["visual"])
    assert caught.value.code == Exit.NOT_COMPARABLE
    assert check([load_run(old), load_run(old)], Question.GATE, ["visual"]) == []


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    lines = [line for line in DOCS.read_text().splitlines() if "|" in line]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heading = next(row for row in rows if row[0] == "aspect")
    assert heading[2:-1] == [f"`{question}`" for question in Question]
    found = {row[0].strip("`"): row[1:] for row in rows if re.fullmatch(r"`[\w-]+`", row[0])}
    assert list(found) == list(ASPECTS)
    for name, (about, *marks, allow) in found.items():
        aspect = ASPECTS[name]
        assert about == aspect.about
        assert marks == ["same" if question in aspect.matters else "may differ" for question in Question]
        assert allow == ("yes" if aspect.allowable else "no")
    for question, about in QUESTIONS.items():
        assert f"- `{question}`: {about}" in DOCS.read_text()


def test_a_person_has_no_decoding_and_models_beside_one_are_still_compared(base: Path, tmp_path: Path) -> None:
    person, greedy, sampled = (copy(base, tmp_path / name) for name in ("person", "greedy", "sampled"))
    loop = {"protocol": PROTOCOL, **LoopSettings().to_json(), "limits": {}, "greedy": True}
    rewrite(person, backend="human", sampling={}, pixels=[1, 2], loop={**loop, "greedy": False})
    rewrite(greedy, loop=loop)
    rewrite(sampled, loop={**loop, "history": 0}, sampling={"temperature": 1.0})
    runs = [load_run(run) for run in (person, greedy, sampled)]
    assert check(runs[:2], Question.MODELS, ["visual"]) == check(runs[1::-1], Question.MODELS, ["visual"]) == []
    with pytest.raises(UserError, match=f"{sampled}: other sampling than {greedy}"):
        check(runs, Question.MODELS, ["visual"])
    differing = {difference.aspect for difference in differences(runs[:2], Question.MODELS, ["act"])}
    assert "closed-loop" not in differing
    rewrite(person, loop={**loop, "history": 0})
    differing = {d.aspect for d in differences([load_run(person), runs[1]], Question.MODELS, ["act"])}
    assert "closed-loop" in differing
