"""The arms of a run in several looks, paired by episode: what :mod:`mgsd_bench.analysis.robustness` computes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.groups import Groups, Pairs, group_column
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.statistics.intervals import Estimate
from mgsd_envs import Episode, Look, get_task
from mgsd_envs.looks import id_without_look
from mgsd_envs.perturbations import PERTURBATIONS, steps
from mgsd_envs.symmetry import TURNED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Arm:
    """The answers in one look.

    Attributes:
        look: the look.
        frame: its rows of the table of samples, with the episodes' ids without look.
        facts: whether states were asked for.
    """

    look: str
    frame: pd.DataFrame
    facts: bool

    @cached_property
    def solved(self) -> Groups:
        """Solved or not."""
        return group_column(self.frame, "solved")

    @cached_property
    def straight(self) -> Groups:
        """Whether the plan that sees no obstacle solves the episode."""
        return group_column(self.frame, "straight")

    @cached_property
    def state(self) -> Groups | None:
        """Facts stated, and true."""
        return group_column(self.frame, "state", "f1") if self.facts else None

    @property
    def has_causes(self) -> bool:
        """Whether it is known what answers failed at."""
        return bool(self.frame["attribution"].notna().any())

    def flips(self, other: Arm) -> Groups:
        """How much each episode's answers differ from those in another look: 0 or 1, between with repeats."""
        strata = zip(self.solved.strata, other.solved.strata, strict=True)
        return Groups(tuple(replace(a, values=np.abs(b.values - a.values)) for a, b in strata))


