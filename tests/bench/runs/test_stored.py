"""What is read from a run folder that somebody else may have written."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mgsd_bench
from mgsd_bench.analysis.run import load_run
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.rescore import rescore
from mgsd_bench.evaluation.verify import verify
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.sample import FIELDS, Sample
from mgsd_bench.runs.stored import read_record, read_samples
from support.commands import mgsd
from support.stored import line, rewrite

FIRST_RELEASE = Path(__file__).parent / "release-0.1"
"""A run folder as release 0.1 wrote it, ``faulty:0.1,0.2,0.1`` on one episode a level of ``smoke``."""

SAMPLE: dict[str, Any] = {
    "episode": "frozenlake-3-0000",
    "task": "frozenlake",
    "level": 3,
    "condition": "visual",
    "repeat": 0,
    "prompt_digest": "k",
    "text": "<answer>RD</answer>",
    "finish_reason": "stop",
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "plan": ["right", "down"],
    "form": "asked",
    "facts": [["size", 3], ["hole", 0, 1]],
    "outcome": "solved",
    "optimal": True,
    "illegal": None,
    "steps": 2,
    "shortest": 2,
    "straight": False,
    "detour": False,
    "error": None,
    "seconds": 0.5,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def written(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "samples.jsonl").write_bytes(line({**SAMPLE, **changes}))
    return folder


def test_the_sample_here_has_every_field_that_a_line_must_have(tmp_path: Path) -> None:
    assert set(SAMPLE) == set(FIELDS) - {"dead_end", "loop"}
    assert [*read_samples(written(tmp_path))] == [Sample(**SAMPLE)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in FIELDS for value in ({}, [[]])),
        ("level", -1),
        ("level", 2**40),
        ("level", True),
        ("prompt_tokens", 10**30),
        ("outcome", "won"),
        ("condition", "by ear"),
        ("plan", ["right", 1]),
        ("facts", [["hole", "0", "1"]]),
        ("facts", [[5]]),
        ("facts", [[]]),
        ("facts", [["hole", 0, [1]]]),
    ],
)
def test_a_field_that_holds_something_else_is_one_line_that_names_it(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(UserError) as refused:
        [*read_samples(written(tmp_path, **{field: value}))]
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'samples.jsonl'}:1: not a sample (")
    assert field in message
    assert "\n" not in message
    assert len(message) < 400


@given(st.sampled_from(FIELDS), JSON)
def test_whatever_a_field_holds_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    folder = written(tmp_path_factory.getbasetemp() / "any", **{field: value})
    try:
        (sample,) = read_samples(folder)
    except UserError:
        return
    assert isinstance(hash((sample.task, sample.level, sample.outcome, *map(tuple, sample.facts))), int)


@pytest.mark.parametrize("sessions", [[1], [{"backend": 1}], [{"versions": "1.0"}], {}])
def test_a_record_whose_sessions_are_something_else_is_refused(tmp_path: Path, sessions: object) -> None:
    identity = {"suite": "smoke", "model": "m", "digest": "d", "episodes_digest": "e"}
    (tmp_path / "run.json").write_text(
        json.dumps({"format": 1, "status": "complete", "identity": identity, "sessions": sessions})
    )
    with pytest.raises(UserError, match="was not written by this version"):
        read_record(tmp_path)


LOOP = {"protocol": "loop-1", **LoopSettings().to_json(), "limits": {}, "greedy": True}


@pytest.mark.parametrize(
    "loop",
    [None, "x", 3, [], {}, {**LOOP, "view": "junk"}, {**LOOP, "view": "fog:99999"}, {**LOOP, "history": -1},
     {**LOOP, "chunk": 0}, {**LOOP, "remember": "some"}, {**LOOP, "say_state": 1}],
)  # fmt: skip
def test_a_record_of_a_closed_loop_without_its_settings_is_refused(tmp_path: Path, loop: object) -> None:
    def write(**more: object) -> None:
        identity = {"suite": "smoke", "model": "m", "digest": "d", "episodes_digest": "e", "conditions": ["act"]}
        record = {"format": 1, "status": "complete", "identity": {**identity, **more}, "sessions": []}
        (tmp_path / "run.json").write_text(json.dumps(record))

    write(loop=LOOP)
    assert read_record(tmp_path)["identity"]["repeats"] == 1
    write(**({} if loop is None else {"loop": loop}))
    with pytest.raises(UserError, match="was not written by this version"):
        read_record(tmp_path)


def test_a_record_that_does_not_say_what_was_asked_ends_in_no_traceback(finished: Path, tmp_path: Path) -> None:
    for name in ("conditions", "repeats"):
        folder = tmp_path / name
        shutil.copytree(finished, folder)
        record = json.loads((folder / "run.json").read_text())
        del record["identity"][name]
        (folder / "run.json").write_text(json.dumps(record))
        assert bool(verify(folder).faults) == (name == "conditions")
        assert rescore(load_run(folder), tmp_path / f"{name}-again").outcomes == 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    return mgsd_bench.evaluate(
        model="faulty:0.1,0.2,0.1", backend="scripted", suite="smoke", limit=2,
        conditions=("visual", "symbolic", "perceive", "direct"), out=out,
    ).path  # fmt: skip


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_sample_of_another_level_than_its_episode_is_refused(run: Path) -> None:
    rewrite(run, lambda i, row: {**row, "level": row["level"] + (i == 0)})
    with pytest.raises(UserError, match="do not agree on 'frozenlake"):
        _ = load_run(run).episodes


def test_every_changed_byte_is_found(run: Path) -> None:
    """One bit anywhere: nothing of a line that was changed is taken for what was written."""
    path = run / "samples.jsonl"
    data, random = path.read_bytes(), Random(0)
    before = [*read_samples(run)]
    for _ in range(300):
        at = random.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :])
        after, refusal = _read(run)
        if refusal is not None:
            assert f"{path}:" in refusal
        else:  # the last line feed, or the name of a checksum: what the line says is then held against its text
            assert after in (before, before[:-1]), at


def _read(run: Path) -> tuple[list[Sample], str | None]:
    try:
        return [*read_samples(run)], None
    except UserError as error:
        return [], str(error)


FIELDS_CHANGED: list[tuple[str, Any]] = [
    ("outcome", "wrong"), ("outcome", "solved"), ("outcome", "error"), ("outcome", "truncated"), ("task", "maze"),
    ("level", 4), ("episode", "maze/3/0000"), ("condition", "direct"), ("plan", ["up"]), ("plan", None),
    ("facts", [["hole", 0, 0]]), ("steps", 7), ("shortest", 1), ("illegal", "hole"), ("optimal", None),
    ("straight", None), ("detour", None), ("error", "reset"), ("text", "<answer>U</answer>"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), FIELDS_CHANGED)
@pytest.mark.parametrize("sealed_still", [True, False])
def test_a_changed_field_is_found_with_and_without_checksums(
    run: Path, field: str, value: Any, sealed_still: bool
) -> None:
    """Without, as release 0.1 wrote lines, by what the line's own text and episode come to."""
    path = run / "samples.jsonl"
    rows = [json.loads(each) for each in path.read_text().splitlines()]
    at = next(i for i, row in enumerate(rows) if row["outcome"] == ("wrong" if value == "solved" else "solved")
              and row["condition"] == "visual" and row["task"] == "frozenlake" and row["plan"] != value)  # fmt: skip
    rows[at][field] = not rows[at][field] if value is None and field != "plan" else value
    if not sealed_still:
        rows = [{name: kept for name, kept in row.items() if name not in ("crc", "form")} for row in rows]
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    with pytest.raises(UserError) as refused:
        _ = load_run(run).diagnostic_frame
    assert f"samples.jsonl:{at + 1}: " in str(refused.value) or "second answer" in str(refused.value)


