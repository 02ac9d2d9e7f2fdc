"""What is known of sampled answers: the part of each token, the simulator's verdict, and the means that are logged.

An answer has three parts in this order, of which any may be missing: the state in words, the route, and the plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from mgsd_bench.prompts import WITH_FACTS, Condition
from mgsd_bench.runs.rewards import episode_of, score_answer, score_step
from mgsd_bench.runs.scoring import Outcome
from mgsd_envs import get_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mgsd_baselines.training.divergence import Comparison

SPANS = ("state", "route", "plan")
"""The parts in the order in which an answer has them; token labels are indices into this."""

_PLAN = re.compile(r"<answer>", re.IGNORECASE)
_ROUTE = re.compile(r"^[^\w\n]*(?:\d{1,2}[.)][^\w\n]*)?route[ \t*_]*:", re.IGNORECASE | re.MULTILINE)
_DECILES = 10
_TOP_SHARE = 0.01


class Cuts(NamedTuple):
    """Where the parts of a text begin, as character offsets; the state begins at 0. An empty part has no width."""

    route: int
    plan: int


def cuts(text: str) -> Cuts:
    """Cut a text into its parts.

    The plan begins at the last ``<answer>``, the route at the last line before it that begins with ``Route:`` (list
    and bold marks may stand before), and the state is all that comes before. Without such a tag there is no plan,
    and without such a line no route. Linear in the text's length, for any text.
    """
    plan = len(text)
    for tag in _PLAN.finditer(text):
        plan = tag.start()
    route = plan
    for line in _ROUTE.finditer(text):
        if line.end() > plan:
            break
        route = line.start()
    return Cuts(route, plan)


def label(pieces: Sequence[str]) -> list[int]:
    """The part of each token, given the text of each.

    A token belongs to the part that its first character stands in: where one token holds the end of a part and the
    beginning of the next, predicting it ends the former.
    """
    begin = cuts("".join(pieces))
    labels = []
    offset = 0
    for piece in pieces:
        labels.append((offset >= begin.route) + (offset >= begin.plan))
        offset += len(piece)
    return labels


class TokenLabeller:
    """Labels the tokens of answers, without tokenising text anew.

    Args:
        tokenizer: decodes token ids. Each is decoded by itself, once, so that a byte-level token with part of a
            character reads as a replacement mark; tags and ``Route:`` are ASCII and not affected.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._pieces: dict[int, str] = {}

    def __call__(self, ids: Sequence[int]) -> list[int]:
        """The part of each token, as an index into :data:`SPANS`."""
        for unknown in set(ids) - self._pieces.keys():
            self._pieces[unknown] = self._tokenizer.decode(
                [unknown], skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        return label([self._pieces[i] for i in ids])


def deciles(mask: Tensor) -> Tensor:
    """The tenth of its answer, from 0 to 9, that each token stands in; ``mask`` (B, C) is 1 on an answer's tokens."""
    places = torch.arange(mask.size(1), device=mask.device)
    return (places * _DECILES).div(mask.sum(1, keepdim=True).clamp(min=1), rounding_mode="floor").clamp(max=9)


def score_rollouts(
    episodes: Sequence[str],
    texts: Sequence[str],
    tried: Sequence[str | None] | None = None,
    conditions: Sequence[Condition] | None = None,
) -> dict[str, list[float]]:
    """Score answers as the evaluation does, and steps by the distance to success.

    Args:
        episodes: canonical JSON of the episode that each answer is about.
        texts: the answers.
        tried: of each answer to a turn of the closed loop the actions before it, as a JSON list; None of others.
        conditions: how each of the others was asked; ``visual`` by default.

    Returns:
        1 or 0 for each answer with a plan: ``rollouts/valid`` (a plan can be read), ``rollouts/solved`` (it succeeds in
        the simulator), and where the state was asked for ``rollouts/state_exact`` (just the true facts are stated). For
        each answer with a step: ``steps/valid`` (an action can be read), ``steps/useful`` (it leads nearer to success).
    """
    names = ("rollouts/valid", "rollouts/solved", "rollouts/state_exact", "steps/valid", "steps/useful")
    verdicts: dict[str, list[float]] = {name: [] for name in names[: 3 if tried is None else None]}
    asked = conditions or ["visual"] * len(texts)
    for canonical, text, before, condition in zip(episodes, texts, tried or [None] * len(texts), asked, strict=True):
        if before is not None:
            gain = score_step(text, canonical, before).gain
            verdicts["steps/valid"].append(float(gain is not None))
            verdicts["steps/useful"].append(float(gain is not None and gain > 0))
            continue
        episode, scored = episode_of(canonical), score_answer(text, canonical, condition)
        verdicts["rollouts/valid"].append(float(scored.plan is not None))
        verdicts["rollouts/solved"].append(float(scored.outcome is Outcome.SOLVED))
        if condition in WITH_FACTS:
            exact = scored.facts == get_task(episode.task).facts(episode.state)
            verdicts["rollouts/state_exact"].append(float(exact))
    return verdicts


class MetricAccumulator:
    """Means by name over tokens or answers since the last reading, kept on the device as sums and counts."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._kl: list[Tensor] = []

    def add(self, name: str, values: Tensor) -> None:
        """Count the values (N,) towards the mean called ``name``."""
        row = torch.stack([values.float().sum(), values.new_tensor(values.numel(), dtype=torch.float32)])
        self._sums[name] = self._sums[name] + row if name in self._sums else row

    def add_tokens(self, comparison: Comparison, spans: Tensor, deciles: Tensor) -> None:
        """Count tokens.

        Args:
            comparison: student and teacher at each of N tokens, distances in nats.
            spans: index (N,) of the token's part of the answer.
            deciles: tenth (N,) of its answer that the token stands in, from 0.
        """
        self.add("kl/reverse", comparison.reverse_kl)
        for index, name in enumerate(SPANS):
            self.add(f"kl/{name}", comparison.reverse_kl[spans == index])
        for decile in range(_DECILES):
            self.add(f"kl/decile_{decile}", comparison.reverse_kl[deciles == decile])
        self.add("teacher_entropy", comparison.teacher_entropy)
        self.add("top1_agreement", comparison.agreement)
        self.add("k1", comparison.k1)
        self._kl.append(comparison.reverse_kl)

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
