"""One answer to one question, scored: a line of ``samples.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from mgsd_bench.backends import request_key


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to one question, scored.

    Attributes:
        episode: id of the episode.
        task: name of the task.
        level: grid size.
        condition: how the episode was put to the model.
        repeat: 0-based number of the try.
        prompt_digest: SHA-256 of the prompt's text and, if it has an image, the image's pixels.
        text: the model's raw answer.
        finish_reason: ``stop``, ``length`` or ``error``.
        prompt_tokens: tokens of the prompt, if known.
        completion_tokens: tokens of the answer, if known.
        plan: the plan that was read from the answer.
        facts: the facts about the state that the answer states, sorted.
        outcome: see :class:`mgsd_bench.runs.scoring.Outcome`.
        optimal: solved with as few actions as possible.
        illegal: the rule that an illegal plan broke.
        steps: legal actions carried out.
        shortest: length of the shortest plan.
        straight: whether the plan that ignores every obstacle solves the episode.
        detour: whether obstacles make the shortest plan longer.
        error: why there is no answer.
        seconds: time that the answer took, if known.
    """

    episode: str
    task: str
    level: int
    condition: str
    repeat: int
    prompt_digest: str
    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    plan: list[str] | None
    facts: list[list[str | int]]
    outcome: str
    optimal: bool
    illegal: str | None
    steps: int
    shortest: int
    straight: bool
    detour: bool
    error: str | None
    seconds: float | None

    @property
    def key(self) -> str:
        """What names the sample within its run."""
        return request_key(self.episode, self.condition, self.repeat)

    def to_line(self) -> bytes:
        """The sample as a line of ``samples.jsonl``."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"


FIELDS = tuple(field.name for field in fields(Sample))
"""Names of the fields of a sample, as in its line."""


def ordered(samples: Iterable[Sample]) -> list[Sample]:
    """Samples in an order that does not depend on when they arrived."""
    return sorted(samples, key=lambda sample: (sample.condition, sample.episode, sample.repeat))
