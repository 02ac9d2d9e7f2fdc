"""One turn of an episode in the closed loop: a line of ``turns.jsonl``, and how these lines are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, get_args

from mgsd_bench.answers.reader import Form
from mgsd_bench.backends import FinishReason, Response, request_key, turn_key
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CLOSED_LOOP
from mgsd_bench.runs.lines import is_fact, seal_of, sealed, types_of, whole_lines
from mgsd_envs.acting import Effect
from mgsd_envs.files import well_formed

TURNS = "turns.jsonl"


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn: what was answered, what was done, and what came of it.

    Attributes:
        episode: id of the episode.
        condition: how the episode was put to the model.
        repeat: 0-based number of the try.
        turn: number of the turn, from 0.
        prompt_digest: SHA-256 of all that the model was shown in this turn.
        text: the model's raw answer.
        finish_reason: ``stop`` or ``length``.
        prompt_tokens: tokens of the prompt, if known.
        completion_tokens: tokens of the answer, if known.
        seconds: time that the answer took, if known.
        form: how the actions were said, see :class:`mgsd_bench.answers.reader.Answer`.
        facts: the facts about the state of this turn that the answer states, sorted; only where it was asked for them.
        actions: the actions that were tried; none where nothing could be read.
        effects: what each of them did, see :data:`mgsd_envs.acting.Effect`.
        rule: the rule that the last action would break, or broke.
        before: digest of the state before the first action.
        after: digest of the state after the last.
    """

    episode: str
    condition: str
    repeat: int
    turn: int
    prompt_digest: str
    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None
    form: str
    facts: list[list[str | int]]
    actions: list[str]
    effects: list[str]
    rule: str | None
    before: str
    after: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The turn in a line of ``turns.jsonl``, which anybody may have written.

        Raises:
            KeyError: a field is missing.
            ValueError: a field holds something that it cannot hold.
        """
        values = [row[name] for name in FIELDS]
        for name, value, taken in zip(FIELDS, values, _TYPES, strict=True):
            if type(value) not in taken or (isinstance(value, int | float) and not 0 <= value < 2**31):
                raise ValueError(f"{name} is {str(value)[:40]!r}")
        for name, allowed in _CLOSED.items():
            if row[name] not in allowed:
                raise ValueError(f"{name} is {row[name][:40]!r}")
        if not all(effect in _EFFECTS for effect in row["effects"]) or len(row["effects"]) != len(row["actions"]):
            raise ValueError("effects are not those of the actions")
        if not all(type(action) is str for action in row["actions"]):
            raise ValueError("actions holds something else than names of actions")
        if not all(map(is_fact, row["facts"])):
            raise ValueError("facts holds something else than facts")
        named = {"episode": well_formed(row["episode"]), "actions": [well_formed(action) for action in row["actions"]]}
        found: dict[str, Any] = {**dict(zip(FIELDS, values, strict=True)), **named}
        return cls(**found)

    @property
    def key(self) -> str:
        """What names the question that the turn belongs to, within its run."""
        return request_key(self.episode, self.condition, self.repeat)

    @property
    def response(self) -> Response:
        """What the model answered."""
        reason: FinishReason = "length" if self.finish_reason == "length" else "stop"
        return Response(
            turn_key(self.key, self.turn), self.text, reason, self.prompt_tokens, self.completion_tokens, self.seconds
        )

    def to_line(self) -> bytes:
        """The turn as a line of ``turns.jsonl``, with a checksum as its last field."""
        row = {name: getattr(self, name) for name in FIELDS}
        return sealed(_ENCODE(row).encode())


_ENCODE = json.JSONEncoder(separators=(",", ":")).encode

FIELDS = tuple(field.name for field in fields(TurnRecord))
"""Names of the fields of a turn, as in its line."""

_TYPES = tuple(types_of(TurnRecord).values())
_EFFECTS = frozenset(get_args(Effect))
_CLOSED: dict[str, frozenset[str]] = {
    "condition": frozenset(CLOSED_LOOP),
    "finish_reason": frozenset({"stop", "length"}),
    "form": frozenset(get_args(Form)),
}


def read_turns(folder: Path, wanted: Callable[[str], bool] = lambda key: True) -> dict[str, list[TurnRecord]]:
    """The turns of each question, in their order, by the question's key; a half-written last line is left out.

    Args:
        folder: the run folder; one without ``turns.jsonl`` has no turns.
        wanted: of which questions, by their keys; the others' turns are read and not kept.

    Raises:
        UserError: the file cannot be read, or a line is no turn, was changed, or is not the next turn of its question.
    """
    found: dict[str, list[TurnRecord]] = {}
    for number, turn in _turns(folder / TURNS):
        if wanted(turn.key):
            before = found.setdefault(turn.key, [])
            if turn.turn != len(before):
                raise _damaged(folder / TURNS, number, f"turn {turn.turn} of {turn.key} instead of {len(before)}")
            before.append(turn)
    return found


def _turns(path: Path) -> Iterator[tuple[int, TurnRecord]]:
    if not path.exists():
        return
    for number, line in whole_lines(path):
        try:
            if not seal_of(line):
                raise ValueError("its checksum does not fit: the line was changed")
            yield number, TurnRecord.from_row(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _damaged(path, number, f"not a turn ({type(error).__name__}: {error})") from error


def _damaged(path: Path, number: int, what: str) -> UserError:
    return UserError(
        f"{path}:{number}: {what}; delete the lines of its episode from here on and run the command again, it then "
        "goes on from there"
    )
