"""Made-up answers and facts, by task and level, for the tests of statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

LEVELS = (6, 4, 2)  # of the three tasks, as in mgsd-v1
Z = 1.959963984540054


def of_shape(draw: Callable[[], Any], levels: Sequence[int] = LEVELS) -> list[list[Any]]:
    """What ``draw`` gives for each level of tasks with so many levels."""
    return [[draw() for _ in range(count)] for count in levels]


shares = st.sampled_from([0.0, 0.25, 0.5, 1.0])
groups_of_shares = st.lists(st.lists(st.lists(shares, min_size=1, max_size=8), min_size=1, max_size=3), min_size=1)
counts = st.tuples(*[st.integers(0, 5)] * 3)
groups_of_counts = st.lists(st.lists(st.lists(counts, min_size=1, max_size=6), min_size=1, max_size=3), min_size=1)
measures = st.sampled_from(["f1", "precision", "recall", "exact"])
