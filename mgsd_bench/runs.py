"""The run folder: what was run, one line a sample, and the metrics.

::

    runs/<name>/run.json        what was run, with what, on what, and how it ended
                episodes.jsonl  the episodes, one line each
                samples.jsonl   one line a sample, appended as each answer arrives
                metrics.json    made from samples.jsonl alone

A run can be killed at any moment. Opening its folder again keeps the finished samples, gives failed ones another try
and drops a half-written last line.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from io import FileIO
from pathlib import Path
from typing import Any, Self

from mgsd_bench.errors import Exit, UserError
from mgsd_envs import Episode, episode_from_json

FORMAT = 1
EPISODES = "episodes.jsonl"


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to one question, scored.

    Attributes:
        episode: id of the episode.
        task: name of the task.
        level: grid size.
        condition: how the episode was put to the model.
        repeat: 0-based number of the try.
        prompt_digest: SHA-256 of the prompt's text and, if it has an image, the image's pixels.
        text: the model's raw answer.
        finish_reason: ``stop``, ``length`` or ``error``.
        prompt_tokens: tokens of the prompt, if known.
        completion_tokens: tokens of the answer, if known.
        plan: the plan that was read from the answer.
        facts: the facts about the state that the answer states, sorted.
        outcome: see :class:`mgsd_bench.scoring.Outcome`.
        optimal: solved with as few actions as possible.
        illegal: the rule that an illegal plan broke.
        steps: legal actions carried out.
        shortest: length of the shortest plan.
        straight: whether the plan that ignores every obstacle solves the episode.
        detour: whether obstacles make the shortest plan longer.
        error: why there is no answer.
        seconds: time that the answer took, if known.
    """

    episode: str
    task: str
    level: int
    condition: str
    repeat: int
    prompt_digest: str
    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    plan: list[str] | None
    facts: list[list[str | int]]
    outcome: str
    optimal: bool
    illegal: str | None
    steps: int
    shortest: int
    straight: bool
    detour: bool
    error: str | None
    seconds: float | None

    @property
    def key(self) -> str:
        """What names the sample within its run."""
        return sample_key(self.episode, self.condition, self.repeat)

    def to_line(self) -> bytes:
        """The sample as a line of ``samples.jsonl``."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"


_FIELDS = tuple(field.name for field in fields(Sample))


def sample_key(episode: str, condition: str, repeat: int) -> str:
    """What names a sample within its run."""
    return f"{episode}/{condition}/{repeat}"


class RunFolder:
    """A run folder open for writing, by one process at a time.

    Use :meth:`open`, and as a context manager.
    """

    def __init__(self, path: Path, record: dict[str, Any], stream: FileIO, samples: dict[str, Sample]) -> None:
        self.path = path
        self.record = record
        self.samples = samples
        self._stream = stream

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any], episodes: Sequence[Episode]) -> Self:
        """Make a run folder, or go on with one. A run without a single answer is made anew.

        Args:
            path: the folder.
            identity: everything that has to agree for two sessions to belong to the same run, as plain JSON values.
            episodes: what is asked about.

        Raises:
            UserError: the folder cannot be written, holds something else or another run, is damaged, or is in use.
        """
        record_path, samples_path = path / "run.json", path / "samples.jsonl"
        record = {"format": FORMAT, "status": "new", "identity": identity, "sessions": []}
        try:
            path.mkdir(parents=True, exist_ok=True)
            answered = samples_path.exists() and samples_path.stat().st_size > 0
            if record_path.exists():
                found = _read_record(record_path)
                if answered:
                    _check_same(path, found["identity"], identity)
                    record = found
            elif answered or any(entry != samples_path and entry.name[0] != "." for entry in path.iterdir()):
                raise UserError(f"--out {path}: the folder holds something that is not a run; name another folder")
            stream = samples_path.open("a+b", buffering=0)
        except OSError as error:
            raise _write_error(path, error) from error
        try:
            _lock(stream, path)
            run = cls(path, record, stream, _read_samples(samples_path, stream))
            run.write_record(status="running")
            if not answered or not (path / EPISODES).exists():
                run._write(EPISODES, "".join(_episode_line(episode) for episode in episodes))
        except BaseException:
            stream.close()
            raise
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def append(self, sample: Sample) -> None:
        """Store a sample; it is with the operating system when this returns.

        Raises:
            UserError: the disk is full or the file cannot be written.
        """
        try:
            line = memoryview(sample.to_line())
            while line:  # without a buffer, which would try to write again on closing, a write may be cut short
                line = line[self._stream.write(line) :]
        except OSError as error:
            raise _write_error(self.path, error) from error
        self.samples[sample.key] = sample

    def write_record(self, **changes: Any) -> None:
        """Update ``run.json``."""
        self.record.update(changes)
        self._write("run.json", _pretty(self.record))

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write ``metrics.json``."""
        self._write("metrics.json", _pretty(metrics))

    def _write(self, name: str, text: str) -> None:
        try:
            write_whole(self.path / name, text)
        except OSError as error:
            raise _write_error(self.path, error) from error


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _episode_line(episode: Episode) -> str:
    """The episode's canonical line; one that was read from a test set also says where."""
    if episode.source is None:
        return episode.canonical() + "\n"
    return json.dumps({**episode.to_json(), "source": episode.source}, sort_keys=True, separators=(",", ":")) + "\n"


