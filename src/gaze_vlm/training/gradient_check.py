"""What the first backward pass shows: parameters that are to learn and get no gradient."""

import lightning as L
from lightning.pytorch.callbacks import Callback

from gaze_vlm.errors import InputError


class GradientCheck(Callback):
    """Refuses a parameter that is said to learn and gets no gradient in the first backward pass: it would never move,
    and processes that train together would wait for it."""

    def __init__(self) -> None:
        self.checked = False

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.checked:
            return
        self.checked = True
        without = [name for name, p in pl_module.named_parameters() if p.requires_grad and p.grad is None]
        if without:
            raise InputError(
                f"{len(without)} parameters are to learn and get no gradient, such as {', '.join(without[:3])}: "
                "the loss does not depend on them. Take their part out of `train` and `lora`, or name them in the "
                "backbone's unused_parameters()"
            )
