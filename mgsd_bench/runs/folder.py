"""The run folder: what was run, one line a sample, and the metrics.

::

    runs/<name>/run.json        what was run, with what, on what, and how it ended
                episodes.jsonl  the episodes, one line each
                samples.jsonl   one line a sample, appended as each answer arrives
                turns.jsonl     one line a turn of the closed loop, appended as each turn ends
                metrics.json    made from samples.jsonl alone

A run can be killed at any moment. Opening its folder again keeps the finished samples and the turns of unfinished ones,
gives failed ones another try and drops a half-written last line.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, Self

from mgsd_bench.digests import KeySet
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.files import pretty_json, remove_leftovers, write_whole
from mgsd_bench.prompts import CLOSED_LOOP
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.stored import FORMAT, METRICS, RECORD, SAMPLES, read_record, read_samples
from mgsd_bench.runs.turns import TURNS, TurnRecord, read_turns
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.suite_folder import EPISODES
from mgsd_envs import Episode
from mgsd_envs.files import LONGEST_LINE, open_regular

_BLOCK = 65_536


class RunFolder:
    """A run folder open for writing, by one process at a time.

    Use :meth:`open`, and as a context manager.

    Attributes:
        path: the folder.
        record: the content of ``run.json``.
        answered: the keys of finished samples.
        turns: what was had before of episodes in the closed loop that are not finished, by the question's key.
    """

    def __init__(
        self,
        path: Path,
        record: dict[str, Any],
        streams: dict[str, FileIO],
        answered: KeySet,
        turns: dict[str, list[TurnRecord]],
    ) -> None:
        self.path = path
        self.record = record
        self.answered = answered
        self.turns = turns
        self._streams = streams

    @classmethod
    def open(
        cls,
        path: Path,
        identity: dict[str, Any],
        episodes: Packed,
        on_kept: Callable[[Sample], None] = lambda sample: None,
    ) -> Self:
        """Make a run folder, or go on with one. A run without a single answer is made anew.

        Args:
            path: the folder.
            identity: everything that has to agree for two sessions to belong to the same run, as plain JSON values.
            episodes: what is asked about.
            on_kept: told each finished sample that is there.

        Raises:
            UserError: the folder cannot be written, holds something else or another run, is damaged, or is in use.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            _record_of(path, identity)
            streams = {SAMPLES: _appending(path / SAMPLES)}
        except OSError as error:
            raise _write_error(path, error) from error
        try:
            _lock(streams[SAMPLES], path)
            found = _record_of(path, identity)  # once more: by now another process may have begun a run, and ended
            if CLOSED_LOOP & set(identity["conditions"]):
                streams[TURNS] = _appending(path / TURNS)
            for stream in streams.values():
                _drop_half_line(stream)
            for name in (RECORD, EPISODES, METRICS):
                remove_leftovers(path / name)
            answered, asked = KeySet(), frozenset(episodes.ids)
            for sample in _finished(path, identity, asked):
                answered.add(sample.key)
                on_kept(sample)
            turns = read_turns(path, lambda key: key not in answered)
            for of_one in turns.values():
                _check_asked(path / TURNS, of_one[0], identity, asked)
            new = {"format": FORMAT, "status": "new", "identity": identity, "sessions": []}
            run = cls(path, found or new, streams, answered, turns)
            run.write_record(status="running")
            if found is None or not (path / EPISODES).exists():
                run._write(EPISODES, map(_episode_line, episodes))
        except OSError as error:
            _close(streams)
            raise _write_error(path, error) from error
        except BaseException:
            _close(streams)
            raise
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._streams)

    def append(self, sample: Sample) -> None:
        """Store a sample; it is with the operating system when this returns, on the disk before record or metrics are.

        Raises:
            UserError: the disk is full or the file cannot be written.
        """
        self._append(SAMPLES, sample.to_line())
        self.answered.add(sample.key)

    def append_turn(self, turn: TurnRecord) -> None:
        """Store a turn, as :meth:`append` does a sample.

        Raises:
            UserError: the disk is full or the file cannot be written.
        """
        self._append(TURNS, turn.to_line())

    def _append(self, name: str, content: bytes) -> None:
        try:
            line = memoryview(content)
            while line:  # without a buffer, which would try to write again on closing, a write may be cut short
                line = line[self._streams[name].write(line) :]
        except OSError as error:
            raise _write_error(self.path, error) from error

    def write_record(self, **changes: Any) -> None:
        """Update ``run.json``."""
        self.record.update(changes)
        self._write(RECORD, pretty_json(self.record))

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write ``metrics.json``."""
        self._write(METRICS, pretty_json(metrics))

    def _write(self, name: str, text: str | Iterable[bytes]) -> None:
        try:
            for stream in self._streams.values():
                os.fsync(stream)  # so that no file says more than is there after a loss of power
            write_whole(self.path / name, text)
        except OSError as error:
            raise _write_error(self.path, error) from error


def answered_before(path: Path, identity: dict[str, Any], episodes: Packed) -> KeySet:
    """The keys of the finished samples of a run that :meth:`RunFolder.open` would go on with; nothing is written.

    Args:
        path: the folder, which need not be there.
        identity: as of :meth:`RunFolder.open`.
        episodes: what is asked about.

    Raises:
        UserError: the folder holds something else or another run, or is damaged.
    """
    answered = KeySet()
    try:
        if path.exists() and _record_of(path, identity) is not None:
            for sample in _finished(path, identity, frozenset(episodes.ids)):
                answered.add(sample.key)
    except OSError as error:
        raise UserError(f"{option('out', path)}: cannot be read ({error.strerror or error})") from error
    return answered


def _finished(path: Path, identity: dict[str, Any], asked: Set[str]) -> Iterator[Sample]:
    """The samples in a folder but those of failed requests, which are asked again."""
    for sample in read_samples(path):
        _check_asked(path / SAMPLES, sample, identity, asked)
        if sample.outcome != "error":
            yield sample


def _record_of(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """What is recorded of the run in a folder; None if there is none, or one without a single answer.

    Raises:
        UserError: the folder holds another run, or something else.
        OSError: it cannot be read.
    """
    ours = {path / SAMPLES, path / TURNS}
    answered = any(file.exists() and file.stat().st_size > 0 for file in ours)
    if (path / RECORD).exists():
        found = read_record(path)
        if not answered:
            return None
        _check_same(path, found["identity"], identity)
        return found
    if answered or any(entry not in ours and entry.name[0] != "." for entry in path.iterdir()):
        raise UserError(f"{option('out', path)}: the folder holds something that is not a run; name another folder")
    return None


def _close(streams: Mapping[str, FileIO]) -> None:
    """Close files, of which what had to be written was, or has failed before."""
    for stream in streams.values():
        with suppress(OSError):
            stream.close()


def _episode_line(episode: Episode) -> bytes:
    """The episode's canonical line; one that was read from a test set also says where."""
    if episode.source is None:
        return f"{episode.canonical()}\n".encode()
    row = {**episode.to_json(), "source": episode.source}
    return f"{json.dumps(row, sort_keys=True, separators=(',', ':'))}\n".encode()


