"""A training that is killed and resumes gives what the whole one gives, bit for bit."""

import random
import signal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checkpoint_files import read_checkpoint
from killed_training import fill_the_disk, signal_all, train
from training_files import arguments

STEPS, STEPS_OF_EPOCH = 8, 4
LORA = (
    "--model.backbone.init_args.train=[projector]",
    "--model.backbone.init_args.lora={parts: [language], dropout: 0.3}",
)
CALIBRATED = ("--model.regularizer.init_args.schedule=calibrated",)
TWO = ("--trainer.devices=2", "--data.batch_size=1")
HOOKS = (
    "on_train_batch_start",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_train_epoch_end",
)
DRAW = random.Random(4)


def options_of(run: Path, checkpoint: Path, store: Path, *more: str) -> list[str]:
    options = arguments(run, checkpoint, store, steps=STEPS)
    return [*options, "--validate_every_n_steps=3", "--run.save_every_minutes=0", *LORA, *CALIBRATED, *more]


def resumed(run: Path, *more: str) -> list[str]:
    return [f"--config={run / 'config.yaml'}", "--ckpt_path=last", *more]


def saved(run: Path) -> dict[str, Any]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")


def assert_equal(first: Any, second: Any, where: str) -> None:
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_equal(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, list):
        assert len(first) == len(second), where
        for i, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_equal(one, other, f"{where}.{i}")
    else:
        assert first == second, where


def assert_same_training(run: Path, whole: Path) -> None:
    """Every row that was logged, and all that the last step left."""
    assert (run / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    one, other = saved(run), saved(whole)
    for part in ("global_step", "epoch", "state_dict", "optimizer_states", "lr_schedulers", "logged_rows"):
        assert_equal(one[part], other[part], part)
    best = [read_checkpoint(path / "checkpoints" / "best.ckpt") for path in (run, whole)]
    assert_equal(best[0]["state_dict"], best[1]["state_dict"], "best")


def killed_at(step: int) -> tuple[str, int]:
    """A place within a step, or after it."""
    return DRAW.choice(HOOKS[:3]), step


@pytest.fixture(scope="module")
def whole(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that had no fault."""
    folder = tmp_path_factory.mktemp("whole")
    assert train(options_of(folder / "run", tiny_llava, prepared), folder / "log.txt") == [0]
    return folder / "run"


def test_a_killed_training_ends_as_a_whole_one(whole: Path, tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """Killed in a step, in a validation and after its repetition, each time with another number of loader processes."""
    run, log = tmp_path / "run", tmp_path / "log.txt"
    kills = [killed_at(DRAW.randrange(2, 4)), ("on_validation_batch_end", 6), ("on_before_optimizer_step", 6)]
    assert train(options_of(run, tiny_llava, prepared, "--data.workers=2"), log, kill=kills[0]) == [-signal.SIGKILL]
    assert 0 < saved(run)["global_step"] < STEPS_OF_EPOCH
    for workers, kill in zip((0, 2), kills[1:], strict=True):
        assert train(resumed(run, f"--data.workers={workers}"), log, kill=kill) == [-signal.SIGKILL], kills
    assert train(resumed(run, "--data.workers=0"), log) == [0], kills
    assert_same_training(run, whole)


def test_a_signal_to_the_loaders_too_stops_it_after_a_step(
    whole: Path, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    """As a terminal sends it, and clusters that signal every process of a job."""
    run, log = tmp_path / "run", tmp_path / "log.txt"
    options = options_of(run, tiny_llava, prepared, "--data.workers=2")
    assert train(options, log, kill=("on_train_batch_end", 2), fault=signal_all) == [143], log.read_text()
    assert RunDirectory(run).state == "interrupted"
    assert train(resumed(run), log) == [0]
    assert_same_training(run, whole)


@pytest.mark.parametrize(
    ("strategy", "accumulated"),
    [pytest.param("ddp", 2, id="ddp"), pytest.param("fsdp2", 1, id="fsdp2", marks=pytest.mark.cluster)],
)
def test_killed_processes_end_as_whole_ones(
    tiny_llava: Path, prepared: Path, tmp_path: Path, strategy: str, accumulated: int
) -> None:
    """Two that train together; steps since the last validation are made again."""
    more = (*TWO, f"--trainer.strategy={strategy}", f"--trainer.accumulate_grad_batches={accumulated}")
    more += ("--run.save_every_minutes=10", "--trainer.max_steps=5")
    whole, run, log = tmp_path / "whole", tmp_path / "run", tmp_path / "log.txt"
    assert train(options_of(whole, tiny_llava, prepared, *more), tmp_path / "whole.txt", 2) == [0, 0]
    kill = killed_at(4)
    assert -signal.SIGKILL in train(options_of(run, tiny_llava, prepared, *more, "--data.workers=2"), log, 2, kill)
    assert saved(run)["global_step"] == 3
    assert train(resumed(run, "--data.workers=0"), log, 2) == [0, 0], kill
    assert_same_training(run, whole)


def test_a_full_disk_costs_no_checkpoint(whole: Path, tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log.txt"
    options = options_of(
        run, tiny_llava, prepared, "--run.shown_samples=0"
    )  # pictures would be the first to find no room
    assert train(options, log, kill=("on_train_batch_start", 4), fault=fill_the_disk) == [1]
    last_line = log.read_text().splitlines()[-1]
    assert "checkpoints/" in last_line
    assert "cannot be written (File too large): make room" in last_line
    assert 3 <= saved(run)["global_step"] <= 4
    assert train(resumed(run), log) == [0]
    assert_same_training(run, whole)


@pytest.mark.long
def test_a_training_may_be_killed_anywhere(whole: Path, tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    for hook, step in product(HOOKS, range(1, STEPS + 1)):
        run, log = tmp_path / f"{hook}-{step}", tmp_path / f"{hook}-{step}.txt"
        options = options_of(run, tiny_llava, prepared)
        for kill in ((hook, step), (hook, step), None):  # killed once more where it had got to
            if train(options, log, kill=kill) == [0]:
                break
            is_there = (run / "checkpoints" / "last.ckpt").is_file()
            options = resumed(run) if is_there else [*options, "--run.overwrite=true"]
        assert_same_training(run, whole)
