"""The table of samples, one row a sample: what every analysis starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mgsd_bench.analysis.attribution import diagnose_sample
from mgsd_bench.analysis.columns import Column
from mgsd_bench.analysis.loop_columns import LOOP, LoopValues
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.runs.sample import Sample
from mgsd_envs.looks import look_of_id

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mgsd_envs import Episode


COLUMNS: dict[str, Column] = {
    "run": Column("category", "", "folder of the run"),
    "model": Column("category", "", "name of the model, without the folders above it"),
    "suite": Column("category", "", "name of the suite"),
    "look": Column("category", "", "look of the pictures"),
    "task": Column("category", "", "name of the task"),
    "level": Column("int64", "cells a side", "size of the grid"),
    "episode": Column("category", "", "id of the episode"),
    "condition": Column("category", "", "how the episode was put to the model"),
    "repeat": Column("int64", "", "number of the try, from 0"),
    "outcome": Column(
        "category",
        "",
        "solved, wrong, illegal, no_answer, truncated or error; acting step by step also fatal, stuck or out_of_steps",
    ),
    "solved": Column("bool", "", "whether the outcome is solved"),
    "optimal": Column("bool", "", "solved with as few actions as possible"),
    "form": Column(
        "category", "", "how the answer was said: asked, as the prompt asks, loose, or none, not to be read"
    ),
    "solved_asked": Column("bool", "", "solved by an answer in the form that was asked for"),
    "plan": Column("str", "", "the plan as letters or words, missing where there is none"),
    "steps": Column("int64", "actions", "legal actions carried out"),
    "illegal": Column("category", "", "the rule that an illegal plan broke, missing where none was broken"),
    "dead_end": Column(
        "Int64", "actions", "number, from 1, of the action that put success out of reach; missing where none did"
    ),
    "shortest": Column("int64", "actions", "length of the shortest plan"),
    "straight": Column("bool", "", "whether the plan that sees no obstacle solves the episode"),
    "detour": Column("bool", "", "whether obstacles make the shortest plan longer"),
    "finish_reason": Column("category", "", "stop, length or error"),
    "prompt_tokens": Column("Int64", "tokens", "length of the prompt, if known"),
    "completion_tokens": Column("Int64", "tokens", "length of the answer, if known"),
    "seconds": Column("float64", "seconds", "time that the answer took, if known"),
    "error": Column("str", "", "why there is no answer, missing where there is one", figures=False),
    "prompt_digest": Column("str", "", "SHA-256 of the prompt's text and picture", digest=True),
}
"""The columns of every table of samples, in their order."""

DIAGNOSTICS: dict[str, Column] = {
    "state_tp": Column("Int64", "facts", "facts stated and true; missing where no state was asked for"),
    "state_fp": Column("Int64", "facts", "facts stated but false"),
    "state_fn": Column("Int64", "facts", "facts true but not stated"),
    "state_precision": Column("float64", "share", "of the stated facts that are true; missing where none is stated"),
    "state_recall": Column("float64", "share", "of the true facts that are stated"),
    "state_f1": Column("float64", "share", "harmonic mean of the two, 2 tp / (2 tp + fp + fn)"),
    "state_exact": Column("boolean", "", "whether just the true facts are stated"),
    "attribution": Column("category", "", "what an answer from the picture failed at; missing under other conditions"),
    "misread_tp": Column("Int64", "facts", "as state_tp without the size, under the condition visual"),
    "misread_fp": Column("Int64", "facts", "as state_fp without the size"),
    "misread_fn": Column("Int64", "facts", "as state_fn without the size"),
    "misplanned": Column("boolean", "", "whether the plan fails in the stated world; missing where it has no way"),
    "if_planned_well": Column("float64", "chance", "that it were solved if planned well in the stated world"),
}
"""What comes of comparing an answer with its episode; these columns need the episodes of the run."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where samples come from: what all rows of a table have in common.

    Attributes:
        run: folder of the run.
        model: name of the model.
        suite: name of the suite.
        look: look of the pictures; of an episode that is asked in several, the theme of the first.
        view: how much of the board is shown to one who acts step by step.
    """

    run: str = ""
    model: str = ""
    suite: str = ""
    look: str = "classic"
    view: str = "full"


def sample_frame(
    samples: Iterable[Sample],
    episodes: Mapping[str, Episode] | None = None,
    origin: Origin = Origin(),
    *,
    brief: bool = False,
) -> pd.DataFrame:
    """The table of samples that come one after another; see :class:`SampleTable`."""
    table = SampleTable(episodes, origin, brief=brief)
    for sample in samples:
        table.append(sample)
    return table.frame()


class SampleTable:
    """The table of samples while they are gathered; none of them is kept.

    Args:
        episodes: the episodes by id; with them the table has the columns of :data:`DIAGNOSTICS` too.
        origin: where they come from.
        brief: in as little memory as figures need: without errors' texts, with an empty text for every plan, and with
            64 bits of each prompt's digest, a number.
    """

    def __init__(
        self,
        episodes: Mapping[str, Episode] | None = None,
        origin: Origin = Origin(),
        *,
        brief: bool = False,
    ) -> None:
        readers: dict[str, Callable[[Sample], Any]] = {
            "run": lambda sample: origin.run,
            "model": lambda sample: origin.model,
            "suite": lambda sample: origin.suite,
            "look": lambda sample: look_of_id(sample.episode, origin.look),
            **_READERS,
            **(_BRIEF_READERS if brief else {}),
        }
        self._episodes = episodes
        self._values = {
            name: column.values(brief=brief) for name, column in COLUMNS.items() if column.figures or not brief
        }
        self._appends = [(values.append, readers[name]) for name, values in self._values.items()]
        self._found = {name: column.values() for name, column in DIAGNOSTICS.items()} if episodes is not None else {}
        self._loops = LoopValues(origin.view)

    def append(self, sample: Sample) -> None:
        """Add a sample."""
        for append, read in self._appends:
            append(read(sample))
        self._loops.append(sample)
        if self._episodes is not None:
            found = diagnose_sample(self._episodes[sample.episode], sample)
            for name, values in self._found.items():
                values.append(getattr(found, name))

    def frame(self) -> pd.DataFrame:
        """The table, sorted by condition, episode and repeat; of each question the last sample counts.

        Where a sample is of an episode that was acted in step by step it has the columns of
        :data:`mgsd_bench.analysis.loop_columns.LOOP` too.
        """
        (whole,) = self.blocks(None)
        return whole

    def blocks(self, rows: int | None) -> Iterator[pd.DataFrame]:
        """The table of :meth:`frame` in blocks of so many rows, the last of which may have fewer; all at once if None.

        Columns have the same types in all of them, and the same categories. There is one block in any case.
        """
        import pandas as pd

        order = self._order()
        every = {**self._values, **self._found, **self._loops.columns()}
        size = rows or max(1, len(order))
        for start in range(0, max(1, len(order)), size):
            part = order[start : start + size]
            yield pd.DataFrame({name: values.series(part) for name, values in every.items()}, copy=False)

    def _order(self) -> NDArray[np.int64]:
        """The places of the samples that count, in the table's order."""
        condition, episode, repeat = (self._values[name].ranks() for name in ("condition", "episode", "repeat"))
        order: NDArray[np.int64] = np.lexsort(
            (repeat, episode, condition)
        )  # stable: of equal ones the last stays the last
        if not len(order):
            return order
        last = np.zeros(len(order), bool)
        for ranks in (condition, episode, repeat):
            sorted_ranks = ranks[order]
            last[:-1] |= sorted_ranks[1:] != sorted_ranks[:-1]
        last[-1] = True
        counting: NDArray[np.int64] = order[last]
        return counting


