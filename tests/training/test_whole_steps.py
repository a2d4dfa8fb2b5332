"""A training has a last step, and neither validates nor stops within one."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Timer

from gaze_vlm.cli import main
from gaze_vlm.runs.directory import RunDirectory
from training_files import arguments, error_of, logged, steps_logged

ACCUMULATED = ("--data.batch_size=1", "--trainer.accumulate_grad_batches=4", "--validate_every_n_steps=null")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--trainer.max_steps=-1", "--trainer.max_epochs=-1"), "the training has no last step"),
        (("--trainer.max_steps=-1", "--trainer.max_time=00:00:10:00"), "the training has no last step"),
        (
            (*ACCUMULATED, "--trainer.val_check_interval=0.25"),
            "trainer.val_check_interval is 0.25: it would validate every 2 batches, within a step of 4 batches",
        ),
    ],
)
def test_fit_and_doctor_refuse_alike(
    options: tuple[str, ...],
    message: str,
    tiny_llava: Path,
    prepared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    given = [*arguments(tmp_path / "run", tiny_llava, prepared), *options]
    assert main(["fit", *given]) == 1
    assert message in error_of(capsys)
    assert main(["doctor", *given]) == 1
    assert message in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")  # of the timer, which the rest goes without
def test_a_training_whose_time_is_up_within_a_step_ends_it(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved within a step, it resumed without the batches of the step, and left out the rest of it."""

    def options(run: Path) -> list[str]:
        return [*arguments(run, tiny_llava, prepared, steps=3), *ACCUMULATED, "--trainer.val_check_interval=0.5"]

    def time_is_up(self: Timer, trainer: Any) -> None:
        trainer.should_stop = trainer.should_stop or trainer.fit_loop.total_batch_idx == 5

    whole, run = tmp_path / "whole", tmp_path / "run"
    assert main(["fit", *options(whole)]) == 0
    with monkeypatch.context() as once:
        once.setattr(Timer, "_check_time_remaining", time_is_up)
        assert main(["fit", *options(run), "--trainer.max_time=00:01:00:00"]) == 0
    assert steps_logged(run) == [0, 1]
    assert len(logged(run, "validation/score")) == 2
    assert main(["fit", *options(run), "--ckpt_path=last"]) == 0
    for name in ("train/cross_entropy", "validation/score"):
        assert logged(run, name) == logged(whole, name)


def test_a_trial_run_that_is_to_be_tested(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    options = arguments(tmp_path / "run", tiny_llava, prepared)
    assert main(["fit", *options, "--trainer.fast_dev_run=1", "--run.test_after_fit=true"]) == 0
    assert not RunDirectory(tmp_path / "run").checkpoints.exists()
