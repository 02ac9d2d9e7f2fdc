"""Runs that may leave home: whole, finished, and of the episodes that they say they are of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mgsd_bench.analysis.run import Run
from mgsd_bench.digests import KeySet
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import Condition, PromptSet, in_order, load_prompts
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.stored import FINISHED, SAMPLES
from mgsd_bench.suites.looks import is_asked
from mgsd_bench.suites.suite import Suite, cut_to, digest, episodes, subsample, with_theme
from mgsd_bench.suites.suite_file import shipped_names, shipped_suite
from mgsd_envs.looks import id_without_look

if TYPE_CHECKING:
    from mgsd_bench.suites.packed import ById, Packed


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes:
        run: the run.
        asked: its episodes by id.
        suite: the suite of its name that comes with the project, whose episodes these are; None of others' suites.
    """

    run: Run
    asked: ById
    suite: Suite | None

    @classmethod
    def of(cls, run: Run) -> FinishedRun:
        """A run that is finished, and whose episodes are those of its suite.

        Raises:
            UserError: it is not finished, is a shard of a run, or its digest is not that of its suite.
        """
        if "shard" in run.identity:
            raise UserError(
                f"{run.path}: is a shard; make one run of all shards with mgsd-bench merge, and export that"
            )
        if run.status not in FINISHED:
            raise UserError(f"{run.path}: is not finished ({run.status}); run its command again, then export it")
        return cls(run, run.asked, _own_suite(run))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it was asked under."""
        return in_order(self.run.identity["conditions"])

    @property
    def is_part(self) -> bool:
        """Whether not all episodes of a suite that comes with the project were asked about."""
        states = sum(id_without_look(name) == name for name in self.asked)
        return self.suite is not None and states < sum(part.count for part in self.suite.parts)

    @property
    def prompt_set(self) -> str:
        """Name of the prompt set; of a folder without those above it, which are nobody's business."""
        return Path(str(self.run.identity.get("prompts", "default"))).name

    def samples(self, *, texts: bool = True) -> Iterator[Sample]:
        """The samples as they are stored, of a question that was asked again all.

        Args:
            texts: keep the answers' raw texts.

        Raises:
            UserError: they cannot be read; one is to no question of the run, or of its questions some have none.
        """
        run, questions = self.run, KeySet()
        conditions, repeats = run.identity["conditions"], run.identity["repeats"]
        for sample in run.checked_samples(texts=texts):
            if sample.condition not in conditions or sample.repeat >= repeats:
                raise UserError(f"{run.path / SAMPLES}: answers {sample.key}, which this run does not ask")
            questions.add(sample.key)
            yield sample
        of_each = sum(is_asked(name, condition) for name in self.asked for condition in conditions)
        if len(questions) != repeats * of_each:
            raise UserError(
                f"{run.path / SAMPLES}: holds answers to {len(questions)} of {repeats * of_each} questions; run its "
                "command again, then export it"
            )

    @cached_property
    def prompts(self) -> PromptSet:
        """The texts that were asked with: those that the run records or, where it does not, its set as it is today.

        Raises:
            UserError: it records none, and its set is gone.
        """
        tasks = dict.fromkeys(episode.task for episode in self.asked.values())
        wanted = [(task, condition) for task in tasks for condition in self.conditions]
        recorded = {key: self.run.prompts.get("/".join(key)) for key in wanted}
        texts = {key: text for key, text in recorded.items() if text is not None and "{look}" not in text}
        name = str(self.run.identity.get("prompts", "default"))
        if len(texts) == len(wanted):
            return PromptSet(name, {(task, str(condition)): text for (task, condition), text in texts.items()})
        return load_prompts(name, self.asked.values(), self.conditions, say_state=self._says_state)

    @property
    def _says_state(self) -> bool:
        return bool(self.run.identity.get("loop", {}).get("say_state"))

    def check_prompts(self) -> None:
        """Refuse a run that was asked with other texts than the prompt set of that name holds today.

        Raises:
            UserError: it was, or the set is gone.
        """
        name = str(self.run.identity.get("prompts", "default"))
        today = load_prompts(name, self.asked.values(), self.conditions, say_state=self._says_state)
        if digest(self.asked.values(), today.canonical()) != self.run.identity["digest"]:
            raise UserError(
                f"{self.run.path}: its digest is not that of suite {self.run.identity['suite']} with the prompt set "
                f"{self.prompt_set} of today; run it anew"
            )


def _own_suite(run: Run) -> Suite | None:
    """The shipped suite that a run is of, whole; None where it is of none.

    Raises:
        UserError: a shipped suite has its name and other episodes.
    """
    identity = run.identity
    if identity["suite"] not in shipped_names():
        return None
    whole = shipped_suite(identity["suite"])
    try:
        same = digest(_asked_of(whole, run)) == identity["episodes_digest"]
    except (TypeError, ValueError) as error:  # anybody may have written the record
        raise UserError(f"{run.path}: run.json is damaged: it says of its suite what cannot be; run it anew") from error
    if not same:
        raise UserError(
            f"{run.path}: its digest does not match its suite: these are not the episodes of {whole.name}; run it anew"
        )
    return whole


def _asked_of(whole: Suite, run: Run) -> Packed:
    """The episodes that a suite comes to with what a run's record says of it."""
    identity = run.identity
    suite = cut_to(whole, {(episode.task, episode.level) for episode in run.asked.values()})
    if identity.get("theme", suite.theme) != suite.theme:
        suite = with_theme(suite, identity["theme"])
    suite = replace(suite, looks=tuple(identity.get("looks", ())))
    of_suite = episodes(suite)
    limit = identity.get("limit")
    return of_suite if limit is None else subsample(of_suite, limit)
