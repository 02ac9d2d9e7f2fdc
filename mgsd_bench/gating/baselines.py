"""Baselines: finished runs kept as small folders that are worth committing, and found by name."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.analysis.summary import summarise
from mgsd_bench.backends import request_key
from mgsd_bench.digests import short_digest
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.files import pretty_json, write_whole
from mgsd_bench.gating.settings import FOLDER
from mgsd_bench.runs.lines import seal_of
from mgsd_bench.runs.stored import METRICS, RECORD, SAMPLES, placed_samples, read_sample
from mgsd_bench.suites.suite_folder import EPISODES
from mgsd_envs.files import open_regular, read_lines

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KEPT = ("versions", "git", "backend")
_OF_THE_MACHINE = ("model", "hardware")


@dataclass(frozen=True, slots=True)
class SavedBaseline:
    """A baseline as it is listed.

    Attributes:
        name: its name.
        run: the run.
        bytes: size of its folder.
    """

    name: str
    run: Run
    bytes: int


def find_baseline(name: str, folder: Path = FOLDER) -> Run:
    """The run in a folder called ``name``, or the baseline of that name.

    Raises:
        UserError: there is neither, or it is damaged.
    """
    if (Path(name) / "run.json").is_file():
        return load_run(Path(name))
    if _NAME.fullmatch(name) and (folder / name / "run.json").is_file():
        return load_run(folder / name)
    known = ", ".join(names(folder)) or "none"
    raise UserError(
        f"{option('baseline', name)}: no run there, and no baseline of that name in {folder} (there are: "
        f"{known}); name another folder of baselines with {option('folder')}"
    )


def names(folder: Path = FOLDER) -> list[str]:
    """The names of the baselines in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob("*/run.json"))


def list_baselines(folder: Path = FOLDER) -> list[SavedBaseline]:
    """The baselines in a folder, by name.

    Raises:
        UserError: one is damaged.
    """
    found = []
    for name in names(folder):
        size = sum(path.stat().st_size for path in (folder / name).iterdir() if path.is_file())
        found.append(SavedBaseline(name, load_run(folder / name), size))
    return found


def save_baseline(path: Path, name: str, folder: Path = FOLDER, *, force: bool = False) -> Path:
    """Keep a finished run as a baseline: run.json, episodes.jsonl, samples.jsonl and metrics.json.

    It stays a run folder, as plain text that version control compresses and compares by line. Samples are sorted, and
    times, machine and command line are left out, so the same answers always make the same samples.jsonl. A baseline is
    one while it has a run.json, which is written last; what was stopped before is not finished, and saved anew.

    Args:
        path: the run folder.
        name: what to call it.
        folder: where baselines are kept.
        force: overwrite one of that name.

    Returns:
        The baseline's folder.

    Raises:
        UserError: the name is no plain file name or taken, the run is not finished (``NOT_COMPARABLE``), or the folder
            cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r}: not a name for a baseline; use letters, digits, dots, underscores and hyphens")
    run = load_run(path)
    if run.status != "complete":
        raise UserError(
            f"{path}: this run is not finished ({run.record['status']}); run its command again", Exit.NOT_COMPARABLE
        )
    _ = run.episodes  # read and checked
    target = folder / name
    if target.is_symlink():
        raise UserError(f"{target}: is a link, and a baseline is written to no other place; remove it")
    if not force and _is_taken(target):
        raise UserError(f"{target}: exists; give another name, or {option('force', True)} to overwrite it")
    contents: dict[str, str | Iterator[bytes]] = {
        EPISODES: _episode_lines(path),
        SAMPLES: _sample_lines(run),
        METRICS: pretty_json(summarise(run.frame).to_json()),
        RECORD: pretty_json(_without_machine(run)),  # last: without it the folder is no run
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / RECORD).unlink(missing_ok=True)  # first: else it would be said of another run's answers
        for file, content in contents.items():
            write_whole(target / file, content)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target


def _episode_lines(path: Path) -> Iterator[bytes]:
    with open_regular(path / EPISODES) as stream:
        yield from (line.replace(b"\r\n", b"\n") for line in read_lines(stream))


def _sample_lines(run: Run) -> Iterator[bytes]:
    """The lines of a baseline's samples in the order of the run's table: each is read where it stands in the run.

    Raises:
        UserError: a line is another one than before.
    """
    keys, places = array("Q"), array("Q")
    for place, sample in placed_samples(run.path, texts=False):
        keys.append(short_digest(sample.key))
        places.append(place)
    order = np.argsort(np.frombuffer(keys, np.uint64), kind="stable")
    known, at = np.frombuffer(keys, np.uint64)[order], np.frombuffer(places, np.uint64)[order]
    rows = (run.frame[name] for name in ("episode", "condition", "repeat"))
    with open_regular(run.path / SAMPLES) as stream:
        for episode, condition, repeat in zip(*rows, strict=True):
            key = request_key(episode, condition, repeat)
            # of a question that was asked again the last one
            stream.seek(int(at[np.searchsorted(known, np.uint64(short_digest(key)), "right") - 1]))
            line = stream.readline()
            try:
                sample = read_sample(line, seal_of(line))
                if sample.key != key:
                    raise ValueError(f"it answers {sample.key}")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise UserError(
                    f"{run.path / SAMPLES}: was changed while it was read ({error}); run the command again"
                ) from error
            yield replace(sample, seconds=None).to_line()


def _is_taken(target: Path) -> bool:
    """Whether there is anything but what was left when a baseline of that name was saved and that was stopped."""
    try:
        if not target.is_dir():
            return os.path.lexists(target)
        return not {entry.name for entry in target.iterdir()} <= _UNFINISHED
    except OSError as error:
        raise UserError(f"{target}: cannot be read ({error.strerror or error})") from error


_UNFINISHED = {name for file in (EPISODES, SAMPLES, METRICS) for name in (file, f".{file}.tmp")} | {f".{RECORD}.tmp"}


def _without_machine(run: Run) -> dict[str, Any]:
    """A run's record without times, command line, hardware and the folders of one machine."""
    identity = run.identity
    sessions = [{key: session[key] for key in _KEPT if key in session} for session in run.record["sessions"]]
    for session in sessions:
        session["backend"] = {
            key: value for key, value in session.get("backend", {}).items() if key not in _OF_THE_MACHINE
        }
    model = run.model if Path(identity["model"]).is_absolute() else identity["model"]
    return {**run.record, "identity": {**identity, "model": model}, "sessions": sessions}
