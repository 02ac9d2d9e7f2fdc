"""Files of answers that hold what no answer is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.backends import BackendConfig, open_backend
from mgsd_bench.errors import Exit, UserError

GOOD = {"episode": "maze/3/0007", "text": "<answer>R</answer>"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"text":' * 200_000, "nested too deeply"),
        (json.dumps({**GOOD, "repeat": [0]}), "repeat must be a whole number"),
        (json.dumps({**GOOD, "repeat": True}), "repeat must be a whole number"),
        (json.dumps({**GOOD, "prompt_tokens": 2**53}), "prompt_tokens must be a whole number"),
        (json.dumps({**GOOD, "completion_tokens": "7"}), "completion_tokens must be a whole number"),
        ('{"episode": "maze/3/0007", "text": 7}', "an answer needs the texts episode and text"),
        ('{"episode": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_what_is_no_answer_is_refused_by_its_line(line: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(f"{json.dumps({**GOOD, 'episode': 'maze/3/0001'})}\n{line}\n")
    with pytest.raises(UserError, match=f"answers.jsonl:2: .*{message}") as caught:
        open_backend("recorded", BackendConfig(str(file)))
    assert caught.value.code == Exit.USAGE


@pytest.mark.parametrize("more", [{}, {"repeat": 0, "prompt_tokens": 0}, {"repeat": None, "completion_tokens": None}])
def test_answers_are_taken(more: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({**GOOD, **more}))
    with open_backend("recorded", BackendConfig(str(file))) as backend:
        assert backend.describe()["engine"] == "recorded"


def test_a_device_is_refused() -> None:
    with pytest.raises(UserError, match="is a device"):
        open_backend("recorded", BackendConfig("/dev/zero"))