def test_a_line_that_another_program_wrote_anew_is_not_one_without_a_checksum(run: Path) -> None:
    path = run / "samples.jsonl"
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(json.dumps({**json.loads(first), "seconds": 1.0}) + "\n" + "".join(rest))
    with pytest.raises(UserError, match=r"samples.jsonl:1: .*checksum is not where it was written"):
        [*read_samples(run)]


def test_lines_of_the_first_release_are_read(run: Path) -> None:
    before = [*read_samples(run)]
    path = run / "samples.jsonl"
    rows = [json.loads(each) for each in path.read_text().splitlines()]
    rows = [{name: kept for name, kept in row.items() if name not in ("crc", "form")} for row in rows]
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    assert [*read_samples(run)] == before


def test_a_run_of_the_first_release_is_read_and_its_figures_are_those_that_it_had(tmp_path: Path) -> None:
    shown = mgsd("report", str(FIRST_RELEASE), "--format", "csv")
    macro = next(row for row in csv.DictReader(shown.splitlines()) if row["scope"] == "macro")
    assert (macro["value"], macro["low"], macro["high"]) == ("0.333333", "0.098507", "0.695853")  # of its metrics.json
    assert mgsd("verify", str(FIRST_RELEASE)).endswith("24 samples, 24 without a checksum: holds\n")


