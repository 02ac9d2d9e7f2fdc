"""Answers that could not be read or were cut off: when they are many, they are said, and not only counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from mgsd_bench.errors import option
from mgsd_bench.plain import plain
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome

MANY = 0.05
"""The share of answers from which on they are said."""
EARLY = 32
"""After so many answers of a run it is said if none could be read."""
_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Unread:
    """The answers of a run in which nothing was to be read.

    Attributes:
        answers: all answers, without requests that failed.
        no_answer: those that hold nothing that was asked for.
        truncated: those that ran out of tokens before that.
        first: how the first of them begins, at most 60 characters in one line.
    """

    answers: int
    no_answer: int
    truncated: int
    first: str

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Self:
        """Count them, each question's last sample once."""
        counts = dict.fromkeys((Outcome.NO_ANSWER, Outcome.TRUNCATED), 0)
        answers, first = 0, ""
        for sample in {sample.key: sample for sample in samples}.values():
            if sample.outcome == Outcome.ERROR:
                continue
            answers += 1
            if sample.outcome in (Outcome.NO_ANSWER, Outcome.TRUNCATED):
                counts[Outcome(sample.outcome)] += 1
                first = first or quoted(sample.text)
        return cls(answers, counts[Outcome.NO_ANSWER], counts[Outcome.TRUNCATED], first)

    @property
    def many(self) -> bool:
        """Whether they are so many that a figure says more of typography than of planning."""
        return self.no_answer + self.truncated > MANY * self.answers

    @property
    def all(self) -> bool:
        """Whether not one answer could be read."""
        return self.answers > 0 and self.no_answer + self.truncated == self.answers

    def line(self) -> str:
        """How many there are, the first of them, and the likely remedy; settings are spelled by the front end."""
        parts = []
        if self.no_answer:
            parts.append(f"{self.no_answer} of {self.answers} answers hold nothing that could be read")
        if self.truncated:
            parts.append(f"{self.truncated} of {self.answers} were cut off")
        remedies = []
        if self.truncated:
            remedies.append(f"raise {option('max_tokens')}")
        if self.no_answer:
            remedies.append(f"ask as the model was trained to be asked, with {option('prompts')} and {option('suite')}")
        return f"{' and '.join(parts)}; the first: {self.first!r}; {'; or '.join(remedies)}"


def quoted(text: str) -> str:
    """The beginning of a text in one line of at most 60 characters, control characters left out."""
    line = " ".join(plain(text[: 8 * _QUOTED]).split())
    return line if len(line) <= _QUOTED else line[: _QUOTED - 1] + "…"