_READERS: dict[str, Callable[[Sample], Any]] = {
    "task": lambda sample: sample.task,
    "level": lambda sample: sample.level,
    "episode": lambda sample: sample.episode,
    "condition": lambda sample: sample.condition,
    "repeat": lambda sample: sample.repeat,
    "outcome": lambda sample: sample.outcome,
    "solved": lambda sample: sample.outcome == "solved",
    "optimal": lambda sample: sample.optimal,
    "form": lambda sample: sample.form,
    "solved_asked": lambda sample: sample.outcome == "solved" and sample.form == "asked",
    "plan": lambda sample: None if sample.plan is None else write_plan(tuple(sample.plan)),
    "steps": lambda sample: sample.steps,
    "illegal": lambda sample: sample.illegal,
    "dead_end": lambda sample: sample.dead_end,
    "shortest": lambda sample: sample.shortest,
    "straight": lambda sample: sample.straight,
    "detour": lambda sample: sample.detour,
    "finish_reason": lambda sample: sample.finish_reason,
    "prompt_tokens": lambda sample: sample.prompt_tokens,
    "completion_tokens": lambda sample: sample.completion_tokens,
    "seconds": lambda sample: sample.seconds,
    "error": lambda sample: sample.error,
    "prompt_digest": lambda sample: sample.prompt_digest,
}


_BRIEF_READERS: dict[str, Callable[[Sample], Any]] = {"plan": lambda sample: None if sample.plan is None else ""}


def concatenate(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Several tables of samples as one, in their order; texts stay categories, and what one lacks is missing there."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    parts = list(frames)
    if len(parts) == 1:
        return parts[0]
    joined = {}
    for name in dict.fromkeys(name for part in parts for name in part.columns):
        columns = [part[name] if name in part else _missing((LOOP | DIAGNOSTICS)[name], len(part)) for part in parts]
        categorical = isinstance(columns[0].dtype, pd.CategoricalDtype)
        joined[name] = (
            pd.Series(union_categoricals(columns, sort_categories=True, ignore_order=True))
            if categorical
            else pd.concat(columns, ignore_index=True)
        )
    return pd.DataFrame(joined)


def _missing(column: Column, rows: int) -> pd.Series[Any]:
    """A column of which nothing is known."""
    values = column.values()
    for _ in range(rows):
        values.append(None)
    return values.series(np.arange(rows))