def test_a_run_of_the_first_release_that_was_changed_is_refused(tmp_path: Path) -> None:
    run = Path(shutil.copytree(FIRST_RELEASE, tmp_path / "run"))
    path = run / "samples.jsonl"
    text = path.read_text()
    assert '"outcome":"illegal"' in text
    path.write_text(text.replace('"outcome":"illegal"', '"outcome":"wrong"', 1))
    with pytest.raises(UserError, match="outcome is not that of the plan"):
        [*read_samples(run)]


@pytest.mark.parametrize("same", [True, False])
def test_a_second_answer_is_refused(run: Path, same: bool) -> None:
    path = run / "samples.jsonl"
    last = json.loads(path.read_text().splitlines()[-1])
    with path.open("ab") as stream:
        stream.write(line(last if same else {**last, "text": "another"}))
    with pytest.raises(UserError, match="a second answer to"):
        [*read_samples(run)]


def test_a_second_answer_after_a_failed_request_is_right(run: Path) -> None:
    path = run / "samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    failed = {**json.loads(lines[-1]), "outcome": "error", "error": "reset", "plan": None, "facts": [], "form": "none"}
    path.write_bytes(b"".join([*lines[:-1], line(failed), lines[-1]]))
    assert len([*read_samples(run)]) == len(lines) + 1


def test_an_answer_to_what_is_not_asked_is_refused_on_the_way_on(run: Path) -> None:
    identity, episodes = read_record(run)["identity"], load_run(run).episodes.episodes
    RunFolder.open(run, identity, episodes).__exit__()
    with pytest.raises(UserError, match="which this run does not ask"):
        RunFolder.open(run, identity, episodes[1:])


@pytest.mark.parametrize("name", ["run.json", "samples.jsonl", "episodes.jsonl"])
def test_deep_nesting_is_one_line(run: Path, name: str) -> None:
    with (run / name).open("ab" if name.endswith("l") else "wb") as stream:
        stream.write(b"[" * 200_000 + b"\n")
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        _ = load_run(run).diagnostic_frame


@pytest.mark.parametrize("change", [{"level": 10**9}, {"level": "3"}, {"level": 4}, {"id": "maze/9/0001"}])
def test_changed_episodes_are_refused(run: Path, change: dict[str, Any]) -> None:
    path = run / "episodes.jsonl"
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), **change}), *others]) + "\n")
    with pytest.raises(UserError, match=r"episodes\.jsonl"):
        _ = load_run(run).diagnostic_frame
