"""When a training validates: every so many optimiser steps, and after the last."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


def counted_in_batches(every_n_steps: int | None, trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The trainer's options for a validation every so many optimiser steps; Lightning counts batches.

    Args:
        every_n_steps: None leaves the trainer's options as they are, by default once an epoch.
        trainer: its options.
    """
    if every_n_steps is None:
        return {}
    batches = every_n_steps * (trainer.get("accumulate_grad_batches") or 1)
    return {"val_check_interval": batches, "check_val_every_n_epoch": None}


class FinalValidation(Callback):
    """Makes the trainer validate after the last step, whatever the interval: the best checkpoint comes of it."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if is_last_step(trainer):
            trainer.check_val_every_n_epoch = None  # count the batches of all epochs
            trainer.val_check_batch = trainer.fit_loop.total_batch_idx + 1


def is_last_step(trainer: L.Trainer) -> bool:
    """Whether the training ends with the batch that was just trained on."""
    last_epoch = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
    return trainer.global_step == trainer.max_steps or last_epoch
