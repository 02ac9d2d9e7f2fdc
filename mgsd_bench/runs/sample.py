"""One answer to one question, scored: a line of ``samples.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from mgsd_bench.backends import request_key
from mgsd_bench.prompts import WITH_PLAN
from mgsd_bench.runs.lines import facts_row, is_fact, sealed, types_of
from mgsd_bench.runs.loop_score import LoopScore
from mgsd_envs import Fact
from mgsd_envs.files import well_formed

if TYPE_CHECKING:
    from mgsd_bench.runs.scoring import Score
    from mgsd_envs import Episode


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
        dead_end: number, from 1, of the action after which a failed plan could not be saved any more; None where there
            is none. Left out of the line then.
        loop: what was counted in an episode that was acted in step by step; None, and left out of the line, of answers
            given at once. Of such an episode ``text`` and ``finish_reason`` are those of the last turn,
            ``prompt_digest`` that of the first one, ``plan`` holds all actions tried and ``steps`` counts those done;
            tokens and seconds are those of all turns together.
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
    form: str
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
    dead_end: int | None = None
    loop: LoopScore | None = None

    @classmethod
    def of(
        cls,
        episode: Episode,
        condition: str,
        repeat: int,
        scored: Score,
        *,
        prompt_digest: str,
        text: str,
        finish_reason: str,
        prompt_tokens: int | None,
        completion_tokens: int | None,
        error: str | None,
        seconds: float | None,
    ) -> Self:
        """The sample of a scored answer; the arguments are as the fields."""
        return cls(
            episode=episode.id,
            task=episode.task,
            level=episode.level,
            condition=condition,
            repeat=repeat,
            prompt_digest=prompt_digest,
            text=text,
            finish_reason=finish_reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            plan=None if scored.plan is None else list(scored.plan),
            form=scored.form,
            facts=facts_row(scored.facts),
            outcome=scored.outcome.value,
            optimal=scored.optimal,
            illegal=scored.illegal,
            steps=scored.steps,
            shortest=episode.shortest,
            straight=episode.straight,
            detour=episode.detour,
            error=error,
            seconds=None if seconds is None else round(seconds, 4),
            dead_end=scored.dead_end,
            loop=scored.loop,
        )

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The sample in a line of ``samples.jsonl``, which anybody may have written.

        Raises:
            KeyError: a field is missing.
            ValueError: a field holds something that it cannot hold.
        """
        if "form" not in row:  # of release 0.1, which read no other form
            said = row["plan"] if str(row["condition"]) in WITH_PLAN else row["facts"]
            row = {**row, "form": "asked" if said else "none"}
        values = [*map(row.__getitem__, _WRITTEN), *map(row.get, _OPTIONAL)]
        types = tuple(map(type, values))
        if types not in _KNOWN:
            for name, found, taken in zip(FIELDS, types, _TYPES, strict=True):
                if found not in taken:
                    raise ValueError(f"{name} is {str(row.get(name))[:40]!r}")
            _KNOWN.add(types)
        for name in _NUMBERS:
            if (number := row.get(name)) is not None and not 0 <= number < 2**31:
                raise ValueError(f"{name} is {str(number)[:40]}")
        if not all(type(action) is str for action in row["plan"] or ()):
            raise ValueError("plan holds something else than names of actions")
        if not all(map(is_fact, row["facts"])):
            raise ValueError("facts holds something else than facts")
        for place in _NAMES:
            if (found := values[place]) is not None and not found.isascii():
                values[place] = well_formed(found)
        if not all(map(str.isascii, values[_PLAN] or ())):
            values[_PLAN] = [well_formed(action) for action in values[_PLAN]]
        if values[-1] is not None:
            values[-1] = LoopScore.from_row(values[-1])
        return cls(*values)

    @property
    def stated(self) -> frozenset[Fact]:
        """The facts that the answer states."""
        return frozenset(tuple(fact) for fact in self.facts)

    @property
    def key(self) -> str:
        """What names the sample within its run."""
        return request_key(self.episode, self.condition, self.repeat)

    def to_line(self) -> bytes:
        """The sample as a line of ``samples.jsonl``, with a checksum as its last field."""
        row = {name: getattr(self, name) for name in _WRITTEN}
        if self.dead_end is not None:
            row["dead_end"] = self.dead_end
        if self.loop is not None:
            row["loop"] = self.loop.to_row()
        return sealed(json.dumps(row, separators=(",", ":")).encode())


FIELDS = tuple(field.name for field in fields(Sample))
"""Names of the fields of a sample, as in its line."""

_OPTIONAL = ("dead_end", "loop")
"""Fields that a line need not have."""
_WRITTEN = FIELDS[: -len(_OPTIONAL)]

_TYPES = tuple(types_of(Sample).values())
_NUMBERS = tuple(field.name for field in fields(Sample) if str(field.type).startswith("int"))
_NAMES = tuple(
    place for place, field in enumerate(fields(Sample)) if str(field.type).startswith("str") and field.name != "text"
)
"""Where the texts stand that end up in tables; the answer itself stays as it is."""
_PLAN = FIELDS.index("plan")
_KNOWN: set[tuple[type, ...]] = set()
"""Types of the fields of rows that were found right: few rows differ in them."""


def last_of_each(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Of every question the last sample, as they are read; those of requests that failed come at the end.

    Args:
        samples: as they are stored: after an answer there is no other to its question. Failed ones alone are held.
    """
    failed: dict[str, Sample] = {}
    for sample in samples:
        if sample.outcome == "error":
            failed[sample.key] = sample
        else:
            if failed:
                failed.pop(sample.key, None)
            yield sample
    yield from failed.values()
