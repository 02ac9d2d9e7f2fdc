"""The table of samples, one row a sample: what every analysis starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mgsd_bench.analysis.attribution import SampleDiagnosis, diagnose_sample
from mgsd_bench.analysis.loop_columns import LOOP, Column, LoopValues
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.runs.sample import Sample
from mgsd_envs.looks import look_of_id

if TYPE_CHECKING:
    import pandas as pd

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
    "error": Column("str", "", "why there is no answer, missing where there is one"),
    "prompt_digest": Column("str", "", "SHA-256 of the prompt's text and picture"),
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


def sample_frame(
    samples: Iterable[Sample],
    episodes: Mapping[str, Episode] | None = None,
    *,
    run: str = "",
    model: str = "",
    suite: str = "",
    look: str = "classic",
    view: str = "full",
) -> pd.DataFrame:
    """The table of samples, sorted by condition, episode and repeat; of each question the last sample counts.

    Args:
        samples: read once, one after another, and not kept.
        episodes: the episodes by id; with them the table has the columns of :data:`DIAGNOSTICS` too.
        run: folder of the run.
        model: name of the model.
        suite: name of the suite.
        look: look of the pictures; of an episode that is asked in several, the theme of the first.
        view: how much of the board is shown to one who acts step by step.

    Returns:
        The table. Where a sample is of an episode that was acted in step by step it has the columns of
        :data:`mgsd_bench.analysis.loop_columns.LOOP` too.
    """
    import pandas as pd

    constant = {"run": run, "model": model, "suite": suite}
    wanted = {name: read for name, read in _READERS.items() if name not in constant}
    values: dict[str, list[Any]] = {name: [] for name in wanted}
    found: list[SampleDiagnosis] = []
    texts: dict[str, str] = {}
    loops = LoopValues()
    appends = [(values[name].append, read) for name, read in wanted.items()]
    for sample in samples:
        for append, read in appends:
            value = read(sample)
            # a million samples share a few thousand texts; keeping one of each is most of the memory
            append(texts.setdefault(value, value) if type(value) is str else value)
        loops.append(sample)
        if episodes is not None:
            found.append(diagnose_sample(episodes[sample.episode], sample))
    columns: dict[str, pd.Series[Any]] = {}
    rows = len(values["level"])
    for name, column in COLUMNS.items():
        if name in constant:
            columns[name] = _column([constant[name]] * rows, column)
        elif name == "look":
            ids = values.pop(name)
            looks = {episode: look_of_id(episode, look) for episode in set(ids)}
            columns[name] = _column([looks[episode] for episode in ids], column)
        else:
            columns[name] = _column(values.pop(name), column)
    if episodes is not None:
        for name, column in DIAGNOSTICS.items():
            columns[name] = _column([getattr(one, name) for one in found], column)
    for name, found_values in loops.columns(view).items():
        columns[name] = _column(found_values, LOOP[name])
    frame = pd.DataFrame(columns)
    key = ["condition", "episode", "repeat"]
    frame = frame.drop_duplicates(key, keep="last")
    return frame.sort_values(key, kind="stable", ignore_index=True)


def _column(values: list[Any], column: Column) -> pd.Series[Any]:
    """Values in the column's type; categories are texts, in order, also where there is none."""
    import pandas as pd

    if column.dtype != "category":
        return pd.Series(values, dtype=column.dtype)
    texts = sorted({value for value in values if value is not None})
    return pd.Series(pd.Categorical(values, categories=pd.Index(texts, dtype="str")))


_READERS: dict[str, Callable[[Sample], Any]] = {
    "look": lambda sample: sample.episode,
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


def concatenate(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Several tables of samples as one, in their order; texts stay categories, and what one lacks is missing there."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    parts = list(frames)
    if len(parts) == 1:
        return parts[0]
    joined = {}
    for name in dict.fromkeys(name for part in parts for name in part.columns):
        columns = [
            part[name] if name in part else _column([None] * len(part), (LOOP | DIAGNOSTICS)[name]) for part in parts
        ]
        categorical = isinstance(columns[0].dtype, pd.CategoricalDtype)
        joined[name] = (
            pd.Series(union_categoricals(columns, sort_categories=True, ignore_order=True))
            if categorical
            else pd.concat(columns, ignore_index=True)
        )
    return pd.DataFrame(joined)
