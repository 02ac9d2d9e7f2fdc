"""The words that everything else here is written in: cells, facts, plans and cursors."""

from __future__ import annotations

Cell = tuple[int, int]
"""A cell as (row, column), both 0-based, row 0 at the top."""

Fact = tuple[str | int, ...]
"""One atomic statement about a state, such as ``("hole", 1, 2)``."""

Plan = tuple[str, ...]
"""Action names in the order they are carried out."""

Cursor = tuple[int, ...]
"""What changes during a rollout: mostly (row, column) of whoever acts, and whatever else the task has to keep."""
