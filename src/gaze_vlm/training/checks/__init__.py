"""What is checked before a training: one list, which `fit` runs before it loads weights and `doctor` prints.

A check takes a `Training` and yields a `Problem` for each thing that is wrong. Those in `CONFIGURATION` look at the
options and the store; those in `MODEL` at the model too, built on the meta device. To add one, write it in the file
that suits it (or a new one) and enter it in one of the two lists.
"""

import copy
from dataclasses import replace

import torch

from gaze_vlm.errors import InputError
from gaze_vlm.training.checks.configuration import (
    four_bit_weights,
    gaze_of_other_times,
    prepared_store,
    resumed_training,
    run_directory,
    valid_gaze,
    versions_fit,
    weights_in_32_bits,
    weights_there,
)
from gaze_vlm.training.checks.model import (
    clips_fit,
    divergence_has_gradient,
    frozen_weights_in_16_bits,
    heads_there,
    optimizer_fits,
    something_trainable,
)
from gaze_vlm.training.checks.problem import Check, Problem, Training, refusals
from gaze_vlm.training.checks.scores import monitored_scores
from gaze_vlm.training.checks.sharding import sharded_model, sharded_training
from gaze_vlm.training.checks.steps import some_steps, validation_interval, whole_steps
from gaze_vlm.training.checks.texts import gaze_is_read, long_texts, special_tokens, texts_of_the_model, unknown_words
from gaze_vlm.training.checks.trainer import saved_weights, trainer_options

__all__ = ["CONFIGURATION", "MODEL", "Problem", "Training", "problems", "refuse_what_would_fail"]

CONFIGURATION: tuple[Check, ...] = (
    versions_fit,
    run_directory,
    resumed_training,
    four_bit_weights,
    weights_in_32_bits,
    weights_there,
    trainer_options,
    sharded_training,
    some_steps,
    prepared_store,
    validation_interval,
    whole_steps,
    saved_weights,
    monitored_scores,
    valid_gaze,
    gaze_of_other_times,
)
MODEL: tuple[Check, ...] = (
    something_trainable,
    divergence_has_gradient,
    frozen_weights_in_16_bits,
    heads_there,
    sharded_model,
    optimizer_fits,
    clips_fit,
    special_tokens,
    gaze_is_read,
    long_texts,
    texts_of_the_model,
    unknown_words,
)


def problems(training: Training) -> tuple[list[Problem], bool]:
    """Find everything that is wrong, and whether the model could be built.

    It is built on the meta device.
    """
    found = [problem for check in CONFIGURATION for problem in check(training)]
    unbuilt = list(refusals(lambda: training.module.backbone.load(weights=False)))
    if unbuilt:
        return unbuilt + found, False
    return [problem for check in MODEL for problem in check(training)] + found, True


def refuse_what_would_fail(training: Training) -> list[Problem]:
    """Run all checks on a copy of the model; return what is worth a warning.

    The weights are not loaded yet.

    Raises:
        InputError: something would fail.
    """
    tried = replace(training, module=copy.deepcopy(training.module))
    with torch.random.fork_rng():  # a training draws what it would draw without the checks
        found, _ = problems(tried)
    fatal = [problem.text for problem in found if problem.fatal]
    if fatal:
        raise InputError("; ".join(fatal))
    return found
