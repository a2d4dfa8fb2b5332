"""A training that is configured and not begun, and a finished run with its weights: what other commands look at."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from gaze_vlm.command_line.composition import expand_configs, naming_files
from gaze_vlm.command_line.examples import TRAINING
from gaze_vlm.errors import MissingFileError
from gaze_vlm.output import kept
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checkpoint_files import read_checkpoint
from gaze_vlm.training.lightning_cli import GazeCLI, make_cli


class ConfiguredTraining(GazeCLI):
    """Module and datamodule of `fit`, without a trainer.

    A GPU that is asked for need not be here.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        for of_fit in ("ckpt_path", "weights_only"):  # a run's config.yaml has them
            parser.add_argument(f"--{of_fit}", type=Any, default=None, help="of `fit`")

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        return None


def configure(args: list[str], prog: str = "gaze-vlm fit", description: str = TRAINING["fit"]) -> ConfiguredTraining:
    """Parse a command line of `fit` into its module and datamodule.

    Neither is trained or loaded.
    """
    sys.argv = sys.argv[:1]
    with naming_files(args):
        return make_cli(ConfiguredTraining, expand_configs(args), run=False, prog=prog, description=description)


def check_finished(run: Path) -> None:
    """Check that a run can be loaded.

    Raises:
        MissingFileError: the run has no config or no checkpoint.
    """
    directory = RunDirectory(run)
    for file in (directory.config, directory.best):
        if not kept(file).exists():
            raise MissingFileError(f"{file} is missing: {run} is not a finished run; train it with `lightning fit`")


def load_run(run: Path, **overrides: Any) -> ConfiguredTraining:
    """Load a finished run, from its config and its best checkpoint.

    Args:
        run: its directory.
        overrides: options of the backbone that replace those of the config.

    Raises:
        MissingFileError: the run has no config or no checkpoint.
    """
    check_finished(run)
    directory = RunDirectory(run)
    if not directory.is_trained:
        rank_zero_warn(f"{run}: its training is {directory.state}: these are the best weights until now")
    cli = configure([f"--config={directory.config}", "--trainer.logger=null"])  # whose package need not be here
    cli.model.backbone.options = replace(cli.model.backbone.options, **overrides)
    cli.model.configure_model()
    checkpoint = read_checkpoint(directory.best)
    cli.model.on_load_checkpoint(checkpoint)
    cli.model.load_state_dict(checkpoint["state_dict"], strict=False)
    cli.model.eval()
    return cli
