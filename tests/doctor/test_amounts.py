"""How much a training is: what `doctor` reports of clips, passes, validations and memory."""

from pathlib import Path

import pytest

from gaze_vlm.doctor.amounts import amounts, kept_in_words
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
    assert facts["features"].endswith(f"GB in {tmp_path.parent / 'features'}, at most 50 GB (features_gb)")
    trained = ["--model.backbone.init_args.train=[vision]"]
    facts = doctor([*arguments(tmp_path, tiny_llava, prepared), *trained]).facts
    assert facts["features"] == "none is kept: what makes them is trained"


def test_what_is_kept_of_clips(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """Of 4 frames: 17 tokens of 32 numbers each as features, 48 × 48 × 3 numbers each as pixels; 4 bytes a number."""
    training = configure([*arguments(tmp_path, tiny_llava, prepared), "--data.cached_clips=1000000"]).training
    training.data.setup("fit")
    training.module.backbone.load(weights=False)
    clips = sum(len(dataset.records) for dataset in training.data.datasets.values())
    assert kept_in_words(training, 400_000)["features"].startswith(f"about {clips * 4 * 0.4 * 17 * 32 / 1000:.2f} GB")
    training.data.features = None
    assert kept_in_words(training, 400_000)["clips in memory"].startswith(
        f"up to {clips * 4 * 0.4 * 48 * 48 * 3 / 1000:.2f} GB"
    )
