"""Two processes that train every family together: python distributed_families.py FOLDER STEPS. Run by test_ddp.py."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.parallel import DistributedDataParallel

from backbone_families import FAMILIES, Family, collate, make_backbone, make_clip
from gaze_vlm.attention import GazeRegularizer
from gaze_vlm.backbones.passes import BackboneOutput
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.training.fsdp2 import mixed_precision, shard
from gaze_vlm.training.module import GazeVLM

PROCESSES, SAMPLES = 2, 4  # of a step, over all processes
TARGETS = ("cut onion", "pick up red cup", "cut red cup")


class InTwoProcesses(nn.Module):
    """A module whose forward pass is its training step, as Lightning has it under DDP."""

    def __init__(self, module: GazeVLM) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Any) -> torch.Tensor:
        return self.module.training_step(batch, 0)


def reduce(value: torch.Tensor, reduce_op: str) -> torch.Tensor:
    torch.distributed.all_reduce(value)
    return value / PROCESSES if reduce_op == "mean" else value


def make_module(family: Family, folder: Path, processes: int) -> GazeVLM:
    """All parts learn, in double precision; λ follows the ratio of the gradients.

    In single precision, rounding grows over 20 steps until two splits of a batch differ, in one process too.
    """
    backbone = make_backbone(
        family, folder / family.name, family.outputs[-1], train=("vision", "projector", "language")
    )
    module = GazeVLM(backbone, GazeRegularizer(schedule="calibrated"), ratio_every_n_steps=5)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    strategy = SimpleNamespace(reduce=reduce if processes > 1 else lambda value, reduce_op: value)
    module._trainer = SimpleNamespace(log_every_n_steps=1, world_size=processes, strategy=strategy)  # type: ignore[assignment]
    return module.double()


def train(module: GazeVLM, steps: int, own: slice, wrapped: Any = None) -> Iterator[dict[str, float]]:
    """Train on new clips in each step, of which a process has its own; what was logged of each step."""
    # Plain SGD: Adam would blow the rounding of near-zero gradients up to whole steps.
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=1e-3)
    module.trainer.optimizers = [optimizer]
    for step in range(steps):
        module.trainer.global_step = step  # type: ignore[misc]
        loss = (wrapped or InTwoProcesses(module))(batch_of(module, step, own))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield {name: float(value) for name, value in module.row.items()}


def batch_of(module: GazeVLM, step: int, own: slice) -> Batch:
    clips = [make_clip(SAMPLES * step + i, TARGETS[i % 3]) for i in range(SAMPLES)][own]
    return collate(module.backbone, clips).map_tensors(lambda one: one.double() if one.is_floating_point() else one)


def evaluate(module: GazeVLM, own: slice) -> tuple[list[float], list[str]]:
    """The cross-entropies and answers of some clips."""
    module.eval()
    made: list[tuple[BackboneOutput, list[str]]] = []
    module.evaluation = SimpleNamespace(score=lambda batch: made.append(module.backbone.evaluate(batch)))  # type: ignore[assignment]
    with torch.no_grad():
        module.validation_step(batch_of(module, 0, own), 0)
    ((output, answers),) = made
    return output.cross_entropy.tolist(), answers


def main(rank: int, folder: Path, steps: int) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder / 'meet'}", rank=rank, world_size=PROCESSES)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    own = slice(rank * SAMPLES // PROCESSES, (rank + 1) * SAMPLES // PROCESSES)
    for family in FAMILIES:
        replicated, sharded = (make_module(family, folder, PROCESSES) for _ in range(2))
        under_ddp = [*train(replicated, steps, own, DistributedDataParallel(InTwoProcesses(replicated)))]
        shard(sharded, mesh, mixed_precision("32-true"), reshard_after_forward=True)
        under_fsdp2 = [*train(sharded, steps, own)]
        model = sharded.backbone.generative_model
        if rank == 1:  # it has more clips to score, and every answer ends at its first word
            model.generation_config.eos_token_id = list(range(model.config.get_text_config().vocab_size))
        scores: list[Any] = [None] * PROCESSES
        torch.distributed.all_gather_object(scores, evaluate(sharded, slice(1) if rank == 0 else slice(1, None)))
        if rank == 0:
            whole = make_module(family, folder, 1)
            alone = [pytest.approx(row, rel=1e-5) for row in train(whole, steps, slice(None))]
            assert under_ddp == alone, family.name
            assert under_fsdp2 == alone, family.name
            cross_entropies, answers = evaluate(whole, slice(None))
            assert scores[0][0] + scores[1][0] == pytest.approx(cross_entropies, rel=1e-4), family.name
            assert scores[0][1] == answers[:1], family.name
            print(family.name, flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    # Forked after the slow imports, and before torch has started a thread.
    torch.multiprocessing.start_processes(
        main, (Path(sys.argv[1]), int(sys.argv[2])), nprocs=PROCESSES, start_method="fork"
    )
