"""All that a run asks, in its order; each question is made when it is its turn."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass

from mgsd_bench.backends import request_key
from mgsd_bench.prompts import CLOSED_LOOP, Condition
from mgsd_bench.runs.conversation import Question
from mgsd_bench.suites.looks import is_asked
from mgsd_bench.suites.packed import Packed


@dataclass(frozen=True, slots=True)
class Questions(Iterable[Question], Sized):
    """Every episode under every condition, as often as it is asked.

    Questions that share their instructions are neighbours, for the prefix cache. In the closed loop those with the
    longest plans come first, so that no long episode is left over at the end.

    Attributes:
        episodes: what is asked about.
        conditions: how they are put.
        repeats: how often each question is asked.
        as_listed: in the episodes' own order, in the closed loop too.
    """

    episodes: Packed
    conditions: Sequence[Condition]
    repeats: int
    as_listed: bool = False

    def __len__(self) -> int:
        return self.repeats * sum(1 for _ in self._asked())

    def __iter__(self) -> Iterator[Question]:
        return self.without(frozenset())

    def without(self, keys: Container[str]) -> Iterator[Question]:
        """The questions but for those with these keys, whose episodes are not looked at."""
        for place, condition in self._asked():
            for repeat in range(self.repeats):
                if request_key(self.episodes.ids[place], condition, repeat) not in keys:
                    yield Question(self.episodes[place], condition, repeat)

    def asked_keys(self) -> Iterator[str]:
        """The keys of all questions, none of which is made."""
        for place, condition in self._asked():
            for repeat in range(self.repeats):
                yield request_key(self.episodes.ids[place], condition, repeat)

    def _asked(self) -> Iterator[tuple[int, Condition]]:
        """The places of episodes, each with a condition under which it is asked."""
        for condition in self.conditions:
            places: Sequence[int] = range(len(self.episodes))
            if condition in CLOSED_LOOP and not self.as_listed:
                places = sorted(places, key=lambda place: -self.episodes.shortest[place])
            for place in places:
                if is_asked(self.episodes.ids[place], condition):
                    yield place, condition
