"""`fit`, `validate`, `test` and `predict`: Lightning's CLI over our module and datamodule."""

import os
import secrets
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins.environments import ClusterEnvironment, SLURMEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from gaze_vlm.command_line.class_paths import check_classes, restrict_imports
from gaze_vlm.command_line.composition import expand_configs, naming_files
from gaze_vlm.command_line.examples import EXAMPLES, TRAINING
from gaze_vlm.command_line.help_page import HelpAction
from gaze_vlm.command_line.options import OneLineParser
from gaze_vlm.command_line.quiet import quiet
from gaze_vlm.command_line.stopping import TERMINATED
from gaze_vlm.command_line.wrong_options import not_made
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.datamodules.loader_deaths import loader_deaths
from gaze_vlm.errors import InputError, UserError
from gaze_vlm.ranges import is_seed
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.callbacks import counted_in_batches
from gaze_vlm.training.checkpoint import options_of_training, store_digest
from gaze_vlm.training.checkpoint_files import CheckpointFiles, find_checkpoint
from gaze_vlm.training.checks import Training, refuse_what_would_fail
from gaze_vlm.training.checks.problem import is_first_process, number_of_devices
from gaze_vlm.training.checks.trainer import refused_by_trainer
from gaze_vlm.training.frozen_features import FrozenFeatures
from gaze_vlm.training.loggers import loggers_of, name_known_runs
from gaze_vlm.training.module import GazeVLM
from gaze_vlm.training.run_callbacks import callbacks_of_run
from gaze_vlm.training.run_files import RunOptions, SaveConfig

OF_LIGHTNING = "PL_GLOBAL_SEED"
"""Environment variable by which Lightning's first process hands the seed to those that it starts."""
PROCESSES = ("WORLD_SIZE", "SLURM_NTASKS")
Cli = TypeVar("Cli", bound="GazeCLI")


class TrainingParser(OneLineParser, LightningArgumentParser):
    """Of the four commands: no abbreviation, one line for an error, a help of our options first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "add_help": False})
        self.add_argument("-h", "--help", action=HelpAction)


class GazeCLI(LightningCLI):
    """Lightning's CLI with a run directory for logs, checkpoints and results."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "GazeCLI":
        """Return itself: a model leads here, and a copy of one must not copy the trainer with its loggers."""
        return self

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return the command that was given alone: each has a large parser of its own."""
        return {name: skipped for name, skipped in LightningCLI.subcommands().items() if name in sys.argv[1:2]}

    def _parse_ckpt_path(self) -> None:
        """Take no configuration from a checkpoint, as Lightning would: it is none that was checked."""

    def _dump_config(self) -> None:
        """Write out no hyperparameters: neither class keeps any, and the run's config.yaml has them all."""
        self.config_dump: dict[str, Any] = {}

    def before_instantiate_classes(self) -> None:
        config = self.given
        if config.get("weights_only") is False:
            raise InputError("weights_only: false would run code that a checkpoint holds: take it out")
        check_classes(config)
        if config.get("ckpt_path") is not None:
            name_known_runs(config.trainer.logger, RunDirectory(Path(config.run.dir)))

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except ValueError as error:
            if isinstance(error.__cause__, UserError):
                raise error.__cause__ from None  # a process that passes it on would lose the cause
            if isinstance(error, UserError) or error.__cause__ is None:
                raise
            raise InputError(not_made(error)) from error

    def after_instantiate_classes(self) -> None:
        data, options = self.datamodule, self.options
        self.model.made_by = {
            "arm": options.arm,
            "seed": self._get(self.config, "seed_everything"),
            "dataset": options.dataset,
            "store": store_digest(data.store_path),
            "train_clips": data.train_clips,
            "processes": self.training.processes,
            "length": {name: self._get(self.config, f"trainer.{name}") for name in ("max_steps", "max_epochs")},
            "options": options_of_training(self.given.as_dict()),
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run", type=RunOptions, default=RunOptions(), help="where the run goes")
        parser.add_argument(
            "--validate_every_n_steps",
            type=PositiveInt | None,
            default=None,
            help="validate every so many optimiser steps, and after the last; null validates after each epoch",
        )
        parser.link_arguments("run.dir", "trainer.default_root_dir")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)  # `_set_seed` sees to a seed to draw

    def _set_seed(self) -> None:
        config = self.given
        config["seed_everything"] = config["data"]["seed"] = seed_of(config["seed_everything"])
        super()._set_seed()

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        files = CheckpointFiles()
        fits = self.subcommand == "fit" and not self._get(self.config, "trainer.fast_dev_run")  # which writes nothing
        configured = self._get(self.config_init, "trainer.callbacks") or []
        callbacks = [*configured] if isinstance(configured, list) else [configured]
        seed = self._get(self.config, "seed_everything")
        callbacks += callbacks_of_run(self.options, seed, self.datamodule, files if fits else None)
        every_n_steps = self._get(self.config, "validate_every_n_steps")
        kwargs |= counted_in_batches(every_n_steps, self._get(self.config, "trainer"))
        if not sys.stderr.isatty():
            kwargs["enable_progress_bar"] = False
        logger = self._get(self.config_init, "trainer.logger")
        kwargs["logger"] = loggers_of(self.run_directory, logger) if fits else logger or False
        given = self._get(self.config_init, "trainer.plugins") or []
        plugins = given if isinstance(given, list) else [given]
        if SLURMEnvironment.detect() and not any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
            plugins = [*plugins, SLURMEnvironment(auto_requeue=False)]  # it would write a second kind of checkpoint
        kwargs["plugins"] = [*plugins, files]
        number_of_devices(self._get(self.config, "trainer.devices"))  # Lightning makes a list of any number of CPUs
        with refused_by_trainer():
            return super().instantiate_trainer(callbacks=callbacks, **kwargs)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        file = find_checkpoint(kwargs.get("ckpt_path"), self.run_directory, subcommand)
        return {**kwargs, "ckpt_path": file, "weights_only": True}

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            with loader_deaths():
                super()._run_subcommand(subcommand)
        except SIGTERMException:  # in a test, which does not resume; Lightning's own status is 0
            raise SystemExit(TERMINATED) from None
        except SystemExit as stop:
            if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning's own status of Ctrl-C is 1
                raise KeyboardInterrupt from None
            raise

    @property
    def given(self) -> Any:
        """The configuration of the command, nested."""
        return self.config if self.subcommand is None else self.config[self.subcommand]

    @property
    def options(self) -> RunOptions:
        """Where the run goes, and what it is called."""
        return self._get(self.config_init, "run")

    @property
    def run_directory(self) -> RunDirectory:
        """The run directory."""
        return RunDirectory(self.options.dir)

    @property
    def training(self) -> Training:
        """What the checks look at."""
        every_n_steps = self._get(self.config, "validate_every_n_steps")
        trainer, resumed = self._get(self.config, "trainer"), self._get(self.config, "ckpt_path")
        return Training(self.model, self.datamodule, trainer, self.options, every_n_steps, resumed)

    def before_fit(self) -> None:
        for doubt in refuse_what_would_fail(self.training):
            rank_zero_warn(doubt.text)
        self.connect()

    def connect(self) -> None:
        """Give the module labels and fixations, and the datamodule what makes a model's inputs."""
        self.datamodule.setup(self.subcommand)
        self.model.labels = self.datamodule.labels
        self.model.fixations_of_sessions = self.datamodule.fixations_of_sessions
        self.datamodule.make_collator = self.model.backbone.collator
        self.datamodule.keep_features = FrozenFeatures(self.model, self.datamodule)

    before_validate = before_test = before_predict = connect

    def fit(self, **kwargs: Any) -> None:
        """Train, and keep the state of the run directory."""
        if self._get(self.config, "trainer.fast_dev_run"):  # writes nothing
            self.trainer.fit(**kwargs)
            return
        resumes = kwargs["ckpt_path"] is not None
        with self.run_directory.training(resumes, self.options.overwrite) if is_first_process() else nullcontext():
            self.trainer.fit(**kwargs)

    def after_fit(self) -> None:
        if self.options.test_after_fit and not self._get(self.config, "trainer.fast_dev_run"):  # which saves nothing
            self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path="best", weights_only=True)


