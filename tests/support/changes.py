"""Made-up changes between two runs, one value an episode."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mgsd_bench.statistics.paired import Change


def counts(losses: int, gains: int, n: int) -> Change:
    values = np.concatenate([np.full(losses, -1.0), np.full(gains, 1.0), np.zeros(n - losses - gains)])
    return Change(values, np.full(n, 1 / n))


def macro_change(tasks: list[list[int]]) -> Change:
    weights = np.concatenate([np.full(len(task), 1 / len(task) / len(tasks)) for task in tasks])
    return Change(np.concatenate([np.asarray(task, float) for task in tasks]), weights)


episodes_of_a_task = st.lists(st.sampled_from([-1, 0, 0, 0, 1]), min_size=20, max_size=120)
changes = st.lists(episodes_of_a_task, min_size=1, max_size=3)
