"""What is read from a run folder that somebody else may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mgsd_bench
from mgsd_bench.analysis.run import load_run
from mgsd_bench.errors import UserError
from mgsd_bench.runs.sample import FIELDS, Sample
from mgsd_bench.runs.stored import read_record, read_samples

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
    (folder / "samples.jsonl").write_text(json.dumps({**SAMPLE, **changes}) + "\n")
    return folder


def test_the_sample_here_has_every_field(tmp_path: Path) -> None:
    assert set(SAMPLE) == set(FIELDS)
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


def test_a_sample_of_another_level_than_its_episode_is_refused(tmp_path: Path) -> None:
    run = mgsd_bench.evaluate(model="oracle", backend="scripted", suite="smoke", limit=1, out=tmp_path / "run")
    lines = [json.loads(line) for line in (run.path / "samples.jsonl").read_text().splitlines()]
    lines[0]["level"] += 1
    (run.path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError, match="do not agree on '" + lines[0]["episode"]):
        _ = load_run(run.path).episodes
