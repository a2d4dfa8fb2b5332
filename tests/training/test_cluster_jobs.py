"""`fit.sbatch` on a SLURM that is a handful of scripts: stopped before its time is up, handed in again, resumed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fake_slurm
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checkpoint_files import read_checkpoint
from training_files import ROOT, arguments, logged_rows
from waiting import wait_until

STEPS = 40
STOPS = (5, 15)  # rows that are logged by then
BATCH = ROOT / "lightning_configs" / "cluster" / "fit.sbatch"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "bin"
    fake_slurm.install(place)
    (place / "gaze-vlm").write_text(f'#!/bin/sh\nexec {sys.executable} -m gaze_vlm "$@"\n')
    (place / "gaze-vlm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.chdir(ROOT)
    return place


@pytest.mark.parametrize(
    ("nodes", "tasks", "strategy"),
    [
        (1, 1, "ddp"),
        pytest.param(1, 2, "ddp", marks=pytest.mark.cluster),
        pytest.param(1, 2, "fsdp2", marks=pytest.mark.cluster),
        pytest.param(2, 1, "ddp", marks=pytest.mark.cluster),
    ],
)
def test_a_job_that_is_stopped_twice_trains_what_a_whole_one_trains(
    slurm: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, nodes: int, tasks: int, strategy: str
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for run in (whole, stopped):
        config, *options = arguments(run, tiny_llava, prepared, steps=STEPS)
        handed = [BATCH, config.removeprefix("--config="), run, *options, "--run.save_every_minutes=0"]
        handed.append(f"--trainer.strategy={strategy}")
        subprocess.run(["sbatch", f"--nodes={nodes}", f"--ntasks-per-node={tasks}", *handed], check=True)
    for rows, sent in zip(STOPS, (fake_slurm.signal_of(slurm, 2), signal.SIGUSR1), strict=True):
        wait_until(lambda rows=rows: logged_rows(stopped) >= rows, slurm / "2.log")  # type: ignore[misc]
        tasks_before = fake_slurm.tasks_of(slurm, 2)
        for pid in tasks_before:
            os.kill(pid, sent)
        wait_until(lambda before=tasks_before: fake_slurm.tasks_of(slurm, 2) != before, slurm / "2.log")  # type: ignore[misc]
    for run, number in ((whole, 1), (stopped, 2)):
        wait_until((run / "metrics.json").is_file, slurm / f"{number}.log")
    assert (slurm / "calls.txt").read_text() == "scontrol requeue 2\n" * 2
    assert (stopped / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert (stopped / "predictions.jsonl").read_bytes() == (whole / "predictions.jsonl").read_bytes()
    weights = [read_checkpoint(run / "checkpoints/last.ckpt")["state_dict"] for run in (whole, stopped)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(("tested", "status", "again"), [(False, 143, True), (False, 1, False), (True, 143, False)])
def test_a_job_whose_time_is_up_in_its_test_is_handed_in_again(
    slurm: Path, tmp_path: Path, tested: bool, status: int, again: bool
) -> None:
    """But one whose test fails is not, nor one that is done."""
    run = RunDirectory(tmp_path / "run")
    wrote = f"touch {run.scores}" if tested else "true"
    (slurm / "srun").write_text(
        f'#!/bin/sh\nmkdir -p {run}; echo \'{{"state": "finished"}}\' > {run.state_file}; {wrote}\nexit {status}\n'
    )
    subprocess.run(["sbatch", BATCH, "kitchen/gaze", run.path], check=True)
    wait_until(lambda: run.state_file.exists() and not fake_slurm.processes(slurm, "1"), slurm / "1.log")
    assert (slurm / "calls.txt").exists() is again


def test_a_job_that_trained_nothing_is_not_handed_in_again(slurm: Path, tmp_path: Path) -> None:
    """srun ends as one of its processes that it stopped itself, whatever the first to fail said."""
    (slurm / "srun").write_text("#!/bin/sh\nexit 143\n")
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.write_state("interrupted")  # by another job
    subprocess.run(["sbatch", BATCH, "kitchen/gaze", run.path], check=True)
    wait_until(lambda: not fake_slurm.processes(slurm, "1"), slurm / "1.log")
    assert not (slurm / "calls.txt").exists()
    run.state_file.unlink()
    (slurm / "srun").write_text(f'#!/bin/sh\necho \'{{"state": "interrupted"}}\' > {run.state_file}\nexit 137\n')
    subprocess.run(["sbatch", BATCH, "kitchen/gaze", run.path], check=True)
    wait_until((slurm / "calls.txt").is_file, slurm / "2.log")
    assert (slurm / "calls.txt").read_text().startswith("scontrol requeue 2\n")
