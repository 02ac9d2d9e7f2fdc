"""Pictures: every look at several sizes, and no two states alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mgsd_envs.rendering import MIN_CELL_PIXELS, Picture

if TYPE_CHECKING:
    from mgsd_envs.testing.contract import Check

_SIZES = (256, 111)
_USUAL = 256
_FALSE_FACTS = 20


def check_looks(check: Check, level: int, states: list[Any]) -> None:
    """Every look of a level at every size, and that the states drawn of the level look different."""
    task, smallest = check.task, MIN_CELL_PIXELS * level
    for theme in task.themes:
        with check.working(f"drawing level {level} in the look {theme}", states[0]):
            for size in {max(size, smallest) for size in (*_SIZES, smallest)}:
                picture = task.draw(states[0], theme, size)
                check.that(isinstance(picture, Picture), f"draw gives {type(picture).__name__}, no Picture", states[0])
                pixels = picture.rgb()
                check.that(
                    pixels.shape == (size, size, 3) and pixels.dtype == np.uint8,
                    f"draw(state, {theme!r}, {size}) is {pixels.dtype} {pixels.shape} instead of uint8 (size, size, 3)",
                    states[0],
                )
            with check.refused(f"draw(state, {theme!r}, {smallest - 1}) draws cells of less than 4 pixels"):
                task.draw(states[0], theme, smallest - 1)
            seen: dict[bytes, Any] = {}
            for state in states:
                other = seen.setdefault(_pixels(check, state, theme), state)
                check.that(other == state, f"two states look alike in {theme}: {task.key(other)} and this one", state)
    with check.refused("draw takes a look that themes does not have"):
        task.draw(states[0], "no such look")


def check_pictures(check: Check, state: Any, level: int) -> None:
    """A state's tiles make its picture, and another fact makes another picture."""
    task = check.task
    with check.working("tile_ids, atlas or draw", state):
        ids = task.tile_ids(state)
        check.that(
            len(ids) == level and all(len(row) == level and all(type(one) is int for one in row) for row in ids),
            f"tile_ids must give {level} rows of {level} whole numbers",
            state,
        )
        for theme in task.themes:
            size = max(_USUAL, MIN_CELL_PIXELS * level)
            composed = task.atlas(theme, level, size).compose(ids).rgb().tobytes()
            check.that(composed == _pixels(check, state, theme), f"draw and the tiles differ in {theme}", state)
            check.that(composed == _pixels(check, state, theme), f"draw in {theme} differs the second time", state)
        usual = task.draw(state).rgb() if level * MIN_CELL_PIXELS <= _USUAL else None
        check.that(
            usual is None or usual.tobytes() == _pixels(check, state, task.themes[0]),
            "draw(state) is not the first theme at 256 pixels",
            state,
        )
        for other in _other_states(check, state):
            for theme in task.themes:
                check.that(
                    _pixels(check, other, theme) != _pixels(check, state, theme),
                    f"the pictures of {task.key(other)} and of this state are the same in {theme}",
                    state,
                )


def _pixels(check: Check, state: Any, theme: str) -> bytes:
    size = max(_USUAL, MIN_CELL_PIXELS * check.task.level_of(state))
    return check.task.draw(state, theme, size).rgb().tobytes()


def _other_states(check: Check, state: Any) -> list[Any]:
    """States that an episode could start from and that differ from this one in one fact, or in a pair of them."""
    task, facts = check.task, check.task.facts(state)
    rng = check.random("other", task.key(state))
    found = []
    for fact in rng.sample(sorted(facts, key=str), min(len(facts), _FALSE_FACTS)):
        false = None if fact[0] == "size" else task.false_fact(state, fact, rng)
        changed = facts - {fact} | ({false} if false is not None else set())
        try:
            other = task.from_json(task.to_json(task.from_facts(changed)))
        except ValueError:
            continue
        if task.facts(other) != facts:
            found.append(other)
    return found
