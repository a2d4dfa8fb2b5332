"""Two processes of which one alone has valid gaze train as one process with all samples."""

from functools import partial
from pathlib import Path

import pytest
import torch

from killed_training import train, without_gaze
from training_files import ARMS, arguments, learned, logged

SOURCES = {"block": ["gaze"], "vision": ["no-block", "vit-last"], "language": ["no-block", "language-all"]}
TWO = ("--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=1", "--trainer.accumulate_grad_batches=2")


@pytest.mark.parametrize("source", ["language", *(pytest.param(one, marks=pytest.mark.long) for one in SOURCES)])
def test_two_processes_train_as_one(source: str, tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    sgd = tmp_path / "sgd.yaml"  # Adam would blow the rounding of near-zero gradients up to whole steps
    sgd.write_text("model: {optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.5}}}")
    arms = [f"--config={ARMS / f'{arm}.yaml'}" for arm in SOURCES[source]]
    log, one, two = tmp_path / "log.txt", tmp_path / "one", tmp_path / "two"

    def options(run: Path) -> list[str]:
        return [*arguments(run, tiny_llava, prepared, steps=2), *arms, f"--config={sgd}"]

    second_samples = partial(without_gaze, {0: slice(1, None, 2)})
    assert train([*options(one), "--data.batch_size=4"], log, plan=second_samples) == [0]
    second_process = partial(without_gaze, {1: slice(None)})
    assert train([*options(two), *TWO], log, 2, plan=second_process) == [0, 0], log.read_text()
    assert logged(one, "train/valid_frames")[0] == 0.5
    for loss in ("cross_entropy", "divergence"):
        assert logged(two, f"train/{loss}") == pytest.approx(logged(one, f"train/{loss}"), abs=1e-5)
    weights = learned(two)
    for name, value in learned(one).items():
        assert torch.allclose(value, weights[name], atol=1e-5), name


@pytest.mark.long
def test_a_calibrated_weight_moves(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log.txt"
    calibrated = ("--model.regularizer.init_args.schedule=calibrated", "--model.ratio_every_n_steps=1")
    options = [*arguments(run, tiny_llava, prepared, steps=2), *TWO, *calibrated]
    assert train(options, log, 2, plan=partial(without_gaze, {1: slice(None)})) == [0, 0], log.read_text()
    ratios = logged(run, "train/gradient_ratio")
    assert min(ratios) > 0
    assert float(learned(run)["regularizer.weight"]) == pytest.approx((ratios[0] * ratios[1]) ** -0.5, rel=1e-4)
