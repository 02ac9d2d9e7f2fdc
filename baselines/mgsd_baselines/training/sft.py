"""Supervised fine-tuning: the cold start on perception (paper: stage 1) and direct fine-tuning on solver answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from torch.utils.data import Sampler
from trl import SFTTrainer

if TYPE_CHECKING:
    from datasets import Dataset


class StepSampler(Sampler[int]):  # type: ignore[misc]
    """Shuffled rows, those of one optimiser step in order of length.

    A step sees the same rows as without the order, in micro-batches that need less padding. The order of an epoch is
    a function of seed and epoch, so a resumed training goes on with the rows it had not seen.

    Args:
        lengths: length of each row, in any unit.
        step: rows an optimiser step sees.
        seed: seed of the shuffling.
    """

    def __init__(self, lengths: Sequence[int], step: int, seed: int) -> None:
        self._lengths, self._step, self._seed, self._epoch = lengths, step, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration is of."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        order = list(range(len(self._lengths)))
        Random(f"{self._seed}/{self._epoch}").shuffle(order)
        for first in range(0, len(order), self._step):
            yield from sorted(order[first : first + self._step], key=self._lengths.__getitem__)


class SortedSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with :class:`StepSampler`.

    Args:
        lengths: length of each row of the training set; None leaves the rows of a step as they come.
    """

    def __init__(self, *args: Any, lengths: Sequence[int] | None = None, **kwargs: Any) -> None:
        self._lengths = lengths
        super().__init__(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> StepSampler:
        step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        lengths = self._lengths or [0] * len(train_dataset or self.train_dataset)
        return StepSampler(lengths, step, self.args.seed)
