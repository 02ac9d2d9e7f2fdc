"""Steps by kind, by turn and by cause, counted from the samples of episodes that were acted in step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from mgsd_bench.analysis.closed_loop import UNREADABLE, TurnShares
from mgsd_bench.runs.loop_score import CAUSES, FAULTY, UNREAD
from mgsd_bench.runs.sample import Sample
from mgsd_bench.statistics.intervals import Estimate, f1

_LETTERS = {"useful": "u", "neutral": "n", "harmful": "hi", "blocked": "b", "fatal": "f", "done": "x"}
_IRREVERSIBLE = "i"
_FAULTS = ("harmful", "blocked", "fatal")


@dataclass(frozen=True, slots=True)
class Walk:
    """One try at an episode, as the letters of :class:`mgsd_bench.runs.loop_score.LoopScore`."""

    task: str
    level: int
    episode: str
    kinds: str
    causes: str | None

    @classmethod
    def of(cls, sample: Sample) -> Self:
        """What a sample says of its steps."""
        loop = sample.loop
        assert loop is not None  # whoever reads samples refuses a closed loop without it
        return cls(sample.task, sample.level, sample.episode, loop.kinds, loop.causes)


def step_counts(walks: Iterable[Walk]) -> dict[str, int]:
    """Number of steps by kind, and of those after which there is no way any more."""
    letters = Counter[str]()
    for walk in walks:
        letters.update(walk.kinds)
    counts = {kind: sum(letters[letter] for letter in of_kind) for kind, of_kind in _LETTERS.items()}
    return {kind: count for kind, count in counts.items() if count or kind != "done"} | {
        "irreversible": letters[_IRREVERSIBLE]
    }


def step_shares(walks: Sequence[Walk]) -> dict[str, Estimate]:
    """Kinds of steps as shares of all; empty where in some task there is no step."""
    wanted = {**_LETTERS, "irreversible": _IRREVERSIBLE}
    steps = set("".join(_LETTERS.values()))
    found = {kind: _share(walks, lambda walk: walk.kinds, set(of_kind), steps) for kind, of_kind in wanted.items()}
    return {kind: share for kind, share in found.items() if share and (share.value or kind != "done")}


def fault_counts(walks: Iterable[Walk]) -> dict[str, dict[str, int]]:
    """Number of faulty steps by kind and cause; empty where nothing was stated."""
    counts: Counter[tuple[str, str]] = Counter()
    stated = False
    for walk in walks:
        if walk.causes is None:
            continue
        stated = True
        faulty = (letter for letter in walk.kinds if letter in FAULTY)
        counts.update(zip(faulty, walk.causes, strict=True))
    if not stated:
        return {}
    return {
        kind: {cause: sum(counts[letter, of_cause] for letter in _LETTERS[kind]) for of_cause, cause in CAUSES.items()}
        for kind in _FAULTS
    }


def cause_shares(walks: Sequence[Walk]) -> dict[str, Estimate]:
    """Causes as shares of all faulty steps; empty where in some task there is none, or nothing was stated."""
    stated = [walk for walk in walks if walk.causes is not None]
    if {walk.task for walk in stated} != {walk.task for walk in walks}:
        return {}
    found = {
        cause: _share(stated, lambda walk: walk.causes or "", {letter}, set(CAUSES)) for letter, cause in CAUSES.items()
    }
    return {cause: share for cause, share in found.items() if share}


def curve(walks: Iterable[Walk]) -> tuple[TurnShares, ...]:
    """What happened in each turn of the episodes that had not ended before, their tasks put together."""
    by_turn: list[dict[tuple[str, int, str], Counter[str]]] = []
    for walk in walks:
        for number, turn in enumerate(walk.kinds.split(" ") if walk.kinds else ()):
            if number == len(by_turn):
                by_turn.append({})
            by_turn[number].setdefault((walk.task, walk.level, walk.episode), Counter()).update(turn)
    wanted = {**_LETTERS, UNREADABLE: UNREAD}
    there = {letter for episodes in by_turn for letters in episodes.values() for letter in letters}
    kinds = {kind: letters for kind, letters in wanted.items() if there & set(letters)}
    return tuple(_turn(number, episodes, kinds) for number, episodes in enumerate(by_turn, 1))


def _turn(number: int, episodes: Mapping[tuple[str, int, str], Counter[str]], kinds: Mapping[str, str]) -> TurnShares:
    strata: dict[tuple[str, int], list[Counter[str]]] = {}
    for (task, level, _), letters in episodes.items():
        strata.setdefault((task, level), []).append(letters)
    ordered = [strata[place] for place in sorted(strata)]
    shares = {kind: f1([[_counts(of, set(wanted)) for of in ordered]], "recall") for kind, wanted in kinds.items()}
    return TurnShares(number, len(episodes), shares)


def _share(walks: Iterable[Walk], text: Callable[[Walk], str], wanted: set[str], of: set[str]) -> Estimate | None:
    """Letters as a share of others, macro-averaged over tasks; None where in some task there are none of these."""
    places: dict[str, dict[int, dict[str, Counter[str]]]] = {}
    for walk in walks:
        episodes = places.setdefault(walk.task, {}).setdefault(walk.level, {})
        letters = episodes.setdefault(walk.episode, Counter())
        letters.update(letter for letter in text(walk) if letter in of)
    groups = [
        [_counts(levels[level].values(), wanted) for level in sorted(levels)] for _, levels in sorted(places.items())
    ]
    if not groups or not all(any(level.any() for level in levels) for levels in groups):
        return None
    return f1(groups, "recall")


def _counts(episodes: Iterable[Counter[str]], wanted: set[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(episodes, 3): how many letters are wanted, 0, and how many are not: a share is the recall of such facts."""
    rows = [(sum(letters[letter] for letter in wanted), 0, letters.total()) for letters in episodes]
    return np.array([(count, zero, total - count) for count, zero, total in rows], float)
