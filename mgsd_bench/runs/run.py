"""A run folder as it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgsd_bench.errors import UserError
from mgsd_bench.runs.sample import FIELDS, Sample
from mgsd_envs import Episode, episode_from_json

FORMAT = 1
EPISODES = "episodes.jsonl"


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
    record = read_record(path / "run.json")
    try:
        data = (path / "samples.jsonl").read_bytes()
    except OSError as error:
        raise UserError(f"{path / 'samples.jsonl'}: cannot be read ({error.strerror or error})") from error
    return Run(path, record, list(parse_samples(path / "samples.jsonl", data).values()))


def read_record(path: Path) -> dict[str, Any]:
    """What ``run.json`` holds.

    Raises:
        UserError: it is damaged, or of another version.
    """
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


def parse_samples(path: Path, data: bytes) -> dict[str, Sample]:
    """The samples in the whole lines of ``samples.jsonl`` by key, the last one of each.

    Raises:
        UserError: a line is no sample.
    """
    samples: dict[str, Sample] = {}
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            row = json.loads(line)
            sample = Sample(**{name: row[name] for name in FIELDS})
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}:{number}: not a sample ({type(error).__name__}: {error}); delete this line and run the "
                "command again, its episode is then asked again"
            ) from error
        samples[sample.key] = sample
    return samples
