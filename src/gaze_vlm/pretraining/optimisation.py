"""Steps of an optimiser, as the kitchen's checkpoints are trained."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gaze_vlm.progress import track


def steps(parameters: list[nn.Parameter], lr: float, count: int, description: str) -> Iterator[Any]:
    """Yield `count` times what takes an optimiser step: AdamW, one-cycle schedule."""
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=max(count, 1), pct_start=0.15)

    def step(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()

    for _ in track(range(count), description):
        yield step
