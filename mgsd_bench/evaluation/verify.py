"""Whether a run holds what it says: every answer scored again, every figure counted again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.summary import summarise
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.rescore import Transcripts, score_again
from mgsd_bench.runs.contradiction import contradiction
from mgsd_bench.runs.lines import seal_of
from mgsd_bench.runs.questions import is_asked
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import SCORER_VERSION, Outcome
from mgsd_bench.runs.stored import FINISHED, METRICS, SAMPLES, read_record, read_sample
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
    """What one block of lines came to: faults, and the samples that can be read, without their texts."""

    lines: int
    sealed: int
    faults: list[str]
    samples: list[Sample]


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
    blocks = list(_checked(folder, record["identity"], block, episodes))
    faults += [fault for block in blocks for fault in block.faults]
    samples = [sample for block in blocks for sample in block.samples]
    faults += _questions(record, episodes, samples)
    if not faults:
        faults += _figures(folder, samples)
    lines, sealed = (sum(getattr(block, name) for block in blocks) for name in ("lines", "sealed"))
    return Verification(lines, sealed, tuple(faults))


@dataclass(frozen=True, slots=True)
class _Part:
    """A block of lines: where it begins, by line and by byte, and the most lines that it has."""

    folder: Path
    identity: Mapping[str, Any]
    number: int
    byte: int
    size: int


def _checked(folder: Path, identity: Mapping[str, Any], size: int, episodes: Mapping[str, Episode]) -> Iterable[_Block]:
    parts = [_Part(folder, identity, number, byte, size) for number, byte in _starts(folder / SAMPLES, size)]
    if len(parts) == 1:
        return [_check(parts[0], episodes)]
    with ProcessPoolExecutor(min(len(parts), os.cpu_count() or 1), get_context("spawn")) as pool:
        return list(pool.map(partial(_check, episodes=episodes), parts))


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
    with open_regular(part.folder / SAMPLES) as stream:
        stream.seek(part.byte)
        lines = list(islice(read_lines(stream), part.size))
    found = _Block(len(lines), sum(seal_of(line) is not None for line in lines), [], [])
    read: dict[int, Sample] = {}
    for number, line in enumerate(lines, part.number):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("half written")
            read[number] = read_sample(line, seal_of(line))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            found.faults.append(f"{SAMPLES}:{number}: {type(error).__name__}: {error}")
    today = part.identity["scorer"] == SCORER_VERSION
    try:
        acted = {sample.key for sample in read.values() if today and sample.loop is not None}
        transcripts = Transcripts.of(part.folder, part.identity, acted.__contains__) if acted else None
    except UserError as error:
        found.faults.append(error.message)
        transcripts = None
    for number, sample in read.items():
        episode = episodes.get(sample.episode)
        try:
            scored = episode is not None and today and (sample.loop is None or transcripts is not None)
            again = score_again(episode, sample, transcripts) if episode is not None and scored else None
            fault = None if sample == again else contradiction(sample, episode) or _otherwise(sample, again)
            if fault is None and transcripts is not None and sample.key in transcripts.otherwise:
                fault = f"turn {transcripts.otherwise[sample.key]} holds other actions than its text"
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            fault = f"{type(error).__name__}: {error}"
        if fault is not None:
            found.faults.append(f"{SAMPLES}:{number}: {sample.key}: {fault}")
        found.samples.append(replace(sample, text=""))
    return found


def _otherwise(sample: Sample, again: Sample | None) -> str | None:
    """The first field that today's scorer gives another value; None if there is none, or another scorer gave them."""
    if again is None:
        return None
    for name in ("plan", "form", "facts", "outcome", "optimal", "illegal", "steps", "dead_end", "loop"):
        old, new = (getattr(one, name) for one in (sample, again))
        if sorted(old, key=str) != sorted(new, key=str) if name == "facts" else old != new:
            return f"{name} is otherwise today"
    return None


def _questions(record: dict[str, Any], episodes: Mapping[str, Episode], samples: list[Sample]) -> list[str]:
    """Answers to what is not asked, second answers, and questions without one."""
    identity = record["identity"]
    conditions, repeats = set(identity.get("conditions", ())), identity.get("repeats", 1)
    # not as a set: whoever wrote the record says how large it is
    asked = repeats * sum(is_asked(episode, condition) for condition in conditions for episode in episodes)
    faults, answered, tried = [], set(), set()
    for sample in samples:
        question = (sample.episode, sample.condition, sample.repeat)
        if sample.episode not in episodes or sample.condition not in conditions or sample.repeat >= repeats:
            faults.append(f"{sample.key}: is not asked")
            continue
        tried.add(question)
        if question in answered:
            faults.append(f"{sample.key}: a second answer")
        elif sample.outcome != Outcome.ERROR:
            answered.add(question)
    if record["status"] in FINISHED and (missing := asked - len(tried)):
        faults.append(f"{missing} of {asked} questions have no answer, and the run is called {record['status']}")
    if record["status"] == "complete" and (failed := len(tried - answered)):
        faults.append(f"{failed} requests failed, and the run is called complete")
    return faults


def _figures(folder: Path, samples: list[Sample]) -> list[str]:
    path = folder / METRICS
    if not path.is_file():
        return []
    try:
        stored = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        return [f"{METRICS}: cannot be read ({type(error).__name__}: {error})"]
    counted = json.loads(json.dumps(summarise(sample_frame(samples)).to_json()))
    return [] if _agree(stored, counted) else [f"{METRICS}: holds other figures than samples.jsonl comes to"]


def _agree(stored: Any, counted: Any) -> bool:
    """Whether all figures that are stored are those that were counted; an older release may have stored fewer."""
    if isinstance(stored, dict) and isinstance(counted, dict):
        return all(key in counted and _agree(value, counted[key]) for key, value in stored.items())
    if isinstance(stored, list) and isinstance(counted, list):
        return len(stored) == len(counted) and all(map(_agree, stored, counted))
    return bool(stored == counted)
