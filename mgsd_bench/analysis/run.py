"""A run as analyses read it: its record, its table of samples, its episodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.errors import UserError
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.stored import read_record, read_samples
from mgsd_bench.suites.suite import digest
from mgsd_bench.suites.suite_folder import read_episodes
from mgsd_envs.files import well_formed
from mgsd_envs.looks import id_without_look

if TYPE_CHECKING:
    import pandas as pd

    from mgsd_bench.analysis.frame import Origin
    from mgsd_bench.suites.packed import ById


@dataclass(frozen=True)
class Run:
    """A run folder. Samples are read when they are first asked for; the table of samples holds no raw texts.

    Attributes:
        path: the folder.
        record: what ``run.json`` holds.
        given: samples that take the place of those in the folder, for a part of a run; None reads the folder.
    """

    path: Path
    record: dict[str, Any]
    given: Sequence[Sample] | None = field(default=None, repr=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What was run: everything that has to agree for two sessions to belong to one run."""
        identity: dict[str, Any] = self.record["identity"]
        return identity

    @property
    def model(self) -> str:
        """Name of the model, without the folders above it."""
        name: str = self.identity["model"]
        return Path(name).name if "/" in name else name

    @property
    def status(self) -> str:
        """How the run ended: ``complete``, ``errors`` (complete, with failed requests) or what it stopped at."""
        status: str = self.record["status"]
        return status

    @property
    def look(self) -> str:
        """The look of the pictures, ``original`` for those of a test set."""
        image = self.identity.get("image")
        return str(image if image == "original" else self.identity.get("theme", "classic"))

    @property
    def view(self) -> str:
        """How much of the board is shown to one who acts step by step: ``full``, ``fog:R`` or ``window:R``."""
        loop: dict[str, Any] = self.identity.get("loop", {"view": "full"})
        return str(loop["view"])

    def in_first_look(self) -> Run:
        """The part that was asked in the suite's first look, for figures of independent episodes.

        It is the run itself where there is but one look; :mod:`mgsd_bench.analysis.robustness` reads the others.
        """
        if not self.identity.get("looks"):
            return self
        kept = [
            sample for sample in self.read_samples(texts=False) if id_without_look(sample.episode) == sample.episode
        ]
        return replace(self, given=kept)

    @property
    def look_notes(self) -> list[str]:
        """What must be said beside figures of :meth:`in_first_look`."""
        looks = self.identity.get("looks") or []
        return [f"the look {looks[0]} alone, of {len(looks)}; mgsd-bench robustness has the others"] if looks else []

    @property
    def prompts(self) -> dict[str, str]:
        """The texts that were asked with, by ``task/condition``; empty where the record does not hold them."""
        found = self.record.get("prompts")
        texts = found.items() if isinstance(found, dict) else ()
        return {key: text for key, text in texts if isinstance(text, str)}

    def read_samples(self, *, texts: bool = True) -> Iterator[Sample]:
        """The samples, one after another; of a question that was asked again the last one counts."""
        return iter(self.given) if self.given is not None else read_samples(self.path, texts=texts)

    def checked_samples(self, *, texts: bool = True) -> Iterator[Sample]:
        """The samples as of :meth:`read_samples`.

        Raises:
            UserError: one is of none of the run's episodes, or they cannot be read.
        """
        for sample in self.read_samples(texts=texts):
            self._check_place(sample.episode, sample.task, sample.level)
            yield sample

    @cached_property
    def samples(self) -> list[Sample]:
        """The samples with their texts, the last one of each question."""
        return list({sample.key: sample for sample in self.read_samples()}.values())

    @cached_property
    def asked(self) -> ById:
        """The episodes that were asked about, by id; of samples nothing is read.

        Raises:
            UserError: they are missing or damaged.
        """
        episodes = read_episodes(self.path)
        if digest(episodes.values()) != self.identity["episodes_digest"]:
            raise UserError(f"{self.path}: episodes.jsonl does not hold the episodes of run.json; one was changed")
        return episodes

    @cached_property
    def episodes(self) -> ById:
        """The run's episodes by id.

        Raises:
            UserError: they are missing or damaged, or a sample is of none of them.
        """
        episodes = self.asked
        places = self.frame[["episode", "task", "level"]].drop_duplicates()
        for name, task, level in places.itertuples(index=False):
            self._check_place(name, task, level)
        return episodes

    def _check_place(self, name: str, task: str, level: int) -> None:
        listed = self.asked
        if name not in listed or (task, level) != (listed[name].task, listed[name].level):
            raise UserError(f"{self.path}: samples.jsonl and episodes.jsonl do not agree on {name!r}")

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table of samples as figures need it; see ``brief`` of :class:`mgsd_bench.analysis.frame.SampleTable`."""
        if "diagnostic_frame" in self.__dict__:  # the same and more
            return self.diagnostic_frame
        return self._frame(with_facts=False, brief=True)

    @cached_property
    def diagnostic_frame(self) -> pd.DataFrame:
        """The table of samples with the columns of ``DIAGNOSTICS`` too."""
        return self._frame(with_facts=True, brief=True)

    def to_pandas(self) -> pd.DataFrame:
        """The table of samples, one row a sample, sorted by condition, episode and repeat.

        Columns, their types and units: :data:`mgsd_bench.analysis.frame.COLUMNS` and ``DIAGNOSTICS``, and docs/api.md.

        Raises:
            UserError: samples or episodes cannot be read.
        """
        return self._frame(with_facts=True, brief=False)

    def conditions(self) -> list[str]:
        """The conditions that there are samples of, sorted."""
        return sorted(self.frame["condition"].cat.categories)

    @property
    def origin(self) -> Origin:
        """What all rows of its table have in common."""
        from mgsd_bench.analysis.frame import Origin

        return Origin(well_formed(str(self.path)), self.model, self.identity["suite"], self.look, self.view)

    def _frame(self, *, with_facts: bool, brief: bool) -> pd.DataFrame:
        from mgsd_bench.analysis.frame import sample_frame

        if not with_facts:
            return sample_frame(self.read_samples(texts=False), None, self.origin, brief=brief)
        return sample_frame(self.checked_samples(texts=False), self.asked, self.origin, brief=brief)


def load_run(path: str | Path) -> Run:
    """A run folder, for reading only; samples are read when they are asked for.

    Raises:
        UserError: there is no run, or its record is damaged.
    """
    folder = Path(path)
    record = read_record(folder)
    return Run(folder, {**record, "identity": {key: _readable(value) for key, value in record["identity"].items()}})


def _readable(value: Any) -> Any:
    return well_formed(value) if isinstance(value, str) else value


def load_runs(paths: Iterable[str | Path]) -> list[Run]:
    """Several run folders; see :func:`load_run`."""
    return [load_run(path) for path in paths]
