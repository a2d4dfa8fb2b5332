"""Two processes that train every family together: python ddp_families.py FOLDER. Run by test_ddp.py."""

import os
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from backbone_families import FAMILIES, make_backbone, make_batch


class Loss(nn.Module):
    """The cross-entropy, and the attention where there is one, as one number."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, batch: object) -> torch.Tensor:
        return self.backbone(batch).cross_entropy.sum()


def main(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder / 'meet'}", rank=rank, world_size=2)
    for family in FAMILIES:
        backbone = make_backbone(
            family, folder / family.name, family.outputs[-1], train=("vision", "projector", "language")
        )
        wrapped = DistributedDataParallel(Loss(backbone))
        for _ in range(2):  # what got no gradient in the first is reported in the second
            wrapped(make_batch(backbone, 1 + rank)).backward()
        first = next(p for p in backbone.parameters() if p.requires_grad)
        same = [torch.zeros_like(first) for _ in range(2)]
        torch.distributed.all_gather(same, first.grad)
        assert torch.equal(*same), family.name
        if rank == 0:
            print(family.name, flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    # Forked after the slow imports, and before torch has started a thread.
    torch.multiprocessing.start_processes(main, (Path(sys.argv[1]),), nprocs=2, start_method="fork")
