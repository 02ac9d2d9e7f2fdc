"""How many tokens the rows of a training have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgsd_bench.backends.token_counts import Count, visual_tokens

if TYPE_CHECKING:
    from mgsd_baselines.data.examples import Example

_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_LONGEST = 64
_SAMPLE = 2000


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a stage's rows, visual tokens and the chat format included.

    Attributes:
        prompt: longest prompt.
        mean_prompt: mean.
        answer: longest answer; for rows without one, of the reference answer.
        mean_answer: mean.
        row: longest prompt and answer of one row.
        teacher: longest prompt of the teacher; 0 where there is none.
        mean_teacher: mean.
    """

    prompt: int
    mean_prompt: float
    answer: int
    mean_answer: float
    row: int
    teacher: int
    mean_teacher: float


def measure(rows: Sequence[Example], image_size: int, count: Count) -> Lengths:
    """Count the tokens of rows.

    The longest are exact as far as the texts with the most characters are also those with the most tokens: for each
    task and kind of row the 64 longest are counted. Means are over all rows, or over 2,000 spread evenly where there
    are more.

    Args:
        rows: at least one.
        image_size: pixels a side.
        count: from :func:`mgsd_bench.backends.token_counts.counter`.
    """
    visual = visual_tokens(image_size) - 1  # one of them stands in the text
    known: dict[str, int] = {}

    def tokens(text: str) -> int:
        if text not in known:
            known[text] = count(text)
        return known[text]

    def prompt(row: Example) -> int:
        return tokens(_turn(row.prompt, row.picture is not None)) + (visual if row.picture is not None else 0)

    def answer(row: Example) -> int:
        return tokens(_answer(row))

    def teacher(row: Example) -> int:
        return 0 if row.privileged is None else tokens(_turn(row.teacher_prompt, False))

    def longest(size: Callable[[Example], int], characters: Callable[[Example], int]) -> int:
        return max(size(row) for group in groups.values() for row in sorted(group, key=characters)[-_LONGEST:])

    groups: dict[tuple[str, str], list[Example]] = {}
    for row in rows:
        groups.setdefault((row.episode.task, row.kind), []).append(row)
    some = rows[:: -(-len(rows) // _SAMPLE)]
    return Lengths(
        prompt=longest(prompt, lambda row: len(row.prompt)),
        mean_prompt=sum(map(prompt, some)) / len(some),
        answer=longest(answer, lambda row: len(_answer(row))),
        mean_answer=sum(map(answer, some)) / len(some),
        row=longest(lambda row: prompt(row) + answer(row), lambda row: len(row.prompt) + len(_answer(row))),
        teacher=longest(teacher, lambda row: len(row.teacher_prompt)),
        mean_teacher=sum(map(teacher, some)) / len(some),
    )


def _turn(text: str, picture: bool) -> str:
    """A user turn up to where the answer begins, in Qwen's chat format."""
    return f"<|im_start|>user\n{text}{_PICTURE if picture else ''}<|im_end|>\n<|im_start|>assistant\n"


def _answer(row: Example) -> str:
    from mgsd_baselines.data.examples import reference_answer

    text = reference_answer(row.episode, "visual") if row.completion is None else row.completion
    return f"{text}<|im_end|>\n"
