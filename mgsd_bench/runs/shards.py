"""Parts of a run that are asked for apart, on machines that know nothing of each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.packed import Packed

MOST = 100_000
"""The most shards that a run may have."""

_WRITTEN = re.compile(r"(auto|[0-9]{1,9})/([0-9]{1,9})")

_NUMBER = re.compile(r"[0-9]{1,9}")

_PLACES = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("SLURM_PROCID", "SLURM_NTASKS", None),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", None),
)
"""Variables with the number of a task, how many tasks there are, and the first one's number if it is not 0.

Slurm's job arrays and its steps set them (sbatch(1), srun(1)), and Kubernetes the first one of an indexed job; its
``spec.completions`` no pod is told, so the manifest says it once more, or the command line does.
"""


@dataclass(frozen=True, slots=True)
class Shard:
    """Every n-th episode of a run, from some place on, with all its questions.

    Attributes:
        number: which shard, from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """Name of its folder below that of its run."""
        return f"shard-{self.number}-of-{self.of}"

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str]) -> Self:
        """The shard written as ``2/7``; as ``auto`` or ``auto/7`` the number, or both, are those of a job's task.

        Raises:
            UserError: it is written in no such way, or the environment does not say it.
        """
        told = option("shard", text)
        if text == "auto":
            return cls(*_in_environment(environment, None, told))
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise UserError(f"{told}: write which shard and of how many, such as 2/7, or auto within a job")
        of = int(written[2])
        number, of = _in_environment(environment, of, told) if written[1] == "auto" else (int(written[1]), of)
        if not 1 <= number <= of <= MOST:
            raise UserError(f"{told}: shards count from 1, and there are at most {MOST:,}; write it such as 2/7")
        return cls(number, of)

    def part(self, episodes: Packed) -> Packed:
        """Its part of a run's episodes.

        Raises:
            UserError: there are fewer episodes than shards.
        """
        if len(episodes) < self.of:
            raise UserError(f"{option('shard', self)}: there are {len(episodes)} episodes, name at most as many shards")
        return episodes[self.number - 1 :: self.of]


def shard_of(identity: Mapping[str, Any]) -> Shard | None:
    """The shard that a run's identity tells of; None where it is a whole run.

    Raises:
        ValueError: it tells of none that there can be.
    """
    match identity.get("shard"):
        case None:
            return None
        case {"number": int(number), "of": int(of), "digest": str(), "episodes_digest": str()} if (
            1 <= number <= of <= MOST
        ):
            return Shard(number, of)
    raise ValueError("no shard")


def _in_environment(environment: Mapping[str, str], of: int | None, told: str) -> tuple[int, int]:
    """The number of a task, from 1, and how many there are."""
    for place, count, first in _PLACES:
        number, total, start = (environment.get(name or "", "") for name in (place, count, first))
        if _NUMBER.fullmatch(number) and (of is not None or _NUMBER.fullmatch(total)):
            found = int(number) - (int(start) if _NUMBER.fullmatch(start) else 0) + 1
            tasks = int(total) if of is None else of
            if not 1 <= found <= tasks <= MOST:
                raise UserError(f"{told}: {place} is {number}, which is none of {tasks} tasks; say how many: auto/N")
            return found, tasks
    names = ", ".join(place if of else f"{place} with {count}" for place, count, _ in _PLACES)
    raise UserError(f"{told}: this is no task of a job ({names} not set); write which shard, such as 2/7")
