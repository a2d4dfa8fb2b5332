"""Batches of an optimiser step that know each other's sizes, so that they add up to one large batch."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, Dataset

from gaze_vlm.datamodules.clip import Batch, Clip, totals_of


class StepLoader(DataLoader[Clip]):
    """Loads the batches of an optimiser step before it hands over the first, and gives each the totals of all.

    The two terms of the loss are normalised by different numbers (tokens, valid frames), which must be known before
    the first backward pass. Host memory holds the batches of one step. Batches that do not fill a step are dropped, as
    samples are that do not fill a batch.

    Args:
        dataset: of clips.
        accumulated: how many batches make a step.
        options: of a `DataLoader`.
    """

    def __init__(self, dataset: Dataset[Clip], accumulated: int = 1, **options: Any) -> None:
        super().__init__(dataset, **options)
        self.accumulated = accumulated

    def __len__(self) -> int:
        return super().__len__() // self.accumulated * self.accumulated

    def __iter__(self) -> Any:
        return self._by_step(super().__iter__())  # made here: it draws from the random state

    def _by_step(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while len(step := list(islice(batches, self.accumulated))) == self.accumulated:
            for batch, totals in zip(step, totals_of(step), strict=True):
                batch.step = totals
                yield batch
