"""Files of answers that hold what no answer is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from mgsd_bench.backends import BackendConfig, Request, Response, open_backend
from mgsd_bench.backends.recorded import RecordedBackend
from mgsd_bench.errors import Exit, UserError
from support.long_runs import peak

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


def asked(i: int) -> Request:
    return Request(f"maze/3/{i:04d}/visual/0", (), 0, "visual", cast(Any, None))


def answers(file: Path, texts: list[str]) -> Path:
    rows = ({"episode": f"maze/3/{i:04d}", "text": text} for i, text in enumerate(texts))
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def opened(file: Path) -> RecordedBackend:
    backend = open_backend("recorded", BackendConfig(str(file)))
    assert isinstance(backend, RecordedBackend)
    return backend


def test_answers_are_found_in_any_order_and_every_other_is_an_error(tmp_path: Path) -> None:
    texts = [f"answer {i} é \ud800" for i in range(200)]
    with opened(answers(tmp_path / "a.jsonl", texts)) as backend:
        for i in random.Random(0).sample(range(200), 200):
            assert backend.respond(asked(i)) == Response(asked(i).key, texts[i], "stop")
        assert backend.respond(asked(200)).error == "no answer was recorded"


def test_second_answers_are_named_with_both_lines_and_before_what_comes_later(tmp_path: Path) -> None:
    file = answers(tmp_path / "a.jsonl", ["x"] * 4)
    lines = ["", *file.read_text().splitlines(), ""]
    lines += [lines[3], lines[2], "no JSON"]
    file.write_text("\n".join(lines))
    with pytest.raises(UserError) as caught:
        opened(file)
    assert caught.value.message == f"{file}:7: a second answer to maze/3/0002/visual/0, after line 4; remove one"


def test_the_first_answer_to_what_is_not_asked_is_named(tmp_path: Path) -> None:
    file = answers(tmp_path / "a.jsonl", ["x"] * 9)
    backend = opened(file)
    backend.check_asked(asked(i).key for i in range(9))
    with pytest.raises(UserError) as caught:
        backend.check_asked(asked(i).key for i in range(9) if i not in (3, 7))
    assert caught.value.message == f"{file}:4: answers maze/3/0003/visual/0, which this suite and condition do not ask"


@pytest.mark.parametrize("change", [lambda text: text.replace("0005", "0006"), lambda text: text[: len(text) // 2]])
def test_a_file_that_changes_while_it_is_read_is_one_line(change: Callable[[str], str], tmp_path: Path) -> None:
    file = answers(tmp_path / "a.jsonl", ["x"] * 9)
    with opened(file) as backend:
        with file.open("r+") as stream:
            changed = change(stream.read())
            stream.seek(0)
            stream.truncate()
            stream.write(changed)
        with pytest.raises(UserError, match=r"a\.jsonl:6: was changed after its answers were counted") as caught:
            backend.respond(asked(5))
    assert "\n" not in caught.value.message


def test_texts_stay_in_the_file(tmp_path: Path) -> None:
    def work(count: int) -> Callable[[], object]:
        file = answers(tmp_path / f"{count}.jsonl", ["word " * 2_000] * count)

        def ask() -> None:
            with opened(file) as backend:
                assert all(backend.respond(asked(i)).text for i in range(count))

        return ask

    few, many = (peak(work(count)) for count in (50, 1_050))
    assert (many - few) / 1_000 < 300