def train(args: list[str]) -> GazeCLI:
    """Run a command line of `fit`, `validate`, `test` or `predict`."""
    expanded = expand_configs(args)
    sys.argv = [sys.argv[0], *expanded]  # Lightning reads it there, and again in the processes that it starts
    try:
        with naming_files(args):
            return make_cli(GazeCLI, None, run=True)
    except MisconfigurationException as error:  # Lightning's, of what the trainer was asked for
        raise InputError(" ".join(str(error).split())) from error


def make_cli(
    cli: type[Cli], args: ArgsType, run: bool, prog: str = "gaze-vlm", description: str = TRAINING["fit"]
) -> Cli:
    """Parse a command line or options; where `run`, do what it says."""
    quiet()
    restrict_imports()
    helps = {name: {"description": TRAINING[name], "examples": EXAMPLES[name]} for name in cli.subcommands()}
    own = {"description": description, "examples": EXAMPLES.get(prog.removeprefix("gaze-vlm "), ()), "prog": prog}
    return cli(
        GazeVLM,
        ClipDataModule,
        parser_class=TrainingParser,
        save_config_callback=SaveConfig,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        parser_kwargs={**own, **(helps if run else {})},
        args=args,
        run=run,
    )


def training_parser() -> LightningArgumentParser:
    """Return the parser of `fit`; the other three commands take the same options."""
    return make_cli(_ParserAlone, None, run=True)._subcommand_parsers["fit"]


class _ParserAlone(GazeCLI):
    """The parser of `fit`, and no parsing."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {"fit": LightningCLI.subcommands()["fit"]}

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        self.config = Namespace(subcommand=None)

    def _nothing(self) -> None:
        """In place of what uses a configuration."""

    _parse_ckpt_path = _set_seed = _add_instantiators = _nothing
    before_instantiate_classes = instantiate_classes = after_instantiate_classes = _nothing


def seed_of(given: bool | int) -> int:
    """Return the given seed, or draw one where it is True.

    A drawn seed is the same in all processes of a run.

    Raises:
        InputError: no seed is asked for, or one that is out of range, or processes that do not know of each other are
            to draw one.
    """
    if given is False:
        raise InputError("seed_everything is false; expected a number, or true to draw one: run.json records it")
    if given is not True:
        is_seed(given)
        return given
    if "LOCAL_RANK" in os.environ and OF_LIGHTNING in os.environ:
        return int(os.environ[OF_LIGHTNING])
    if any(int(os.environ.get(name) or 1) > 1 for name in PROCESSES):
        raise InputError("seed_everything is true, which would draw a seed in each of several processes; give a number")
    return secrets.randbelow(2**31)
