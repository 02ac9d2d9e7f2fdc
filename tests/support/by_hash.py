"""Tasks that are good but for one thing that follows the order of a set, which is another one in every process."""

from __future__ import annotations

from typing import Any

from mgsd_keydoor import KeyDoor

_WORDS = frozenset(f"word {number}" for number in range(50))


def _first() -> int:
    return int(next(iter(_WORDS)).split()[1])


class Sampled(KeyDoor):
    def sample(self, level: int, rng: Any, **kwargs: Any) -> Any:
        rng.random(_first())
        return super().sample(level, rng, **kwargs)


class Named(KeyDoor):
    def key(self, state: Any) -> str:
        return f"{super().key(state)}{_first()}"


TASKS = (Sampled(), Named())
