"""What a check looks at, and what it yields."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.errors import InputError, UserError
from gaze_vlm.training.module import GazeVLM
from gaze_vlm.training.run_files import RunOptions

MOST_DEVICES = 1024
"""Of a machine."""


@dataclass(frozen=True)
class Problem:
    """One line that names the value and the fix; only a fatal one stops `fit`."""

    text: str
    fatal: bool = True


@dataclass(frozen=True)
class Training:
    """A training that is configured and has not begun.

    Args:
        module: the module; the checks of the model find its backbone built on the meta device.
        data: the datamodule, set up or not.
        trainer: the trainer's options as configured, Lightning's defaults filled in.
        run: where the run goes.
        validate_every_n_steps: optimiser steps from one validation to the next; None counts epochs.
        ckpt_path: what the training resumes from; None begins anew.
    """

    module: GazeVLM
    data: ClipDataModule
    trainer: Mapping[str, Any]
    run: RunOptions
    validate_every_n_steps: int | None = None
    ckpt_path: str | None = None

    @property
    def processes(self) -> int:
        """How many processes train together."""
        try:
            of_node = number_of_devices(self.trainer.get("devices", 1))
        except UserError:  # which the check of the trainer reports
            of_node = 1
        if of_node is None:
            of_node = 1 if self.trainer.get("accelerator") == "cpu" else max(1, torch.cuda.device_count())
        return of_node * max(1, self.trainer.get("num_nodes") or 1)

    @property
    def callbacks(self) -> list[Any]:
        """The configured callbacks, of which one alone may be given without a list."""
        given = self.trainer.get("callbacks") or []
        return given if isinstance(given, list) else [given]

    @property
    def precision(self) -> str:
        """In which the model runs."""
        return str(self.trainer.get("precision") or "32-true")

    @property
    def accumulated(self) -> int:
        """How many batches of a process make one optimiser step."""
        return int(self.trainer.get("accumulate_grad_batches") or 1)

    @property
    def steps_of_epoch(self) -> int:
        """Optimiser steps of a whole epoch; 0 where the store cannot be used."""
        try:
            return self.data.steps_of_training(self.processes, self.accumulated)
        except (UserError, KeyError):  # which the check of the store reports
            return 0

    @property
    def limited_batches(self) -> int | None:
        """Batches of an epoch that `limit_train_batches` allows; None without that limit."""
        limit = self.trainer.get("limit_train_batches")
        if isinstance(limit, float) and limit <= 1:  # a share
            limit *= self.steps_of_epoch * self.accumulated
        return None if limit is None else int(limit)

    @cached_property
    def valid_share(self) -> float:
        """Share of the training frames with valid gaze; the store must be set up."""
        options = self.module.backbone.options
        return self.data.valid_share(options.view, options.min_mass_in_view)

    @cached_property
    def clips_by_text(self) -> dict[str, list[str]]:
        """The ids of the clips that have each text, each clip once a text; the store must be set up."""
        clips: dict[str, dict[str, None]] = {}
        for clip_id, text in served_texts(self.data):
            clips.setdefault(text, {})[clip_id] = None
        return {text: list(clip_ids) for text, clip_ids in clips.items()}


def served_texts(data: ClipDataModule) -> Iterator[tuple[str, str]]:
    """Yield clip id and text of every sample, those of every split that is served."""
    for dataset in data.datasets.values():
        for record in dataset.records:
            for task in data.tasks:
                yield record.clip_id, record.text(task)


def number_of_devices(given: int | str | list[int]) -> int | None:
    """Return how many devices `trainer.devices` asks for; None for all that there are.

    Raises:
        InputError: it asks for none, for one twice, for more than a machine has, or for what is no number.
    """
    if str(given) in ("auto", "-1"):
        return None
    try:
        if isinstance(given, int) or (isinstance(given, str) and "," not in given):
            numbers = [*range(min(int(given), MOST_DEVICES + 1))]
        else:
            numbers = [int(one) for one in (given.split(",") if isinstance(given, str) else given) if str(one).strip()]
    except ValueError:
        numbers = []
    if not numbers or len(numbers) > MOST_DEVICES or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise InputError(
            f"trainer.devices is {given!r}: expected how many (1 to {MOST_DEVICES}), a list of different devices, or "
            "auto"
        )
    return len(numbers)


def is_first_process() -> bool:
    """Return whether this is the first of the processes that train together, or the only one."""
    return getattr(rank_zero_only, "rank", 0) == 0


Check = Callable[[Training], Iterable[Problem]]


def refusals(action: Callable[[], object]) -> Iterable[Problem]:
    """Yield what an action refuses with a user's error."""
    try:
        action()
    except UserError as error:
        yield Problem(str(error))
