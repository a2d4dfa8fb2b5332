"""Checks of a training whose weights are in shards."""

from collections.abc import Iterable
from functools import partial

from gaze_vlm.training.checks.problem import Problem, Training, refusals
from gaze_vlm.training.fsdp2 import FSDP2, FSDP2Strategy, check_shardable, mixed_precision

OTHERS = ("fsdp", "fsdp_cpu_offload", "FSDPStrategy", "ModelParallelStrategy")


def strategy_of(training: Training) -> str:
    """Return the name of the trainer's strategy, or of its class."""
    given = training.trainer.get("strategy", "auto")
    return str(given if isinstance(given, str) else given["class_path"]).rpartition(".")[2]


def sharded_training(training: Training) -> Iterable[Problem]:
    """Check that shards are those of our strategy, and in a precision that it has."""
    strategy = strategy_of(training)
    if strategy in OTHERS:
        yield Problem(f"trainer.strategy is {strategy}, whose shards are in no checkpoint of a run: set it to {FSDP2}")
    if strategy in (FSDP2, FSDP2Strategy.__name__):
        yield from refusals(partial(mixed_precision, training.precision))


def sharded_model(training: Training) -> Iterable[Problem]:
    """Check that the model can be sharded, where it is to be."""
    if strategy_of(training) in (FSDP2, FSDP2Strategy.__name__):
        yield from refusals(partial(check_shardable, training.module.backbone))
