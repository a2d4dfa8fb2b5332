"""How hard the two losses pull: the ratio of their gradients' norms, over all processes."""

from typing import Any

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from gaze_vlm.precision import upcast
from gaze_vlm.training.sharded_tensors import optimized_parameters, own_shard


def gradient_ratio(module: L.LightningModule, cross_entropy: Tensor, divergence: Tensor) -> Float[Tensor, ""]:
    """Compute ‖∇ λ·divergence‖ / ‖∇ cross-entropy‖ of the gradients' means over processes.

    Only parameters that the divergence moves count. Gradients of before may be gone afterwards.

    Args:
        module: whose trainer has an optimiser of the trainable parameters.
        cross_entropy: of the first batch of a step, with its graph, which is kept.
        divergence: times λ, of the same pass.
    """
    trained = optimized_parameters(module.trainer.optimizers[0])
    if isinstance(module, FSDPModule):
        # Layers are gathered for the backward pass as their outputs are reached, all of which the cross-entropy does.
        losses = divergence + 0 * cross_entropy, cross_entropy
        of_divergence, of_ce = (sharded_squares(module, loss, trained) for loss in losses)
    else:
        of_divergence, of_ce = (squares(module, loss, trained) for loss in (divergence, cross_entropy))
    return (of_divergence.sum() / of_ce[of_divergence > 0].sum().clamp_min(1e-20)).sqrt()


def squares(module: L.LightningModule, loss: Tensor, trained: list[nn.Parameter]) -> Float[Tensor, " parameter"]:
    """Compute the squared norm of each parameter's gradient; 0 where the loss does not reach it."""
    gradients = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
    return torch.stack([loss.new_zeros(()) if g is None else upcast(mean(module, g)).square().sum() for g in gradients])


def mean(module: L.LightningModule, gradient: Tensor) -> Tensor:
    """Return a gradient's mean over processes; one may share its memory with another, so a copy is reduced."""
    if module.trainer.world_size == 1:
        return gradient
    return module.trainer.strategy.reduce(gradient.clone(memory_format=torch.contiguous_format), reduce_op="mean")


def sharded_squares(module: Any, loss: Tensor, trained: list[nn.Parameter]) -> Float[Tensor, " parameter"]:
    """Compute the same by a backward pass, which leaves each process its shard of the means."""
    optimizer = module.trainer.optimizers[0]
    optimizer.zero_grad()  # of the step before
    module.set_reshard_after_backward(False, recurse=False)  # its own parameters are needed again
    loss.backward(retain_graph=True)
    module.set_reshard_after_backward(True, recurse=False)
    of_shards = [loss.new_zeros(()) if p.grad is None else upcast(own_shard(p.grad)).square().sum() for p in trained]
    optimizer.zero_grad()
    return module.trainer.strategy.reduce(torch.stack(of_shards), reduce_op="sum")
