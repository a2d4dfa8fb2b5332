"""Checks of the options and the store; no model is needed."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from gaze_vlm.backbones.checkpoint_files import check_weights
from gaze_vlm.backbones.loading import check_four_bits
from gaze_vlm.datamodules.gaze_sources import StoredGaze
from gaze_vlm.errors import UserError
from gaze_vlm.output import check_output_folder
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.preparation.quality_report import LOW_SHARE
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checkpoint import check_made_by
from gaze_vlm.training.checkpoint_files import find_checkpoint, read_checkpoint
from gaze_vlm.training.checks.problem import Problem, Training, is_first_process, refusals
from gaze_vlm.training.checks.versions import misfits
from gaze_vlm.training.resuming import LOGGED_ROWS


def versions_fit(training: Training) -> Iterable[Problem]:
    """Warn of installed packages whose versions do not fit each other.

    Such a pair may still work.
    """
    return (Problem(f"{misfit}: `make install` installs versions that fit", fatal=False) for misfit in misfits())


def four_bit_weights(training: Training) -> Iterable[Problem]:
    """Check that weights of 4 bits are frozen, with a GPU and bitsandbytes for them."""
    backbone = training.module.backbone
    return () if backbone.options.quantization is None else refusals(partial(check_four_bits, backbone.options.train))


def weights_in_32_bits(training: Training) -> Iterable[Problem]:
    """Check that the trainer leaves each weight in its own precision.

    In 16 bits throughout, λ, the gaze block, LoRA and the language model's angles of rotation would be rounded too. An
    export would not be: its answers would be others.
    """
    if training.precision in ("bf16-true", "16-true"):
        yield Problem(
            f"trainer.precision is {training.precision}, which would round λ, the gaze block, LoRA and the positions "
            "of tokens to 16 bits as well: set the backbone's dtype to bfloat16, and trainer.precision to bf16-mixed"
        )


def weights_there(training: Training) -> Iterable[Problem]:
    """Check that a folder with a model's configuration holds its weights too.

    Weights under the name of a hub are looked for when they are loaded.
    """
    folder = Path(training.module.backbone.options.checkpoint)
    return refusals(partial(check_weights, folder)) if (folder / "config.json").is_file() else ()


def prepared_store(training: Training) -> Iterable[Problem]:
    """Check that there is a store with enough clips for the training's batches."""
    data = training.data
    if not StoreFiles(data.store_path).manifest.is_file():
        yield Problem(f"{data.store_path} is no store: run `gaze-vlm prepare` before the training")
        return
    unusable = list(refusals(lambda: data.setup("fit")))
    yield from unusable
    if not unusable:
        yield from refusals(lambda: data.steps_of_training(training.processes, training.accumulated))
        yield from refusals(lambda: data.batches_of_evaluation("validation", 0, training.processes))


def valid_gaze(training: Training) -> Iterable[Problem]:
    """Check that some training frame has valid gaze, or a target, where λ > 0.

    Few such frames are worth a warning.
    """
    regularizer, data = training.module.regularizer, training.data
    if regularizer is None or not regularizer.is_active or not training.steps_of_epoch:
        return
    share = training.valid_share
    weights = {task: training.module.task_weights.get(task, 1.0) for task in data.tasks}
    if not any(weights.values()):
        yield Problem(
            f"task_weights are 0 for {' and '.join(weights)}, so λ > 0 would pull nothing: raise one, or set "
            "model.regularizer to null"
        )
    if data.targets is not None:
        yield from _met_targets(training, data.targets, share)
        return
    look = f"`gaze-vlm quality --store {data.store_path}` shows why"
    if share == 0:
        yield Problem(
            f"no frame of the training clips in {data.store_path} has valid gaze, so λ > 0 would pull toward nothing: "
            f"{look}; prepare again with gaze that fits the videos, or set model.regularizer to null"
        )
    elif share < LOW_SHARE:
        yield Problem(
            f"{share:.0%} of the training frames in {data.store_path} have valid gaze, the others have no pull: {look}",
            fatal=False,
        )


def _met_targets(training: Training, file: Path, share: float) -> Iterable[Problem]:
    data = training.data
    if share == 0:
        yield Problem(
            f"no frame of the training clips in {data.store_path} has a target in {file} within "
            f"{data.targets_within_s:g} s of its time and in view, so λ > 0 would pull toward nothing: fix its times, "
            "or raise data.targets_within_s"
        )
    elif share < 1:
        yield Problem(
            f"{share:.0%} of the training frames in {data.store_path} have a target in {file}, the others have no pull",
            fatal=False,
        )
    targets = data.datasets["train"].targets
    if targets is not None and targets.unknown:
        yield Problem(f"{file} has {targets.unknown} lines of videos that {data.store_path} lacks", fatal=False)


def gaze_of_other_times(training: Training) -> Iterable[Problem]:
    """Warn of clips that are given no gaze, for their session has no other time to take it from."""
    dataset = training.data.datasets.get("train")
    if dataset is not None and isinstance(dataset.gaze, StoredGaze) and (alone := dataset.gaze.without_donor):
        yield Problem(
            f"{alone} of {len(dataset.records)} training clips have no pull: no other clip of their session is far "
            "enough in time to lend its gaze (train_gaze: shuffled_in_time)",
            fatal=False,
        )


def resumed_training(training: Training) -> Iterable[Problem]:
    """Check that the checkpoint to resume from is of this arm, these data and these options."""
    try:
        file = find_checkpoint(training.ckpt_path, RunDirectory(training.run.dir), "fit")
    except UserError:  # which the check of the run directory reports
        return
    if file not in (None, "hpc") and Path(file).exists():
        checkpoint = read_checkpoint(Path(file), weights=False)
        remembered = checkpoint["gaze_vlm"].get("made_by") or {}
        yield from refusals(partial(check_made_by, remembered, training.module.made_by, resumes=True))
        began = remembered.get("length", {})
        for name, value in training.module.made_by["length"].items():
            if began.get(name, value) != value:
                yield Problem(
                    f"the training began with {name} {began[name]} and resumes with {value}: its learning rate follows "
                    "the schedule of the new length from here on, which is neither training's own",
                    fatal=False,
                )
        if LOGGED_ROWS not in checkpoint:
            yield Problem(f"{file} is of a version that could not resume exactly: begin anew with --run.overwrite=true")
        if training.trainer.get("overfit_batches"):
            yield Problem("trainer.overfit_batches begins with its first batch wherever a training resumes: begin anew")


def run_directory(training: Training) -> Iterable[Problem]:
    """Check that the run directory can be written, and holds no other run, or the one to resume."""
    directory, resumed = RunDirectory(training.run.dir), training.ckpt_path
    yield from refusals(partial(check_output_folder, directory.path))
    yield from refusals(partial(find_checkpoint, resumed, directory, "fit"))
    # Later processes find what the first has begun, and `fast_dev_run` writes nothing.
    if is_first_process() and not training.trainer.get("fast_dev_run"):
        yield from refusals(partial(directory.check_usable, resumed is not None, training.run.overwrite))
