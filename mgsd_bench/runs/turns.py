"""One turn of a closed loop: a line of ``turns.jsonl``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn of an episode."""

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
