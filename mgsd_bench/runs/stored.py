"""Reading a run folder: its record, its episodes and, line by line, its samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_envs import Episode, episode_from_json
from mgsd_envs.files import open_regular, read_bytes, read_text

FORMAT = 1
RECORD = "run.json"
EPISODES = "episodes.jsonl"
SAMPLES = "samples.jsonl"
FINISHED = ("complete", "errors")
"""Status of a run in which every question was asked."""

_OUTCOMES = frozenset(outcome.value for outcome in Outcome)


def read_record(folder: Path) -> dict[str, Any]:
    """What ``run.json`` holds.

    Raises:
        UserError: there is no run, or its record is damaged or of another version.
    """
    path = folder / RECORD
    if not path.exists():
        raise UserError(f"{folder}: no run here (no {RECORD})")
    try:
        record = json.loads(read_bytes(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); move the folder away and start the run anew") from error
    match record:
        case {
            "format": 1,
            "status": str(),
            "identity": {"suite": str(), "model": str(), "digest": str(), "episodes_digest": str()},
            "sessions": [*sessions],
        } if all(map(_is_session, sessions)):
            # the scorer was at version 1 until runs began to record it
            return {**record, "identity": {**record["identity"], "scorer": record["identity"].get("scorer", 1)}}
    raise UserError(f"{path} was not written by this version of mgsd-bench; name another folder")


def _is_session(session: Any) -> bool:
    return isinstance(session, dict) and all(isinstance(session.get(key, {}), dict) for key in ("backend", "versions"))


def read_samples(folder: Path, *, texts: bool = True) -> Iterator[Sample]:
    """The samples in the order of their lines, read as they are asked for; a half-written last line is left out.

    A question that was asked again has several samples, of which the last one counts.

    Args:
        folder: the run folder.
        texts: keep the answers' raw texts; without them a million samples need little memory.

    Raises:
        UserError: the file cannot be read, or a line is no sample.
    """
    try:
        with open_regular(folder / SAMPLES) as stream:
            yield from parse_samples(stream, folder / SAMPLES, texts=texts)
    except OSError as error:
        raise UserError(f"{folder / SAMPLES}: cannot be read ({error.strerror or error})") from error


def parse_samples(stream: BinaryIO, path: Path, *, texts: bool = True) -> Iterator[Sample]:
    """The samples in the lines of an open file; see :func:`read_samples`."""
    for number, line in enumerate(stream, 1):
        if not line.endswith(b"\n"):
            return
        try:
            row = json.loads(line)
            if not texts:
                row["text"] = ""
            sample = Sample.from_row(row)
            if sample.outcome not in _OUTCOMES or sample.condition not in CONDITIONS:
                raise ValueError(f"no such outcome or condition: {sample.outcome}, {sample.condition}")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}:{number}: not a sample ({type(error).__name__}: {error}); delete this line and run the "
                "command again, its episode is then asked again"
            ) from error
        yield sample


def read_episodes(folder: Path) -> dict[str, Episode]:
    """The run's episodes by id, in their order.

    Raises:
        UserError: they are missing or damaged.
    """
    path = folder / EPISODES
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    episodes = {}
    for number, line in enumerate(lines, 1):
        try:
            episode = episode_from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}:{number}: not an episode of an installed task ({error})") from error
        episodes[episode.id] = episode
    return episodes