@dataclass(frozen=True)
class Arms:
    """A run in several looks.

    Attributes:
        by_look: the arms by look, the first look first.
    """

    by_look: Mapping[str, Arm]

    @classmethod
    def of(cls, frame: pd.DataFrame, first: str, *, facts: bool) -> Arms:
        """The arms of a table of samples of one condition.

        Args:
            frame: the table, with the columns of ``DIAGNOSTICS``.
            first: the look that the others are compared with.
            facts: whether states were asked for.

        Raises:
            UserError: an arm lacks episodes that the first has, or a look is none.
        """
        ids = frame["episode"].astype(str).map(id_without_look)
        rows = frame.assign(episode=ids)
        looks = [first, *(str(look) for look in frame["look"].unique() if look != first)]
        for look in looks:
            try:
                Look.parse(look)
            except ValueError as error:
                raise UserError(f"the look {look!r:.80}: {error}") from error
        arms = {look: Arm(look, rows[rows["look"] == look], facts) for look in looks}
        for look, arm in arms.items():
            try:
                arms[first].solved.paired(arm.solved)
            except ValueError as error:
                raise UserError(f"the looks {first} and {look}: other episodes", Exit.NOT_COMPARABLE) from error
        return cls(arms)

    @property
    def first(self) -> Arm:
        """The arm that the others are compared with."""
        return next(iter(self.by_look.values()))

    @property
    def again(self) -> Arm | None:
        """A second arm in the first look."""
        return self._only("copy")

    @property
    def combined(self) -> Arm | None:
        """Two axes at once."""
        return self._only("pair")

    def _only(self, name: str) -> Arm | None:
        arms = (arm for arm in self._perturbed(name))
        return next(arms, None)

    def _perturbed(self, name: str) -> list[Arm]:
        """The arms of one perturbation of the first theme, lowest severity first."""
        theme = Look.parse(self.first.look).theme
        read = ((Look.parse(look), arm) for look, arm in self.by_look.items())
        found = [(look.severity, arm) for look, arm in read if (look.theme, look.perturbation) == (theme, name)]
        return [arm for _, arm in sorted(found, key=lambda pair: pair[0])]

    def axes(self) -> dict[str, list[Arm]]:
        """The arms of every ordered axis that there are arms of."""
        named = {name: self._perturbed(name) for name, axis in PERTURBATIONS.items() if axis.kind == "ordered"}
        return {name: arms for name, arms in named.items() if arms}

    def consistent(self) -> Groups | None:
        """Whether answers to a state and to all its images come to the same, episode by episode; None without images.

        Repeats count by their mean.
        """
        turned = self._perturbed(TURNED)
        if not turned:
            return None
        strata = []
        for of_all in zip(*(arm.solved.strata for arm in (self.first, *turned)), strict=True):
            values = np.stack([stratum.values for stratum in of_all])
            strata.append(replace(of_all[0], values=(np.ptp(values, axis=0) == 0).astype(float)))
        return Groups(tuple(strata))

    def others(self) -> list[Arm]:
        """Other themes, and categorical looks."""
        known = [self.first, self.again, self.combined, *(arm for arms in self.axes().values() for arm in arms)]
        taken = {arm.look for arm in known if arm is not None}
        return [arm for look, arm in self.by_look.items() if look not in taken]

    def state_change(self, arms: Sequence[Arm]) -> Estimate | None:
        """Change of State F1 from the first look to these together."""
        if self.first.state is None:
            return None
        return self.first.state.paired(group_column(_joined(arms), "state", "f1")).difference()

    def cause_change(self, arms: Sequence[Arm], cause: Attribution) -> Estimate:
        """Change of the share of answers that fail by one cause."""
        before, after = (
            group_column(frame.assign(cause=frame["attribution"].astype(str) == cause.value), "cause")
            for frame in (self.first.frame, _joined(arms))
        )
        return before.paired(after).difference()

    def misplanned(self, arms: Sequence[Arm]) -> Pairs | None:
        """Plans that fail in the stated world, in the first look and in these, of the episodes that have any in both.

        None where some task has no such episode.
        """
        frames = [frame[frame["misplanned"].notna()] for frame in (self.first.frame, _joined(arms))]
        shared = set(frames[0]["episode"]) & set(frames[1]["episode"])
        before, after = (
            group_column(frame[frame["episode"].isin(shared)].astype({"misplanned": float}), "misplanned")
            for frame in frames
        )
        return before.paired(after) if shared and before.tasks == self.first.solved.tasks else None

    def beyond_sum(self, episodes: Mapping[str, Episode]) -> Estimate | None:
        """Accuracy with two axes at once minus what their single changes add up to, episode by episode.

        None where the run lacks one of the single arms.

        Args:
            episodes: the episodes in the first look, by id.
        """
        if self.combined is None:
            return None
        theme = Look.parse(self.first.look).theme
        severity = Look.parse(self.combined.look).severity
        values = {look: _by_episode(arm.solved) for look, arm in self.by_look.items()}
        clean = values[self.first.look]
        expected = {}
        for name, episode in episodes.items():
            key = get_task(episode.task).key(episode.state)
            looks = [str(Look(theme, *step)) for step in steps("pair", severity, key)]
            if any(look not in values for look in looks):
                return None
            expected[name] = clean[name] + sum(values[look][name] - clean[name] for look in looks)
        sums = tuple(
            replace(stratum, values=np.array([expected[str(name)] for name in stratum.episodes]))
            for stratum in self.first.solved.strata
        )
        return Groups(sums).paired(self.combined.solved).difference()


def mean_of(groups: Sequence[Groups]) -> Groups:
    """One value an episode: its mean over several arms of the same episodes."""
    return _weighted(groups, [1 / len(groups)] * len(groups))


def contrast(groups: Sequence[Groups], weights: Sequence[float]) -> Estimate:
    """A weighted sum over arms of the same episodes, with the interval of a paired difference."""
    found = _weighted(groups, weights)
    nothing = Groups(tuple(replace(stratum, values=np.zeros_like(stratum.values)) for stratum in found.strata))
    return nothing.paired(found).difference()


def _weighted(groups: Sequence[Groups], weights: Sequence[float]) -> Groups:
    strata = []
    for of_all in zip(*(one.strata for one in groups), strict=True):
        values = sum(weight * stratum.values for weight, stratum in zip(weights, of_all, strict=True))
        strata.append(replace(of_all[0], values=np.asarray(values)))
    return Groups(tuple(strata))


def _joined(arms: Sequence[Arm]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([arm.frame for arm in arms])


def _by_episode(groups: Groups) -> dict[str, float]:
    return {
        str(name): float(value)
        for stratum in groups.strata
        for name, value in zip(stratum.episodes, stratum.values, strict=True)
    }
