"""Reading a run folder: its record, its episodes and, line by line, its samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from mgsd_bench.answers.reader import Form
from mgsd_bench.config.fields import MOST_REPEATS
from mgsd_bench.digests import KeySet
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.contradiction import contradiction
from mgsd_bench.runs.lines import seal_of, whole_lines
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome, outcomes_of
from mgsd_bench.runs.shards import shard_of
from mgsd_bench.suites.suite_folder import read_episodes
from mgsd_envs import Episode
from mgsd_envs.files import read_bytes

FORMAT = 1
RECORD = "run.json"
SAMPLES = "samples.jsonl"
METRICS = "metrics.json"
FINISHED = ("complete", "errors")
"""Status of a run in which every question was asked."""

_OUTCOMES: dict[str, frozenset[str]] = {
    condition: frozenset(map(str, outcomes_of(condition))) for condition in CONDITIONS
}
_FORMS = frozenset(get_args(Form))


def read_record(folder: Path) -> dict[str, Any]:
    """What ``run.json`` holds.

    Raises:
        UserError: there is no run, or its record is damaged or of another version.
    """
    path = folder / RECORD
    try:
        if not path.exists():
            raise UserError(f"{folder}: no run here (no {RECORD})")
        record = json.loads(read_bytes(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); move the folder away and start the run anew") from error
    match record:
        case {
            "format": 1,
            "status": str(),
            "identity": {"suite": str(), "model": str(), "digest": str(), "episodes_digest": str()} as identity,
            "sessions": [*sessions],
        } if all(map(_is_session, sessions)) and _is_identity(identity := {**_UNSAID, **identity}):
            return {**record, "identity": identity}
    raise UserError(f"{path} was not written by this version of mgsd-bench; name another folder")


_UNSAID = {"conditions": [], "repeats": 1, "scorer": 1}
"""What holds of a run whose record does not say it: the scorer was at version 1 until runs began to record it."""


def _is_identity(identity: dict[str, Any]) -> bool:
    match identity:
        case {"conditions": [*conditions], "repeats": int(repeats), "scorer": int()}:
            asked = all(isinstance(condition, str) for condition in conditions) and 0 < repeats <= MOST_REPEATS
            return (
                asked
                and _is_part(identity)
                and (("loop" not in identity and CLOSED_LOOP.isdisjoint(conditions)) or _is_loop(identity))
            )
    return False


def _is_part(identity: dict[str, Any]) -> bool:
    try:
        shard_of(identity)
    except ValueError:
        return False
    return True


def _is_loop(identity: dict[str, Any]) -> bool:
    try:
        LoopSettings.from_json(identity.get("loop") or {})
    except ValueError:
        return False
    return True


def _is_session(session: Any) -> bool:
    return isinstance(session, dict) and all(isinstance(session.get(key, {}), dict) for key in ("backend", "versions"))


def read_samples(folder: Path, *, texts: bool = True) -> Iterator[Sample]:
    """The samples in the order of their lines, read as they are asked for; a half-written last line is left out.

    A question whose request failed may have been asked again: of its samples the last one counts.
    A line is what was once written: its checksum says so, or, of release 0.1, which wrote none, its text does.

    Args:
        folder: the run folder.
        texts: keep the answers' raw texts; without them a million samples need little memory.

    Raises:
        UserError: the file cannot be read, or a line is no sample, was changed, or answers a question once more.
    """
    return (sample for _, sample in placed_samples(folder, texts=texts))


def placed_samples(folder: Path, *, texts: bool = True) -> Iterator[tuple[int, Sample]]:
    """The samples as of :func:`read_samples`, each with the byte where its line begins."""
    path = folder / SAMPLES
    episodes: Mapping[str, Episode] = {}
    answered, end = KeySet(), 0
    for number, line in whole_lines(path):
        end += len(line)
        try:
            sealed = seal_of(line)
            sample = read_sample(line, sealed, text=texts or sealed is None)
            if sealed is None:
                episodes = episodes or read_episodes(folder)
                if fault := contradiction(sample, episodes.get(sample.episode)):
                    raise ValueError(fault)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _damaged(path, number, f"not a sample ({type(error).__name__}: {error})") from error
        if sample.key in answered:
            raise _damaged(path, number, f"a second answer to {sample.key}")
        if sample.outcome != Outcome.ERROR:
            answered.add(sample.key)
        yield end - len(line), sample if texts or sealed else replace(sample, text="")


def read_sample(line: bytes, sealed: bool | None, *, text: bool = True) -> Sample:
    """The sample in one line.

    Args:
        line: the line.
        sealed: whether its checksum fits; None if it has none.
        text: keep the answer's raw text.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: it is none, or it was changed.
    """
    if sealed is False:
        raise ValueError("its checksum does not fit: the line was changed")
    row = json.loads(line)
    if sealed is None and "crc" in row:
        raise ValueError("its checksum is not where it was written: the line was changed")
    if not text and type(row["text"]) is str:
        row["text"] = ""
    sample = Sample.from_row(row)
    outcomes = _OUTCOMES.get(sample.condition, frozenset())
    for found, known in ((sample.condition, CONDITIONS), (sample.outcome, outcomes), (sample.form, _FORMS)):
        if found not in known:
            raise ValueError(f"no outcome, condition or form: {found[:40]!r}")
    if (sample.loop is None) == (sample.condition in CLOSED_LOOP):
        raise ValueError(f"loop is {'missing' if sample.loop is None else 'there'} under {sample.condition}")
    return sample


def _damaged(path: Path, number: int, what: str) -> UserError:
    return UserError(
        f"{path}:{number}: {what}; delete this line and run the command again, its episode is then asked again"
    )
