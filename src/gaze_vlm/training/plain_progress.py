"""Progress of a training where there is no terminal for Lightning's bar."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gaze_vlm.progress import Lines, say

INTERVAL_S = 60.0  # between lines of a training


class PlainProgress(Callback):
    """Lines instead of a bar, where there is no terminal: how far, losses, time left."""

    steps: Lines  # of the training
    batches: Lines  # of the validation, test or prediction under way

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        steps = trainer.estimated_stepping_batches
        self.steps = Lines("training", steps, trainer.global_step, interval_s=INTERVAL_S)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        line = self.steps.reach(trainer.global_step)
        if line is not None and trainer.is_global_zero:
            losses = (
                f"  {name.removeprefix('train/')} {float(value):.3f}"
                for name, value in trainer.callback_metrics.items()
                if name.startswith("train/")
            )
            say(line + "".join(losses))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches = Lines("validating", sum(trainer.num_val_batches), share=1.0)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches = Lines("testing", sum(trainer.num_test_batches))

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches = Lines("answering", sum(trainer.num_predict_batches))

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any, **__: Any) -> None:
        line = self.batches.advance()
        if trainer.is_global_zero and not trainer.sanity_checking:
            say(line)

    on_test_batch_end = on_predict_batch_end = on_validation_batch_end
