"""Sampling in static batches, so that an answer depends on its own seed alone.

Sampling adds Gumbel noise to the logits and takes the largest, which draws from the same distribution as the usual
multinomial draw. Each request's noise comes from a generator of its own, so an answer does not hang on what else is in
the batch (but for rounding, which padding changes), and torch's own random state is never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mgsd_bench.backends import Sampling


class GumbelDecoder:
    """Turns logits into ones whose largest entry is the token to take; called once a step with all rows.

    Args:
        sampling: decoding parameters; at temperature 0 the logits stay without noise.
        seeds: one a row.
        mask: (rows, prompt tokens), 0 where a prompt is padded.
    """

    def __init__(self, sampling: Sampling, seeds: Sequence[int], mask: Any) -> None:
        import torch
        from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        self._penalty = sampling.repetition_penalty
        self._mask = mask.bool()
        self._seen: Any = None
        self._warpers: list[Any] = []
        self._generators: list[Any] = []
        if sampling.temperature > 0:
            self._generators = [torch.Generator(mask.device).manual_seed(seed) for seed in seeds]
            self._warpers.append(TemperatureLogitsWarper(float(sampling.temperature)))
            if sampling.top_k:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p < 1:
                self._warpers.append(TopPLogitsWarper(sampling.top_p))

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Logits (rows, vocabulary) for the tokens so far (rows, length), as transformers' logits processors."""
        import torch

        if self._penalty != 1:
            scores = self._penalised(input_ids, scores)
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        if not self._generators:
            return scores
        noise = torch.empty_like(scores)
        for row, generator in zip(noise, self._generators, strict=True):
            row.exponential_(generator=generator)
        return scores - noise.clamp_min_(torch.finfo(noise.dtype).tiny).log_()

    def _penalised(self, input_ids: Any, scores: Any) -> Any:
        """Logits with every token of prompt and answer made less likely, padding left out."""
        import torch

        if self._seen is None:
            self._seen = torch.zeros_like(scores, dtype=torch.bool)
            for seen, ids, mask in zip(self._seen, input_ids, self._mask, strict=True):
                seen[ids[mask]] = True
        else:
            self._seen.scatter_(1, input_ids[:, -1:], True)
        lowered = torch.where(scores < 0, scores * self._penalty, scores / self._penalty)
        return torch.where(self._seen, lowered, scores)
