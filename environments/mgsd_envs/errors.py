"""What can be wrong with a task or a state of it."""

from __future__ import annotations


class TaskError(ValueError):
    """An installed task cannot be used; the message is one line that names it, its package and what is wrong."""


class SearchError(ValueError):
    """A state is too large to be searched."""
