"""Whether a run holds what it says: every answer scored again, every figure counted again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.summary import summarise
from mgsd_bench.backends import request_key
from mgsd_bench.digests import short_digest
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.rescore import Transcripts, score_again
from mgsd_bench.runs.contradiction import contradiction
from mgsd_bench.runs.lines import seal_of
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import SCORER_VERSION, Outcome
from mgsd_bench.runs.stored import FINISHED, METRICS, SAMPLES, read_record, read_sample, read_samples
from mgsd_bench.suites.looks import is_asked
from mgsd_bench.suites.suite import digest
from mgsd_bench.suites.suite_folder import EPISODES, read_episodes
from mgsd_envs import Episode
from mgsd_envs.files import open_regular, read_bytes, read_lines

BLOCK = 10_000
"""Lines that one process checks at a time by default; a run of no more is checked in this process."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked of a run, and what of it does not hold.

    Attributes:
        samples: lines of ``samples.jsonl``.
        sealed: those with a checksum, which release 0.1 did not write.
        faults: what does not hold, a line each.
    """

    samples: int
    sealed: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """What a block of lines came to: faults, and of what can be read the question and whether its request failed."""

    lines: int
    sealed: int
    faults: list[str]
    answers: list[tuple[str, str, int, bool]]


def verify(folder: Path, block: int = BLOCK) -> Verification:
    """Check a run folder: checksums, questions, scores, episodes and figures.

    Answers are read and simulated again; of a run of another scorer only what holds under every version is compared.

    Args:
        folder: the run folder; it is only read.
        block: lines that one process checks at a time.

    Raises:
        UserError: there is no run, or its files cannot be read at all.
    """
    record = read_record(folder)
    episodes, faults = read_episodes(folder), []
    if digest(episodes.values()) != record["identity"]["episodes_digest"]:
        faults.append(f"{EPISODES}: not the episodes of run.json")
    questions = _Questions(record, episodes)
    lines = sealed = 0
    for found in _checked(folder, record["identity"], block, episodes):
        lines, sealed = lines + found.lines, sealed + found.sealed
        faults += found.faults
        questions.add(found.answers)
    faults += questions.faults()
    if not faults:
        faults += _figures(folder)
    return Verification(lines, sealed, tuple(faults))


@dataclass(frozen=True, slots=True)
class _Part:
    """A block of lines: where it begins, by line and by byte, and the most lines that it has."""

    folder: Path
    identity: Mapping[str, Any]
    number: int
    byte: int
    size: int


def _checked(folder: Path, identity: Mapping[str, Any], size: int, episodes: Mapping[str, Episode]) -> Iterator[_Block]:
    parts = [_Part(folder, identity, number, byte, size) for number, byte in _starts(folder / SAMPLES, size)]
    if len(parts) == 1:
        yield _check(parts[0], episodes)
        return
    workers = min(len(parts), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, get_context("spawn"), _read_known, (folder,)) as pool:
        yield from pool.map(_check_known, parts)


_known: dict[Path, Mapping[str, Episode]] = {}
"""The episodes of the run that this process checks blocks of: read once, not sent with every block."""


def _read_known(folder: Path) -> None:
    _known[folder] = read_episodes(folder)


def _check_known(part: _Part) -> _Block:
    return _check(part, _known[part.folder])


def _starts(path: Path, size: int) -> list[tuple[int, int]]:
    try:
        with open_regular(path) as stream:
            starts, byte = [(1, 0)], 0
            for number, line in enumerate(read_lines(stream), 1):
                byte += len(line)
                if number % size == 0:
                    starts.append((number + 1, byte))
            return starts
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check(part: _Part, episodes: Mapping[str, Episode]) -> _Block:
    today = part.identity["scorer"] == SCORER_VERSION
    lines = sealed = 0
    faults: list[str] = []
    answers: list[tuple[str, str, int, bool]] = []
    acted: dict[int, Sample] = {}
    with open_regular(part.folder / SAMPLES) as stream:
        stream.seek(part.byte)
        for number, line in enumerate(islice(read_lines(stream), part.size), part.number):
            seal = seal_of(line)
            lines, sealed = lines + 1, sealed + (seal is not None)
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("half written")
                sample = read_sample(line, seal)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                faults.append(f"{SAMPLES}:{number}: {type(error).__name__}: {error}")
                continue
            answers.append((sample.episode, sample.condition, sample.repeat, sample.outcome == Outcome.ERROR))
            if today and sample.loop is not None:
                acted[number] = sample  # its turns are read once for the block
            else:
                faults += _faults(number, sample, episodes, today=today)
    try:
        keys = {sample.key for sample in acted.values()}
        transcripts = Transcripts.of(part.folder, part.identity, keys.__contains__) if acted else None
    except UserError as error:
        faults.append(error.message)
        transcripts = None
    for number, sample in acted.items():
        faults += _faults(number, sample, episodes, transcripts, today=transcripts is not None)
    return _Block(lines, sealed, faults, answers)


def _faults(
    number: int,
    sample: Sample,
    episodes: Mapping[str, Episode],
    transcripts: Transcripts | None = None,
    *,
    today: bool,
) -> list[str]:
    """What does not hold of the sample in a line; it is scored again where that can be done today."""
    episode = episodes.get(sample.episode)
    try:
        again = score_again(episode, sample, transcripts) if episode is not None and today else None
        fault = None if sample == again else contradiction(sample, episode) or _otherwise(sample, again)
        if fault is None and transcripts is not None and sample.key in transcripts.otherwise:
            fault = f"turn {transcripts.otherwise[sample.key]} holds other actions than its text"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        fault = f"{type(error).__name__}: {error}"
    return [] if fault is None else [f"{SAMPLES}:{number}: {sample.key}: {fault}"]


def _otherwise(sample: Sample, again: Sample | None) -> str | None:
    """The first field that today's scorer gives another value; None if there is none, or another scorer gave them."""
    if again is None:
        return None
    for name in ("plan", "form", "facts", "outcome", "optimal", "illegal", "steps", "dead_end", "loop"):
        old, new = (getattr(one, name) for one in (sample, again))
        if sorted(old, key=str) != sorted(new, key=str) if name == "facts" else old != new:
            return f"{name} is otherwise today"
    return None


