"""Answers that could not be read or were cut off: when they are many, they are said, and not only counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from mgsd_bench.digests import short_digest
from mgsd_bench.errors import option
from mgsd_bench.plain import plain
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome

if TYPE_CHECKING:
    from mgsd_bench.analysis.run import Run

MANY = 0.05
"""The share of answers from which on they are said."""
EARLY = 32
"""After so many answers of a run it is said if none could be read."""
_QUOTED = 60
_UNREAD = (str(Outcome.NO_ANSWER), str(Outcome.TRUNCATED))


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
        answered: set[int] = set()
        unread: dict[int, tuple[str, str]] = {}
        for sample in samples:
            if sample.outcome == Outcome.ERROR:
                continue
            question = short_digest(sample.key)
            answered.add(question)
            unread.pop(question, None)
            if sample.outcome in _UNREAD:
                unread[question] = sample.outcome, quoted(sample.text)
        counts = Counter(outcome for outcome, _ in unread.values())
        first = next((quote for _, quote in unread.values() if quote), "")
        return cls(len(answered), counts[Outcome.NO_ANSWER], counts[Outcome.TRUNCATED], first)

    @classmethod
    def of_run(cls, run: Run) -> Self:
        """Those of a run; its texts are read as far as the first of them."""
        counts = run.frame["outcome"].value_counts()
        no_answer, truncated = (int(counts.get(outcome, 0)) for outcome in _UNREAD)
        answers = len(run.frame) - int(counts.get(str(Outcome.ERROR), 0))
        found = (quoted(s.text) for s in run.read_samples() if s.outcome in _UNREAD)
        first = next(filter(None, found), "") if no_answer + truncated else ""
        return cls(answers, no_answer, truncated, first)

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
