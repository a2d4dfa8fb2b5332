"""What a long training costs beside its steps: what saving takes from them, whether memory and descriptors grow.

    python benchmarks/endurance.py [STORE]

Memory and open descriptors of the kitchen's gaze arm (`lightning_configs/kitchen/gaze.yaml`) and its loaders, every 50
of 500 steps, with a validation and both checkpoints every 50; STORE is a kitchen's, and one is made where none is
given. Saving is timed on a state as large as that of LoRA and the projector of a model of 7 billion parameters:
`foreground` is what the training waits for, `background` what a thread writes while it goes on.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import numpy as np
import psutil
import torch
from result import cpu_name, write_result
from step import ROOT, kitchen_store

from gaze_vlm.command_line.composition import expand_configs
from gaze_vlm.training.checkpoint_files import CheckpointFiles
from gaze_vlm.training.lightning_cli import GazeCLI, make_cli

STEPS, EVERY = 500, 50
TRAINED = 63_000_000  # LoRA of rank 16 on LLaVA 1.5 7B's language model, and its projector; with two moments each
SAVES, INTERVAL_S = 5, 600.0  # the default of `run.save_every_minutes`


class Usage(L.Callback):
    """Megabytes and descriptors of this process and its children."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, int]] = []

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        step = trainer.global_step
        if step % EVERY == 1 and step > 1 and (not self.rows or self.rows[-1][0] != step):
            processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
            own = processes[0]
            self.rows.append((step, own.memory_info().rss / 2**20, sum(process.num_fds() for process in processes)))


class WatchedCLI(GazeCLI):
    """`fit` that is looked at."""

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        self.usage = Usage()
        trainer.callbacks.append(self.usage)
        return trainer


def fit(store: Path, folder: Path) -> list[tuple[int, float, int]]:
    """Train, and return step, megabytes and descriptors."""
    options = [f"--config={ROOT / 'lightning_configs' / 'kitchen' / 'gaze.yaml'}", f"--data.store={store}"]
    options += [f"--data.features={folder / 'features'}", f"--run.dir={folder / 'run'}", "--data.workers=2"]
    options += [
        "--trainer.limit_val_batches=1",
        f"--trainer.max_steps={STEPS + 1}",
        f"--validate_every_n_steps={EVERY}",
    ]
    sys.argv = ["fit", "fit", *expand_configs(options)]
    return make_cli(WatchedCLI, None, run=True).usage.rows


def saving(folder: Path) -> dict[str, float]:
    """Seconds of saving in the foreground and in the background, each the median of some."""
    weights = {f"layer{i}": torch.randn(TRAINED // 64) for i in range(64)}
    moments = {
        i: {"exp_avg": weight.clone(), "exp_avg_sq": weight.clone()} for i, weight in enumerate(weights.values())
    }
    state = {"gaze_vlm": {}, "state_dict": weights, "optimizer_states": [{"state": moments}]}
    files, seconds = CheckpointFiles(), []
    for _ in range(SAVES):
        began = time.perf_counter()
        files.save_checkpoint(state, folder / "last.ckpt")
        middle = time.perf_counter()
        files.wait()
        seconds.append((middle - began, time.perf_counter() - middle))
    foreground, background = np.median(seconds, axis=0)
    return {
        "saved_mb": round((folder / "last.ckpt").stat().st_size / 2**20),
        "saving_foreground_s": round(float(foreground), 3),
        "saving_background_s": round(float(background), 3),
        "saving_share_of_default_interval": round(float(foreground) / INTERVAL_S, 5),
    }


def growth(rows: list[tuple[int, float, int]]) -> dict[str, float | str]:
    """Memory at each look and its slope, and the numbers of descriptors that were seen."""
    steps, megabytes, descriptors = np.array(rows).T
    return {
        "rss_mb": " ".join(f"{one:.0f}" for one in megabytes),
        "rss_kb_a_step": round(float(np.polyfit(steps, megabytes, 1)[0]) * 1024, 2),
        "descriptors_least": int(descriptors.min()),
        "descriptors_most": int(descriptors.max()),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    with TemporaryDirectory() as made:
        folder = Path(made)
        saved = saving(folder)
        store = Path(sys.argv[1]) if len(sys.argv) > 1 else kitchen_store(folder)
        write_result(
            "endurance",
            {**saved, **growth(fit(store, folder))},
            "python benchmarks/endurance.py",
            cpu_name(),
            ["torch", "lightning", "transformers"],
            {"threads": 1, "steps": STEPS, "looked at every": EVERY, "saves": SAVES, "loaders": 2},
        )
