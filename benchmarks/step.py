"""What a training step costs beside the model's own work: loading, logging, checks, and the pull toward gaze.

    python benchmarks/step.py [STORE]

The kitchen's runs (`lightning_configs/kitchen/gaze.yaml`), as `fit` runs them, from the tiny LLaVA that ships; STORE is
a kitchen's, and one is made where none is given. Processor time of one thread, which other work hardly changes. The
ways of a step take turns, in the other order every other round, and ratios are medians of the rounds' ratios:

- `loaded`: of the gaze arm, with its loader, over `bare`, a plain loop over ready batches with the same loss;
- `pull`: of the gaze arm over the control arm, λ = 1 over λ = 0, everything on;
- `transformers`: of the baseline without a block over `transformers.Trainer` on the same clips, whose frozen tower runs
  in each step.
"""

import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from result import cpu_name, write_result
from transformers import Trainer, TrainerCallback, TrainingArguments

from gaze_vlm.cli import main
from gaze_vlm.command_line.composition import expand_configs
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.training.lightning_cli import GazeCLI, make_cli

ROOT = Path(__file__).parents[1]
STEPS, FIRST, ROUNDS = 210, 10, 4  # the gradients' ratio is measured in step 200


class Clock(L.Callback):
    """Processor seconds of a step, from the end of one to the end of a later one."""

    seconds = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == FIRST:
            self.seconds = -time.process_time()
        if trainer.global_step == STEPS:
            self.seconds = (self.seconds + time.process_time()) / (STEPS - FIRST)


class TimedCLI(GazeCLI):
    """`fit` with a clock, and without its validation."""

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        self.clock = Clock()
        trainer.callbacks.append(self.clock)
        return trainer


def fit(store: Path, folder: Path, arm: str) -> TimedCLI:
    """Train an arm."""
    configs = [
        ROOT / "lightning_configs" / "kitchen" / "gaze.yaml",
        ROOT / "lightning_configs" / "arms" / f"{arm}.yaml",
    ]
    options = [f"--data.store={store}", f"--data.features={folder / 'features'}", f"--run.dir={folder / arm}"]
    options += ["--run.overwrite=true", "--trainer.limit_val_batches=1"]
    options += [f"--trainer.max_steps={STEPS}", f"--validate_every_n_steps={STEPS}"]
    sys.argv = ["fit", "fit", *expand_configs([*(f"--config={config}" for config in configs), *options])]
    made: TimedCLI = make_cli(TimedCLI, None, run=True)
    return made


def bare(cli: TimedCLI) -> float:
    """A step of a plain loop over ready batches, with the same loss."""
    module = cli.model
    module.train()
    batches: list[Batch] = list(islice(iter(cli.datamodule.train_dataloader()), 16))
    optimizer = torch.optim.AdamW(module.parameter_groups(), lr=3e-3, weight_decay=0.01)
    parameters = [p for p in module.parameters() if p.requires_grad]

    def step(batch: Batch) -> None:
        output = module.backbone(batch)
        frames, valid = module.regularizer(output.attention, batch.gaze, batch.valid)
        loss = output.cross_entropy.sum() / output.tokens + frames.sum() / valid
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return seconds_a_step(lambda number: step(batches[number % len(batches)]))


def seconds_a_step(step: Callable[[int], None]) -> float:
    """Processor seconds of a step, the first ones left out."""
    for number in range(FIRST):
        step(number)
    began = time.process_time()
    for number in range(FIRST, STEPS):
        step(number)
    return (time.process_time() - began) / (STEPS - FIRST)


def of_transformers(cli: TimedCLI, folder: Path) -> float:
    """A step of `transformers.Trainer` on the same clips, prepared beforehand."""
    data, backbone = cli.datamodule, cli.model.backbone
    dataset, collator = data.datasets["train"], backbone.collator()
    dataset.prepare_for(collator.pixel_values, None)
    ready = []
    for first in range(0, 16 * data.batch_size, data.batch_size):
        batch = collator(dataset.__getitems__([i % len(dataset) for i in range(first, first + data.batch_size)]))
        rows = batch.rows if batch.rows is not None else torch.arange(len(batch))
        inputs = {**batch.inputs, "pixel_values": batch.visual["pixel_values"][rows]}
        ready.append(backbone.prepare(inputs))
    clock: dict[str, float] = {}

    class StepClock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
            if state.global_step == FIRST:
                clock["began"] = time.process_time()
            if state.global_step == STEPS:
                clock["seconds"] = (time.process_time() - clock["began"]) / (STEPS - FIRST)

    arguments = TrainingArguments(
        output_dir=str(folder / "transformers"),
        max_steps=STEPS,
        per_device_train_batch_size=1,
        learning_rate=3e-3,
        weight_decay=0.01,
        save_strategy="no",
        logging_steps=10,
        report_to=[],
        use_cpu=True,
        remove_unused_columns=False,
        disable_tqdm=True,
    )
    Trainer(
        backbone.hf, arguments, train_dataset=ready, data_collator=lambda one: one[0], callbacks=[StepClock()]
    ).train()
    return clock["seconds"]


def measure(store: Path, folder: Path, number: int) -> dict[str, float]:
    """Ratios of a round; every other one takes the arms in the other order."""
    order = ("control", "gaze", "baseline")[:: -1 if number % 2 else 1]
    made = {arm: fit(store, folder, arm) for arm in order}
    control, gaze, baseline = (made[arm] for arm in ("control", "gaze", "baseline"))
    return {
        "loaded_over_bare": gaze.clock.seconds / bare(gaze),
        "gaze_over_control": gaze.clock.seconds / control.clock.seconds,
        "baseline_over_transformers": baseline.clock.seconds / of_transformers(baseline, folder),
        "gaze_step_ms": 1000 * gaze.clock.seconds,
    }


def kitchen_store(folder: Path) -> Path:
    """A small kitchen, prepared."""
    root, store = folder / "kitchen", folder / "store"
    main(["kitchen", f"--root={root}", "--participants=12"])
    preparation = ROOT / "lightning_configs" / "kitchen" / "preparation.yaml"
    main(["prepare", f"--config={preparation}", f"--root={root}", f"--store={store}"])
    return store


if __name__ == "__main__":
    torch.set_num_threads(1)
    with TemporaryDirectory() as made:
        store = Path(sys.argv[1]) if len(sys.argv) > 1 else kitchen_store(Path(made))
        rounds = [measure(store, Path(made), number) for number in range(ROUNDS)]
    figures: dict[str, float | int | str] = {}
    for name in rounds[0]:
        found = [one[name] for one in rounds]
        figures |= {name: round(median(found), 3), f"{name}_rounds": ", ".join(f"{one:.3f}" for one in found)}
    write_result(
        "step",
        figures,
        "python benchmarks/step.py",
        cpu_name(),
        ["torch", "lightning", "transformers"],
        {"threads": 1, "steps": STEPS - FIRST, "rounds": ROUNDS, "samples of a step": 32},
    )
