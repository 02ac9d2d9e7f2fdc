"""What self-distillation reports between two logs: means over tokens and over answers, by sums and counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mgsd_baselines.data.spans import SPANS
from mgsd_bench.backends import Response
from mgsd_bench.runs.scoring import Outcome, score
from mgsd_envs import Episode, episode_from_json, get_task

if TYPE_CHECKING:
    from mgsd_baselines.training.divergence import Comparison

_DECILES = 10
_TOP_SHARE = 0.01


class Tally:
    """Running sums and counts by name, kept on the device until they are read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._kl: list[Tensor] = []

    def add(self, name: str, values: Tensor) -> None:
        """Count the values (N,) towards the mean called ``name``."""
        row = torch.stack([values.float().sum(), values.new_tensor(values.numel(), dtype=torch.float32)])
        self._sums[name] = self._sums[name] + row if name in self._sums else row

    def add_tokens(self, found: Comparison, spans: Tensor, deciles: Tensor) -> None:
        """Count tokens.

        Args:
            found: what was found at each of N tokens.
            spans: index (N,) of the token's part of the answer.
            deciles: tenth (N,) of its answer that the token stands in, from 0.
        """
        self.add("kl/reverse", found.reverse_kl)
        for index, name in enumerate(SPANS):
            self.add(f"kl/{name}", found.reverse_kl[spans == index])
        for decile in range(_DECILES):
            self.add(f"kl/decile_{decile}", found.reverse_kl[deciles == decile])
        self.add("teacher_entropy", found.teacher_entropy)
        self.add("top1_agreement", found.agreement)
        self.add("k1", found.k1)
        self._kl.append(found.reverse_kl)

    def read(self, gather: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The means over all processes since the last reading; a mean of nothing is left out.

        ``kl/top_percent_share`` is the share of the summed KL that falls on the 1 % of tokens with the most of it,
        each process's own tokens taken by themselves.

        Args:
            gather: concatenates the rows of all processes; every process must have counted the same names.
        """
        if self._kl:
            kl = torch.cat(self._kl)
            top = kl.topk(max(1, round(_TOP_SHARE * kl.numel()))).values.sum()
            self._sums["kl/top_percent_share"] = torch.stack([top, kl.sum()])
        if not self._sums:
            return {}
        names = sorted(self._sums)
        totals = gather(torch.stack([self._sums[name] for name in names])[None]).sum(0).tolist()
        self._sums, self._kl = {}, []
        return {name: top / bottom for name, (top, bottom) in zip(names, totals, strict=True) if bottom}


def deciles(mask: Tensor) -> Tensor:
    """The tenth of its answer, from 0 to 9, that each token stands in; ``mask`` (B, C) is 1 on an answer's tokens."""
    places = torch.arange(mask.size(1), device=mask.device)
    return (places * _DECILES).div(mask.sum(1, keepdim=True).clamp(min=1), rounding_mode="floor").clamp(max=9)


def judge(episodes: Sequence[str], texts: Sequence[str]) -> dict[str, list[float]]:
    """Score answers as the evaluation does under the condition ``visual``.

    Args:
        episodes: canonical JSON of the episode that each answer is about.
        texts: the answers.

    Returns:
        1 or 0 for each answer: ``rollouts/valid`` (a plan can be read), ``rollouts/solved`` (it succeeds in the
        simulator), ``rollouts/state_exact`` (just the true facts are stated).
    """
    verdicts: dict[str, list[float]] = {"rollouts/valid": [], "rollouts/solved": [], "rollouts/state_exact": []}
    for canonical, text in zip(episodes, texts, strict=True):
        episode = _episode(canonical)
        found = score(episode, "visual", Response(episode.id, text, "stop"))
        verdicts["rollouts/valid"].append(float(found.plan is not None))
        verdicts["rollouts/solved"].append(float(found.outcome is Outcome.SOLVED))
        exact = found.facts == get_task(episode.task).facts(episode.state)
        verdicts["rollouts/state_exact"].append(float(exact))
    return verdicts


@lru_cache(maxsize=65_536)
def _episode(canonical: str) -> Episode:
    return episode_from_json(json.loads(canonical))
