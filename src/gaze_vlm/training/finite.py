"""A loss, a gradient or a weight that is not finite is an error: it stops the run before it can be saved."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from gaze_vlm.errors import InputError, first_of
from gaze_vlm.precision import upcast
from gaze_vlm.training.sharded_tensors import optimized_parameters, own_shard
from gaze_vlm.training.together import of_all

SHOWN = 8  # clip ids in a message
LEAST_SCALE = 1.0  # of 16-bit gradients; a scaler begins at 65,536 and halves it where they overflow
ADVICE = "lower the learning rate, set trainer.gradient_clip_val, or train in bf16-mixed or 32 bits"


class FiniteCheck(Callback):
    """Stop all processes before a step whose losses or gradients are not finite.

    It costs one wait for the device a step. Under 16-mixed the gradient scaler skips steps whose gradients overflow;
    that is an error once its scale is below `LEAST_SCALE`.

    Raises:
        InputError: naming the step, and the term with its clips, the weight or the gradient.
    """

    def __init__(self) -> None:
        self.clips: list[str] = []
        self.losses: list[tuple[dict[str, Tensor], list[str]]] = []  # of each batch of the step: of each sample, clips

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.clips = [clip.clip_id for clip in batch.clips]

    def on_before_backward(self, trainer: L.Trainer, pl_module: Any, loss: Tensor) -> None:
        self.losses.append((pl_module.losses, self.clips))

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        losses, self.losses = self.losses, []
        trained = optimized_parameters(optimizer)
        gradients = [own_shard(parameter.grad) for parameter in trained if parameter.grad is not None]
        norm = upcast(nn.utils.get_total_norm(gradients))
        values = [upcast(loss.sum()) for terms, _ in losses for loss in terms.values()]
        not_finite = (~torch.stack([value.to(norm) for value in (*values, norm)]).isfinite()).any()
        if not _anywhere(trainer, not_finite):
            return
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        found = list(losses_not_finite(losses)) or list(tensors_not_finite("the weight", pl_module.named_parameters()))
        if not found and (scaler is None or scaler.get_scale() < LEAST_SCALE):
            of_parameters = ((name, p.grad) for name, p in pl_module.named_parameters() if p.grad is not None)
            found = list(tensors_not_finite("the gradient of", of_parameters))
        found = list(dict.fromkeys(of_all(found)))
        if found:
            raise InputError(f"step {trainer.global_step + 1}: {'; '.join(found)}: {ADVICE}")


def losses_not_finite(losses: Sequence[tuple[Mapping[str, Tensor], Sequence[str]]]) -> Iterable[str]:
    """Name the terms that are not finite, and their clips.

    `losses` are of each batch: the terms, [sample, …], and the clip ids.
    """
    for name in dict.fromkeys(name for terms, _ in losses for name in terms):
        clips = []
        for terms, ids in losses:
            if name in terms:
                finite = terms[name].detach().reshape(len(ids), -1).isfinite().all(1)
                clips += [clip for clip, good in zip(ids, finite.tolist(), strict=True) if not good]
        if clips:
            yield f"the {name} of {first_of(clips, SHOWN)} is not finite"


def tensors_not_finite(what: str, named: Iterable[tuple[str, Tensor]]) -> Iterable[str]:
    """Name the tensors that are not finite, the first three; nothing where all are."""
    own = ((name, own_shard(value.detach())) for name, value in named)
    names = [name for name, value in own if value.is_floating_point() and not bool(value.isfinite().all())]
    if names:
        yield f"{what} {first_of(names)} is not finite"


def refuse_unfinite_weights(state: Mapping[str, Tensor], where: str, everywhere: bool = False) -> None:
    """Refuse weights that are not finite.

    Args:
        state: weights by name.
        where: what they are of.
        everywhere: all processes ask, which may hold them in shards: what one finds, all refuse.

    Raises:
        InputError: naming the weight.
    """
    found = list(tensors_not_finite("the weight", state.items()))
    for one in of_all(found) if everywhere else found:
        raise InputError(f"{where}: {one}: {ADVICE}")


def refuse_unfinite_scores(clips: Sequence[Any], cross_entropy: Tensor) -> None:
    """Refuse a batch to be scored, [sample], whose cross-entropy is not finite.

    Raises:
        InputError: naming the clips.
    """
    for found in losses_not_finite([({"cross-entropy": cross_entropy}, [clip.clip_id for clip in clips])]):
        raise InputError(f"scoring: {found}: the weights have left the numbers that this precision holds; {ADVICE}")


def _anywhere(trainer: L.Trainer, flag: Tensor) -> bool:
    """Whether a flag is set on any process."""
    if trainer.world_size > 1:
        flag = trainer.strategy.reduce(flag.float(), reduce_op="sum")
    return bool(flag)
