"""What an evaluation asks about: its episodes, and what tells two runs of them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mgsd_bench.errors import UserError
from mgsd_bench.prompts import PromptSet, load_prompts
from mgsd_bench.runs.closed_loop import Loop, step_limits
from mgsd_bench.runs.scoring import SCORER_VERSION
from mgsd_bench.runs.stored import RECORD, read_record
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.suite import digests, episodes, subsample
from mgsd_bench.suites.suite_folder import read_episodes

if TYPE_CHECKING:
    from mgsd_bench.evaluation.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Asked:
    """What a job asks about.

    Attributes:
        episodes: the episodes.
        prompts: the texts that they are put with.
        limits: the most steps of an episode that is acted out, by task and level; empty where none is.
        digests: of the episodes alone, and with the prompts.
        of_run: the same of the whole run, where the job is a shard of one.
        made_from: what the episodes follow from, as a digest; None of episodes that were read.
    """

    episodes: Packed
    prompts: PromptSet
    limits: Mapping[tuple[str, int], int]
    digests: tuple[str, str]
    of_run: tuple[str, str] | None
    made_from: str | None

    @staticmethod
    def of(job: Evaluation) -> Asked:
        """Make the episodes, or take them from the job's own folder, where the same have been asked about before.

        Raises:
            UserError: the suite cannot be made, or the prompts cannot be read.
        """
        made_from = None if job.suite.given is not None or job.shard is not None or job.acts else _made_from(job)
        if made_from is not None and (begun := _begun(job, made_from)) is not None:
            return begun
        of_suite = episodes(job.suite)
        limits = step_limits(of_suite, job.loop.view) if job.acts else {}
        whole = of_suite if job.limit is None else subsample(of_suite, job.limit)
        prompts = _prompts(job, whole)
        of_whole = digests(whole, prompts.canonical())
        if job.shard is None:
            return Asked(whole, prompts, limits, of_whole, None, made_from)
        part = job.shard.part(whole)
        return Asked(part, prompts, limits, digests(part, prompts.canonical()), of_whole, made_from)

    def identity(self, job: Evaluation, loop: Loop) -> dict[str, Any]:
        """What has to agree for two sessions to belong to one run; what the engine needs to start does not."""
        shard = {} if job.shard is None or self.of_run is None else {"shard": {
            "number": job.shard.number, "of": job.shard.of, "episodes_digest": self.of_run[0], "digest": self.of_run[1],
        }}  # fmt: skip
        return {
            "suite": job.suite.name,
            "digest": self.digests[1],
            "episodes_digest": self.digests[0],
            "tasks": list(dict.fromkeys(part.task for part in job.suite.parts)),
            "levels": sorted({part.level for part in job.suite.parts}),
            "limit": job.limit,
            "theme": job.suite.theme,
            **({"looks": list(job.suite.looks)} if job.suite.looks else {}),
            **({} if job.suite.given is None else {"image": self._image()}),
            "conditions": list(job.conditions),
            "repeats": job.repeats,
            "prompts": job.prompts,
            "backend": job.answering,
            "model": job.config.model,
            "sampling": asdict(job.config.sampling),
            "pixels": [job.config.min_pixels, job.config.max_pixels],
            "scorer": SCORER_VERSION,
            **({"loop": loop.to_json()} if job.acts else {}),
            **shard,
        }

    def _image(self) -> str:
        return "original" if any(episode.original for episode in self.episodes) else "classic"


def _prompts(job: Evaluation, asked: Packed) -> PromptSet:
    return load_prompts(job.prompts, asked, job.conditions, say_state=job.loop.say_state)


def _made_from(job: Evaluation) -> str:
    """A digest of all that made episodes follow from."""
    suite = replace(job.suite, about="", origin=None)
    return sha256(repr((suite, job.limit, version("mgsd-bench"))).encode()).hexdigest()


def _begun(job: Evaluation, made_from: str) -> Asked | None:
    """What the run in the job's folder asks about, if it was begun with the same episodes, and they are whole."""
    try:
        if not (job.out / RECORD).exists() or (record := read_record(job.out)).get("made_from") != made_from:
            return None
        found = read_episodes(job.out).episodes
    except (UserError, OSError):
        return None  # whoever opens the folder says what is wrong with it
    prompts = _prompts(job, found)
    both = digests(found, prompts.canonical())
    return (
        Asked(found, prompts, {}, both, None, made_from) if both[0] == record["identity"]["episodes_digest"] else None
    )
