"""Drawing states: from the generator alone, of the right level and length, solvable; and listing them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mgsd_envs.testing.contract import Check

_MOST_DRAWS = 1000
_MOST_LISTED = 5000
_DRAWS_A_BAND = 40


def check_no_other_levels(check: Check) -> None:
    """Levels below and above the task's are refused."""
    task = check.task
    for level in (task.min_level - 1, task.max_level + 1):
        with check.refused(f"sample takes level {level}, which is not from {task.min_level} to {task.max_level}"):
            task.sample(level, np.random.default_rng(check.seed))


def draw_states(check: Check, level: int, states: int) -> list[Any]:
    """Distinct states of a level, which can be hashed and are not solved yet."""
    with check.working(f"drawing states of level {level}"):
        first, again = (_drawn(check, level, states) for _ in range(2))
        check.that(first == again, f"sample({level}, rng) gives other states from an equal rng", first[0])
        for state in first:
            _check_state(check, level, state)
        return list(dict.fromkeys(first))


def check_lengths(check: Check, level: int, drawn: list[Any]) -> None:
    """Bands hold every length, draws of a length have it, and a listing holds what is drawn."""
    with check.working(f"drawing or listing states of level {level}"):
        _check_bands(check, level, drawn)
        _check_listing(check, level, drawn)


def _drawn(check: Check, level: int, states: int) -> list[Any]:
    rng = np.random.default_rng(check.seed)
    draws = (check.task.sample(level, rng) for _ in range(_MOST_DRAWS))
    found = list(islice((state for state in draws if state is not None), states))
    check.that(found, f"sample({level}, rng) gave no state in {_MOST_DRAWS:,} draws")
    return found


def _check_state(check: Check, level: int, state: Any) -> None:
    task = check.task
    with check.working(f"a state of level {level}", state):
        try:
            hash(state)
        except TypeError as error:
            raise check.error("a state cannot be hashed; make it a frozen dataclass of tuples", state) from error
        size = [fact for fact in task.facts(state) if fact[0] == "size"]
        check.that(size == [("size", level)], f"facts must tell {('size', level)} and no other size", state)
        check.that(task.level_of(state) == level, f"level_of says {task.level_of(state)} of a state of {level}", state)
        check.that(not task.solved(state, task.start(state)), "sample gives a state that is solved already", state)


def _check_bands(check: Check, level: int, drawn: list[Any]) -> None:
    task = check.task
    bands = task.bands(level)
    check.that(
        isinstance(bands, tuple) and len(bands) == 3 and all(isinstance(band, range) for band in bands),
        f"bands({level}) must be three ranges, not {bands!r:.100}",
    )
    lengths = [length for band in bands for length in band]
    check.that(lengths == sorted(set(lengths)), f"bands({level}): {bands} do not follow one another")
    for state in drawn:
        length = len(task.solve(state) or ())
        check.that(length in lengths, f"bands({level}): {bands} do not hold a shortest plan of {length}", state)
    rng = np.random.default_rng(check.seed)
    for band in filter(None, bands):
        for state in filter(None, (task.sample(level, rng, length=band) for _ in range(_DRAWS_A_BAND))):
            length = len(task.solve(state) or ())
            check.that(length in band, f"sample(length={band}) gives a shortest plan of {length}", state)


def _check_listing(check: Check, level: int, drawn: list[Any]) -> None:
    task = check.task
    listing = task.states(level)
    if listing is None:
        return
    listed = list(islice(listing, _MOST_LISTED))
    check.that(listed, f"states({level}) lists none; return None where there are too many")
    again = list(islice(task.states(level) or (), _MOST_LISTED))
    check.that(listed == again, f"states({level}) comes in another order each time")
    check.that(len({task.key(state) for state in listed}) == len(listed), f"states({level}): a state comes twice")
    if len(listed) < _MOST_LISTED:
        for state in drawn:
            check.that(state in listed, f"states({level}) leaves out a state that sample gives", state)
    for state in listed[:: max(1, len(listed) // 100)]:
        size = [fact for fact in task.facts(state) if fact[0] == "size"]
        check.that(size == [("size", level)], f"facts must tell {('size', level)} and no other size", state)
        check.that(task.level_of(state) == level, f"states({level}) lists a state of another level", state)
        check.that(task.solve(state), f"states({level}) lists a state that solve finds no plan for", state)
