"""Silence notes of libraries that help no user; their real warnings stay."""

import logging
import os
import sys
import warnings

OF_NO_USE = (  # internals of libraries, and advice that the datamodule or the run directory has settled
    r".*LeafSpec.* is deprecated",
    r"(?s).*JSONARGPARSE_DEPRECATION_WARNINGS",
    r"You are using a custom batch sampler `EvenBatches` for prediction",  # it repeats and drops no sample
    r"Found \d+ module\(s\) in eval mode at the start of training",  # the frozen tower's, so that it has no dropout
    r".*does not have many workers",  # `gaze-vlm doctor` says what loading costs
    r"The number of training batches \(\d+\) is smaller than the logging interval",  # `log_every_n_steps` counts steps
    r"Checkpoint directory .* exists and is not empty",  # the run directory has a state of its own
    r"The dirpath has changed from",
    r"It is recommended to use `self.log\(.*sync_dist=True",  # scores are of all processes before they are logged
    r"You're resuming from a checkpoint that ended before the epoch ended",  # `TrainingOrder` begins there
)
NOTE_LOGGERS = ("lightning.pytorch", "lightning.fabric")
"""Loggers of notes: which devices there are, tips to install something, what was restored."""


def leave_out_bars() -> None:
    """Leave out the bars of libraries where there is no terminal; ours are plain lines there.

    They look for these variables when they are imported.
    """
    if sys.stderr.isatty():
        return
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "TQDM_DISABLE"):
        os.environ.setdefault(name, "1")
    if "transformers" in sys.modules:
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()


def quiet() -> None:
    """Leave out notes and tips of libraries."""
    for message in OF_NO_USE:
        warnings.filterwarnings("ignore", message)
    for name in NOTE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
