"""What checks, watches and records every run, beside the callbacks that a configuration names."""

import sys

from lightning.pytorch.callbacks import Callback

from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.callbacks import FinalValidation, GradientCheck, PlainProgress, SeedOfBatch, best_checkpoint
from gaze_vlm.training.checkpoint_files import CheckpointFiles
from gaze_vlm.training.finite import FiniteCheck
from gaze_vlm.training.loggers import ContinuedLogs
from gaze_vlm.training.peer_watch import PeerWatch
from gaze_vlm.training.resuming import LastCheckpoint
from gaze_vlm.training.run_files import RunFiles, RunOptions
from gaze_vlm.training.sample_pictures import SamplePictures
from gaze_vlm.training.stalls import StallWatch
from gaze_vlm.training.throughput import ThroughputLog
from gaze_vlm.training.training_facts import TrainingFacts
from gaze_vlm.training.unreadable import UnreadableClips


def callbacks_of_run(
    options: RunOptions, seed: int, data: ClipDataModule, files: CheckpointFiles | None
) -> list[Callback]:
    """Return the callbacks of a run, in the order in which they are called.

    Args:
        options: where the run goes.
        seed: of the run.
        data: what it reads.
        files: write the checkpoints of a training; None where nothing is trained.
    """
    run = RunDirectory(options.dir)
    callbacks: list[Callback] = [best_checkpoint(run), GradientCheck(), FiniteCheck(), FinalValidation()]
    callbacks += [SeedOfBatch(seed), RunFiles(options, seed, data), PeerWatch(run)]
    if options.stalled_after_minutes is not None:
        callbacks.append(StallWatch(60 * options.stalled_after_minutes))
    if files is not None:
        callbacks += [ThroughputLog(run, options.peak_tflops), TrainingFacts(run), ContinuedLogs(run)]
        callbacks += [SamplePictures(options.shown_samples), UnreadableClips(data.unreadable_share)]
        callbacks.append(LastCheckpoint(run, 60 * options.save_every_minutes, files))
    if not sys.stderr.isatty():
        callbacks.append(PlainProgress())
    return callbacks
