"""Loading: the order of a training, batches of a step that know each other's sizes, even batches for evaluation."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from math import ceil
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from gaze_vlm.datamodules.clip import Clip, totals_of
from gaze_vlm.errors import InputError


class TrainingOrder(DistributedSampler[Clip]):
    """Draw a process's samples of an epoch, from the optimiser step on that the training has come to.

    The order is a function of seed and epoch alone, and the epoch one of the steps made: a training that resumes is
    served what a whole one would have been.

    Args:
        dataset: of clips.
        steps_made: returns the optimiser steps made until now, over all epochs.
        steps: optimiser steps of an epoch.
        step_samples: samples of this process in a step.
        options: of a `DistributedSampler`.
    """

    def __init__(
        self, dataset: Dataset[Clip], steps_made: Callable[[], int], steps: int, step_samples: int, **options: Any
    ) -> None:
        super().__init__(dataset, **options)
        self.steps_made = steps_made
        self.steps = steps
        self.step_samples = step_samples

    def __iter__(self) -> Iterator[Any]:
        epoch, made = divmod(self.steps_made(), self.steps)
        self.set_epoch(epoch)
        return islice(super().__iter__(), made * self.step_samples, None)


class StepLoader(DataLoader[Clip]):
    """Load the batches of an optimiser step, and give each the totals of all.

    The two terms of the loss are normalised by different numbers (tokens, valid frames), which must be known before the
    first backward pass. Host memory holds the batches of one step. Batches that do not fill a step are dropped, as
    samples are that do not fill a batch. `waited_s` counts the seconds in which it was waited for batches.

    Args:
        dataset: of clips.
        accumulated: how many batches make a step.
        options: of a `DataLoader`.
    """

    waited_s = 0.0

    def __init__(self, dataset: Dataset[Clip], accumulated: int = 1, **options: Any) -> None:
        super().__init__(dataset, **options)
        self.accumulated = accumulated

    def __len__(self) -> int:
        return super().__len__() // self.accumulated * self.accumulated

    def __iter__(self) -> Any:
        # Nothing is loaded before the first batch is asked for: Lightning makes an iterator before it has restored
        # the step that a training resumes from.
        batches = super().__iter__()
        while len(step := self._waited_for(batches)) == self.accumulated:
            for batch, totals in zip(step, totals_of(step), strict=True):
                batch.step = totals
                yield batch

    def _waited_for(self, batches: Iterator[Any]) -> list[Any]:
        asked_s = time.monotonic()
        step = list(islice(batches, self.accumulated))
        self.waited_s += time.monotonic() - asked_s
        return step


class EvenBatches(Sampler[list[int]]):
    """Batches for evaluation: each clip once with all its tasks, as many batches on each process.

    Sizes differ by at most one clip, so that nothing is repeated to fill up and no process waits for another.

    Args:
        clips: how many; their samples stand in order, those of a clip together.
        tasks: samples of a clip.
        batch_size: most samples of a batch, unless a clip has more.
        rank: of this process.
        processes: how many there are.

    Raises:
        InputError: fewer clips than processes.
    """

    def __init__(self, clips: int, tasks: int, batch_size: int, rank: int, processes: int) -> None:
        if clips < processes:
            raise InputError(f"{clips} clips for {processes} processes: evaluate on at most {clips} processes")
        batches = processes * ceil(clips / (max(1, batch_size // tasks) * processes))
        samples = np.arange(clips * tasks).reshape(clips, tasks)
        parts = np.array_split(samples, min(batches, clips // processes * processes))
        self.batches = [part.flatten().tolist() for part in parts][rank::processes]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
