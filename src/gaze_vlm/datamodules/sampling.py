"""Which samples go into which batch, on one process or many."""

from collections.abc import Iterator
from math import ceil

import numpy as np
from torch.utils.data import Sampler

from gaze_vlm.errors import InputError


class EvenBatches(Sampler[list[int]]):
    """Batches for evaluation: every sample in exactly one batch, and as many batches on every process.

    Sizes differ by at most one, so that nothing is repeated to fill up and no process waits for another.

    Raises:
        ValueError: fewer samples than processes.
    """

    def __init__(self, samples: int, batch_size: int, rank: int, processes: int) -> None:
        if samples < processes:
            raise InputError(f"{samples} samples for {processes} processes: evaluate on at most {samples} processes")
        batches = processes * ceil(samples / (batch_size * processes))
        self.batches = [part.tolist() for part in np.array_split(np.arange(samples), batches)][rank::processes]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