def _check_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if differing:
        key = differing[0]
        raise UserError(
            f"{option('out', path)}: holds another run, with {key} {_short(old.get(key))} instead of "
            f"{_short(new.get(key))}; name another folder, or give the same settings to resume",
            Exit.NOT_COMPARABLE,
        )


def _check_asked(path: Path, one: Sample | TurnRecord, identity: dict[str, Any], asked: Set[str]) -> None:
    """Refuse an answer to a question that the run does not ask: it would count without being seen."""
    if one.episode not in asked or one.condition not in identity["conditions"] or one.repeat >= identity["repeats"]:
        raise UserError(
            f"{path}: answers {one.key}, which this run does not ask; delete the line and run the command again"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _appending(path: Path) -> FileIO:
    """A file that can be read and added to."""
    if path.exists():
        open_regular(path).close()
    return FileIO(path, "a+", opener=_in_its_place)


def _in_its_place(path: str, flags: int) -> int:
    """Open a file where it is: answers are written to no other place that a link may name."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _lock(stream: FileIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no advisory locks on Windows
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise UserError(
                f"{option('out', path)}: another process is writing this run; wait for it or stop it"
            ) from error
        # some network file systems have no locks; the run is still good without


def _drop_half_line(stream: FileIO) -> None:
    """Cut off what a process that was killed in the middle of a line has left of it."""
    end = position = stream.seek(0, os.SEEK_END)
    while position > 0:
        if end - position > LONGEST_LINE:
            return  # no line of a run has as many bytes: whoever reads it says so
        start = max(0, position - _BLOCK)
        stream.seek(start)
        newline = (stream.read(position - start) or b"").rfind(b"\n")
        position = start
        if newline >= 0:
            position += newline + 1
            break
    if position < end:
        stream.truncate(position)


def _write_error(path: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(
            f"{option('out', path)}: no space left ({error.strerror}); all finished samples are kept: free some "
            "space and run the same command again",
            Exit.ENGINE,
        )
    return UserError(f"{option('out', path)}: cannot be written ({error.strerror or error}); name another folder")
