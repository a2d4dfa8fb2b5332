"""`fit`, `validate`, `test` and `predict`: Lightning's CLI over our module and datamodule."""

import sys
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger

from gaze_vlm.composition import expand_configs
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.module import GazeVLM
from gaze_vlm.run import PlainProgress, RunFiles, RunOptions, SaveConfig, checkpointing, write_lines


class GazeCLI(LightningCLI):
    """Adds the run directory, which the logger, the checkpoints and the results go into."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run", type=RunOptions, default=RunOptions(), help="where the run goes")
        parser.link_arguments("run.dir", "trainer.default_root_dir")
        parser.link_arguments("seed_everything", "data.seed")

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        options = self.options
        callbacks = [*(self._get(self.config_init, "trainer.callbacks") or []), checkpointing(options.dir)]
        callbacks.append(RunFiles(options, self._get(self.config, "seed_everything")))
        if not sys.stderr.isatty():
            callbacks.append(PlainProgress())
            kwargs["enable_progress_bar"] = False
        if self._get(self.config_init, "trainer.logger") is None:
            # A test's logger would delete what the training logged.
            kwargs["logger"] = CSVLogger(options.dir, name="", version="") if self.subcommand == "fit" else False
        return super().instantiate_trainer(callbacks=callbacks, **kwargs)

    @property
    def options(self) -> RunOptions:
        """Where the run goes."""
        return self._get(self.config_init, "run")

    def after_fit(self) -> None:
        if self.options.test_after_fit:
            self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path="best")

    def predict(self, **kwargs: Any) -> None:
        """Write the answers to predictions.jsonl; needs no target and no gaze."""
        batches = self.trainer.predict(**kwargs) or []
        write_lines(self.options.dir / "predictions.jsonl", [row for batch in batches for row in batch])


def train(args: list[str]) -> GazeCLI:
    """Do what a command line says."""
    args = expand_configs(args)
    sys.argv = [sys.argv[0], *args]  # Lightning reads it there, and again in the processes that it starts
    return _cli(None, run=True)


def load(config: Path) -> GazeCLI:
    """Module and datamodule of a run's config, neither trained nor loaded."""
    values = yaml.safe_load(config.read_text(encoding="utf-8"))
    for of_fit in ("ckpt_path", "weights_only"):
        values.pop(of_fit, None)
    sys.argv = sys.argv[:1]
    return _cli(values, run=False)


def _cli(args: ArgsType, run: bool) -> GazeCLI:
    return GazeCLI(
        GazeVLM,
        ClipDataModule,
        save_config_callback=SaveConfig,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        parser_kwargs={"description": "Train and test a vision-language model that learns where to look from gaze."},
        args=args,
        run=run,
    )
