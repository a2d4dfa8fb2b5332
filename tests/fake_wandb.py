"""In place of W&B, which is large: remembers which runs are asked for and what is logged to them."""

import sys
from types import ModuleType
from typing import Any

import pytest
from lightning.pytorch.loggers import wandb


class FakeWandb:
    """Install as the package `wandb`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ids: list[str | None] = []  # of the run to be continued, at each start
        self.logged: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        names = ("wandb", "wandb.sdk", "wandb.sdk.lib", "wandb.wandb_run")
        modules: dict[str, Any] = {name: ModuleType(name) for name in names}
        modules["wandb"].run = None
        modules["wandb"].init = self.init
        modules["wandb"].Image = lambda image, caption: (image, caption)
        modules["wandb.sdk.lib"].RunDisabled = modules["wandb.wandb_run"].Run = _Run
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(wandb, "_WANDB_AVAILABLE", True)

    def init(self, **options: Any) -> "_Run":
        """Begin or continue a run, as `wandb.init` does."""
        self.ids.append(options["id"])
        return _Run(options["id"] or "drawn", self)


class _Run:
    def __init__(self, run_id: str, wandb: FakeWandb) -> None:
        self.id, self.wandb, self.config = run_id, wandb, self

    def update(self, values: dict[str, Any], allow_val_change: bool) -> None:
        self.wandb.config.update(values)

    def log(self, metrics: dict[str, Any]) -> None:
        self.wandb.logged.append(metrics)

    def define_metric(self, *args: Any, **options: Any) -> None:
        pass