def _pretty(data: Any) -> str:
    return json.dumps(data, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder as it was read.

    Attributes:
        path: the folder.
        record: what ``run.json`` holds.
        samples: the samples, the last one of each question.
    """

    path: Path
    record: dict[str, Any]
    samples: list[Sample]

    @property
    def model(self) -> str:
        """Name of the model, without the folders above it."""
        name: str = self.record["identity"]["model"]
        return Path(name).name if "/" in name else name

    def episodes(self) -> dict[str, Episode]:
        """The run's episodes by id.

        Raises:
            UserError: they are missing or damaged, or a sample is of none of them.
        """
        path = self.path / EPISODES
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read ({error})") from error
        found = {}
        for number, line in enumerate(lines, 1):
            try:
                episode = episode_from_json(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}:{number}: not an episode of an installed task ({error})") from error
            found[episode.id] = episode
        for sample in self.samples:
            if sample.episode not in found:
                raise UserError(f"{self.path}: samples.jsonl and episodes.jsonl do not agree on {sample.episode!r}")
        return found


def read_run(path: Path) -> Run:
    """A run folder, for reading only.

    Raises:
        UserError: there is no run, or it is damaged.
    """
    if not (path / "run.json").is_file():
        raise UserError(f"{path}: no run here (no run.json)")
    record = _read_record(path / "run.json")
    try:
        data = (path / "samples.jsonl").read_bytes()
    except OSError as error:
        raise UserError(f"{path / 'samples.jsonl'}: cannot be read ({error.strerror or error})") from error
    return Run(path, record, list(_parse(path / "samples.jsonl", data).values()))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); move the folder away and start the run anew") from error
    match record:
        case {
            "format": 1,
            "status": str(),
            "identity": {"suite": str(), "model": str(), "digest": str(), "episodes_digest": str()},
            "sessions": [*_],
        }:
            # the scorer was at version 1 until runs began to record it
            return {**record, "identity": {**record["identity"], "scorer": record["identity"].get("scorer", 1)}}
    raise UserError(f"{path} was not written by this version of mgsd-bench; name another folder")


def _check_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if differing:
        key = differing[0]
        raise UserError(
            f"--out {path}: holds another run, with {key} {_short(old.get(key))} instead of {_short(new.get(key))}; "
            "name another folder, or give the same settings to resume",
            Exit.NOT_COMPARABLE,
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _lock(stream: FileIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no advisory locks on Windows
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise UserError(f"--out {path}: another process is writing this run; wait for it or stop it") from error
        # some network file systems have no locks; the run is still good without


def _read_samples(path: Path, stream: FileIO) -> dict[str, Sample]:
    stream.seek(0)
    data = stream.read()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):  # the process was killed in the middle of a line
        stream.truncate(whole)
    return {key: sample for key, sample in _parse(path, data[:whole]).items() if sample.outcome != "error"}


def _parse(path: Path, data: bytes) -> dict[str, Sample]:
    samples: dict[str, Sample] = {}
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            row = json.loads(line)
            sample = Sample(**{name: row[name] for name in _FIELDS})
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}:{number}: not a sample ({type(error).__name__}: {error}); delete this line and run the "
                "command again, its episode is then asked again"
            ) from error
        samples[sample.key] = sample
    return samples


def _write_error(path: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(
            f"--out {path}: no space left ({error.strerror}); all finished samples are kept: free some space and run "
            "the same command again",
            Exit.ENGINE,
        )
    return UserError(f"--out {path}: cannot be written ({error.strerror or error}); name another folder")


def ordered(samples: Iterable[Sample]) -> list[Sample]:
    """Samples in an order that does not depend on when they arrived."""
    return sorted(samples, key=lambda sample: (sample.condition, sample.episode, sample.repeat))
