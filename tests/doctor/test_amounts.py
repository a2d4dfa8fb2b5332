"""How much a training is: what `doctor` reports of clips, passes, validations and memory."""

from pathlib import Path

import pytest

from egtea_files import HEIGHT_PX, WIDTH_PX
from gaze_vlm.doctor.amounts import amounts, decoded_bytes
from gaze_vlm.doctor.doctor import doctor
from gaze_vlm.training.configured import configure
from training_files import arguments

EPOCHS = ("--trainer.max_steps=-1", "--trainer.max_epochs=4", "--trainer.limit_train_batches=2")


@pytest.mark.parametrize(
    ("options", "steps", "validations"),
    [
        (["--trainer.max_steps=7", "--validate_every_n_steps=3"], 7, 3),
        (["--trainer.max_steps=6", "--validate_every_n_steps=3"], 6, 2),
        (["--trainer.max_steps=6", "--validate_every_n_steps=500"], 6, 1),
        ([*EPOCHS], 8, 1),
        ([*EPOCHS, "--validate_every_n_steps=null", "--trainer.check_val_every_n_epoch=3"], 8, 2),
        ([*EPOCHS, "--trainer.accumulate_grad_batches=2", "--validate_every_n_steps=3"], 4, 2),
    ],
)
def test_steps_and_validations(
    options: list[str], steps: int, validations: int, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    many = "--validate_every_n_steps=500"
    training = configure([*arguments(tmp_path, tiny_llava, prepared), many, *options]).training
    training.data.setup("fit")
    much = amounts(training)
    assert (much.steps, much.validations) == (steps, validations)


def test_the_page_says_how_much(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    options = ["--data.train_clips=4", "--trainer.max_steps=32", "--trainer.accumulate_grad_batches=2"]
    options += ["--validate_every_n_steps=10", "--data.cached_clips=5", "--data.workers=3", "--trainer.devices=2"]
    facts = doctor([*arguments(tmp_path, tiny_llava, prepared), *options, "--data.batch_size=1"]).facts
    assert facts["clips"].startswith("4 of ")
    assert facts["training"] == "32 optimiser steps of 2 × 2 × 1 samples, 16.0 passes over the clips"
    assert facts["validation"] == "4 times, after every 10 optimiser steps and after the last"
    assert facts["clips in memory"].endswith("of the host's (cached_clips 5 in 6 loaders)")
    assert facts["gaze"].startswith("valid in ")
    assert "frames in memory" in facts


def test_the_memory_of_decoded_clips(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """Clips of 4 frames, 3 bytes a pixel; no more of them than the store has."""
    training = configure(arguments(tmp_path, tiny_llava, prepared)).training
    training.data.setup("fit")
    dataset = training.data.datasets["train"]
    one = 4 * WIDTH_PX * HEIGHT_PX * 3  # of the videos; the gaze's frame is larger
    assert decoded_bytes(dataset, 2) == 2 * one
    assert decoded_bytes(dataset, 1_000_000) == len(dataset.records) * one
