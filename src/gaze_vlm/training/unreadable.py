"""Training clips that cannot be read: reported, counted, and too many of them stop the training."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.errors import InputError
from gaze_vlm.progress import say
from gaze_vlm.training.callbacks import over_processes

LOOK_EVERY = 10  # batches, at what all processes have counted


class UnreadableClips(Callback):
    """Report clips in whose place others are served, each once, and stop a training that has too many.

    All processes stop after the same batch.

    Args:
        share: most of an epoch's samples.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.count = 0  # of this process, in this epoch
        self.reported: dict[str, None] = {}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.count = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        for clip in batch.clips:
            if clip.stands_for:
                self.count += 1
                if clip.stands_for not in self.reported:
                    self.reported[clip.stands_for] = None
                    say(f"not read, {clip.clip_id} is trained on in its place: {clip.stands_for}")
        if (batch_idx + 1) % LOOK_EVERY == 0 or trainer.is_last_batch:
            self.refuse_too_many(trainer, len(batch))

    def refuse_too_many(self, trainer: L.Trainer, batch_size: int) -> None:
        """Stop where all processes together have more than the share.

        Raises:
            InputError: they have.
        """
        count = over_processes(trainer, self.count, "sum")
        samples = int(trainer.num_training_batches) * batch_size * trainer.world_size
        if count > self.share * samples:
            first = next(iter(self.reported), "the other processes say which")
            raise InputError(
                f"{count} of the {samples} samples of an epoch are of clips that cannot be read, more than "
                f"data.unreadable_share {self.share:g}: {first}"
            )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.reported:
            say(f"{len(self.reported)} training clips could not be read; others were trained on in their place")