class _Questions:
    """Answers to what is not asked, second answers, and questions without one."""

    def __init__(self, record: dict[str, Any], episodes: Mapping[str, Episode]) -> None:
        self._record, self._episodes = record, episodes
        self._conditions = set(record["identity"].get("conditions", ()))
        self._answered: dict[int, bool] = {}
        self._faults: list[str] = []

    def add(self, answers: Iterable[tuple[str, str, int, bool]]) -> None:
        """Take what further lines answer; the digests of questions are kept."""
        repeats = self._record["identity"].get("repeats", 1)
        for episode, condition, repeat, failed in answers:
            key = request_key(episode, condition, repeat)
            if episode not in self._episodes or condition not in self._conditions or repeat >= repeats:
                self._faults.append(f"{key}: is not asked")
                continue
            question = short_digest(key)
            if self._answered.get(question):
                self._faults.append(f"{key}: a second answer")
            else:
                self._answered[question] = not failed

    def faults(self) -> list[str]:
        """What does not hold of all of them together."""
        faults, status = list(self._faults), self._record["status"]
        # not as a set: whoever wrote the record says how large it is
        of_each = sum(is_asked(episode, condition) for condition in self._conditions for episode in self._episodes)
        asked = self._record["identity"].get("repeats", 1) * of_each
        if status in FINISHED and (missing := asked - len(self._answered)):
            faults.append(f"{missing} of {asked} questions have no answer, and the run is called {status}")
        if status == "complete" and (failed := sum(not answered for answered in self._answered.values())):
            faults.append(f"{failed} requests failed, and the run is called complete")
        return faults


def _figures(folder: Path) -> list[str]:
    path = folder / METRICS
    if not path.is_file():
        return []
    try:
        stored = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        return [f"{METRICS}: cannot be read ({type(error).__name__}: {error})"]
    counted = json.loads(json.dumps(summarise(sample_frame(read_samples(folder, texts=False))).to_json()))
    return [] if _agree(stored, counted) else [f"{METRICS}: holds other figures than samples.jsonl comes to"]


def _agree(stored: Any, counted: Any) -> bool:
    """Whether all figures that are stored are those that were counted; an older release may have stored fewer."""
    if isinstance(stored, dict) and isinstance(counted, dict):
        return all(key in counted and _agree(value, counted[key]) for key, value in stored.items())
    if isinstance(stored, list) and isinstance(counted, list):
        return len(stored) == len(counted) and all(map(_agree, stored, counted))
    return bool(stored == counted)
