"""What the YAML files of this folder name: which rows are asked about, what is sent of them, what an answer is worth.

The rows are those of ``mgsd-bench generate FOLDER --format parquet``; the environment variable ``MGSD_PARQUET`` names
the folder, ``mgsd-parquet`` by default. An answer is worth what it is worth to ``mgsd-bench eval``, but for one that
was cut off: lmms-eval does not say so, and it is read as a whole one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mgsd_bench.analysis.attribution import diagnose_sample
from mgsd_bench.analysis.groups import group_column
from mgsd_bench.backends import Response
from mgsd_bench.prompts import Condition
from mgsd_bench.runs.conversation import Question, score_response
from mgsd_bench.runs.scoring import SCORER_VERSION, Outcome
from mgsd_envs import episode_from_json

Row = Mapping[str, Any]
VERSION = SCORER_VERSION


def __getattr__(name: str) -> Any:
    """``DATA_FILES``, which are looked for only when lmms-eval loads a task.

    Raises:
        SystemExit: there are none; lmms-eval shows the line and ends.
    """
    if name != "DATA_FILES":
        raise AttributeError(name)
    folder = _folder()
    if not any(folder.glob(_FILES)):
        raise SystemExit(f"{folder}: no {_FILES}; make it by {_MADE} visual, or set MGSD_PARQUET to another folder")
    return {"test": str(folder / _FILES)}


_FILES = "*/test-*.parquet"
_MADE = "mgsd-bench generate FOLDER --format parquet --condition"


def _folder() -> Path:
    return Path(os.environ.get("MGSD_PARQUET", "mgsd-parquet"))


def _asked(condition: Condition, rows: Any) -> Any:
    """The rows of one condition of a ``datasets.Dataset``."""
    found = rows.filter(lambda given: given == condition, input_columns=["condition"])
    if not len(found):
        raise SystemExit(f"{_folder()}: no rows of {condition}; make a folder that has some by {_MADE} {condition}")
    return found


visual, symbolic, perceive, direct = (
    partial(_asked, condition) for condition in ("visual", "symbolic", "perceive", "direct")
)


def doc_to_visual(row: Row) -> list[Any]:
    """The picture, for models of lmms-eval that take pictures and text apart."""
    return [] if row["image"] is None else [row["image"].convert("RGB")]


def doc_to_text(row: Row) -> str:
    """The text of the question."""
    return str(row["prompt"])


def doc_to_messages(row: Row) -> list[dict[str, Any]]:
    """The question as it is put by ``mgsd-bench eval``: one turn, the text first and the picture behind it."""
    pictures = [{"type": "image", "url": picture} for picture in doc_to_visual(row)]
    return [{"role": "user", "content": [{"type": "text", "text": doc_to_text(row)}, *pictures]}]


def doc_to_target(row: Row) -> str:
    """A shortest plan or, where none is asked for, the state."""
    return str(row["text"]) if row["condition"] == "perceive" else ",".join(row["plan"])


def process_results(row: Row, results: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What an answer is worth, metric by metric: each with the row of the table of samples that it is averaged from."""
    episode, condition = episode_from_json(json.loads(row["episode"])), row["condition"]
    sample = score_response(Question(episode, condition, 0), "", Response("", results[0], "stop"))
    found = diagnose_sample(episode, sample)
    about = {"episode": episode.id, "task": episode.task, "level": episode.level, "outcome": sample.outcome}
    scored = {
        "solved": {"score": float(sample.outcome == Outcome.SOLVED), **about, "attribution": found.attribution},
        "optimal": {"score": float(sample.optimal), **about},
    }
    if found.state_f1 is None:
        return scored
    counts = {"state_tp": found.state_tp, "state_fp": found.state_fp, "state_fn": found.state_fn}
    return {**scored, "state_f1": {"score": found.state_f1, **about, **counts}}


def macro(rows: Sequence[Row]) -> float:
    """The mean of the tasks, each the mean of its levels, as in ``metrics.json``."""
    return group_column(pd.DataFrame(rows), "score").estimate().value


def macro_state_f1(rows: Sequence[Row]) -> float:
    """State F1 over the facts of all answers of a level, averaged likewise, as in ``diagnosis.json``."""
    return group_column(pd.DataFrame(rows), "state", "f1").estimate().value
