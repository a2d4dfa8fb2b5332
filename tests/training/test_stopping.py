"""A training or a test that a signal stops, and what is left of it."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from event_files import scalars
from gaze_vlm.cli import main
from gaze_vlm.command_line.commands import resume_command
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.module import GazeVLM
from training_files import arguments, signal_at, steps_logged

STEPS = 4


def cost(run: Path) -> dict[str, Any]:
    return json.loads((run / "training.json").read_text())


@pytest.mark.parametrize(
    ("number", "status", "hook"),
    [
        (signal.SIGINT, 130, "on_train_batch_end"),
        (signal.SIGTERM, 143, "on_train_batch_end"),
        (signal.SIGTERM, 143, "on_validation_batch_start"),
        (signal.SIGINT, 130, "on_validation_batch_end"),
    ],
    ids=["Ctrl-C", "SIGTERM", "as a validation begins", "in a validation"],
)
def test_a_stopped_training_resumes(
    number: int,
    status: int,
    hook: str,
    tiny_llava: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    run, handlers = tmp_path / "run", [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    options = [*arguments(run, tiny_llava, prepared, steps=STEPS), "--validate_every_n_steps=2"]
    with monkeypatch.context() as once:
        signal_at(once, number, step=2, hook=hook)
        try:
            ended = main(["fit", *options])
        except SystemExit as stop:
            ended = int(stop.code or 0)
    assert ended == status
    assert f"stopped at step 2; resume with: {resume_command(RunDirectory(run))}" in capsys.readouterr().err
    assert RunDirectory(run).state == "interrupted"
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert steps_logged(run) == [0, 1]
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == handlers
    until_then = cost(run)["train_seconds"]
    assert until_then > 0
    assert main(resume_command(RunDirectory(run)).split()[1:]) == 0
    assert RunDirectory(run).state == "finished"
    assert cost(run)["train_seconds"] > until_then
    assert steps_logged(run) == list(range(STEPS))
    with (run / "metrics.csv").open() as file:
        validated = [int(row["step"]) for row in csv.DictReader(file) if row["validation/score"]]
    assert validated == [1, 3]
    curves = scalars(run / "tensorboard")
    assert [*curves["train/cross_entropy"]] == list(range(STEPS))
    assert [*curves["validation/score"]] == validated
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == STEPS


def test_a_stopped_last_validation_is_repeated(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as once:
        signal_at(once, signal.SIGINT, step=3, hook="on_validation_batch_end")
        assert main(["fit", *arguments(run, tiny_llava, prepared), "--run.save_every_minutes=0"]) == 130
    assert not (run / "checkpoints" / "best.ckpt").exists()
    assert main(resume_command(RunDirectory(run)).split()[1:]) == 0
    assert steps_logged(run) == [0, 1, 2]
    assert (run / "checkpoints" / "best.ckpt").is_file()


def test_a_stopped_test_says_so(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert main(["fit", *arguments(run, tiny_llava, prepared, steps=1)]) == 0
    monkeypatch.setattr(GazeVLM, "on_test_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM), raising=False)
    with pytest.raises(SystemExit) as stop:
        main(["test", f"--config={run / 'config.yaml'}", "--ckpt_path=best", "--data.batch_size=1"])
    assert stop.value.code == 143
    assert not (run / "metrics.json").exists()


def test_a_second_signal_stops_at_once(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    signal_at(monkeypatch, signal.SIGINT, step=1, times=2)
    assert main(["fit", *arguments(run, tiny_llava, prepared)]) == 130
    assert RunDirectory(run).state == "interrupted"
    assert not (run / "checkpoints" / "last.ckpt").exists()
