"""A whole comparison as jobs of a SLURM that is a handful of scripts: one is stopped, then the comparison is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import fake_slurm
from training_files import ARMS, ROOT, arguments, logged_rows
from waiting import wait_until

STEPS = 40
ROWS = 5  # that are logged when a run is stopped
pytestmark = pytest.mark.cluster


@pytest.fixture(params=[1, 2])
def tasks(request: pytest.FixtureRequest) -> int:
    """Processes that train a run together, each a task of its job."""
    return int(request.param)


@pytest.fixture
def place(tasks: int, tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_text(
        "timeout_min: 5\nslurm_signal_delay_s: 60\nslurm_additional_parameters: {requeue: true}\n"
        f"tasks_per_node: {tasks}\n"
    )
    together = [f"--trainer.devices={tasks}", "--trainer.strategy=ddp"] if tasks > 1 else []
    for name in ("whole", "jobs"):
        _, _, _, *options = arguments(tmp_path / "runs" / "any", tiny_llava, prepared, steps=STEPS)
        comparison = {
            "dataset": "kitchen",
            "backbone": "tiny-llava",
            "runs": f"runs/{name}",
            "output": f"results/{name}",
            "configs": [str(ROOT / "lightning_configs/kitchen/gaze.yaml")],
            "arms": {"control": str(ARMS / "control.yaml"), "gaze": str(ARMS / "gaze.yaml")},
            "control": "control",
            "seeds": [0],
            "overrides": [*options, "--run.save_every_minutes=0", *together],
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(comparison))
    return tmp_path


def test_a_comparison_that_is_stopped_and_killed_ends_with_the_table_of_a_whole_one(place: Path) -> None:
    assert comparison("whole").wait(600) == 0, (place / "whole.txt").read_text()

    slurm = ("--engine", "submitit", "--engine_options", "options.yaml")
    killed = comparison("jobs", *slurm)
    run, log = place / "runs/jobs/gaze/seed0", place / "jobs.txt"
    try:
        wait_until(lambda: logged_rows(run) >= ROWS, log)
        stopped = job_of(place, "gaze")
        tasks_before = fake_slurm.tasks_of(place / "bin", stopped)
        for pid in tasks_before:
            os.kill(pid, fake_slurm.signal_of(place / "bin", stopped))  # as the cluster does before the time is up
        wait_until(lambda: fake_slurm.tasks_of(place / "bin", stopped) != tasks_before, log)
        rows = logged_rows(run)
        wait_until(lambda: logged_rows(run) > rows, log)  # it goes on
    finally:
        killed.kill()
        killed.wait()
    assert comparison("jobs", *slurm).wait(600) == 0, log.read_text()

    assert f"job {stopped} is of a comparison that was stopped or killed: it is cancelled" in log.read_text()
    calls = (place / "bin/calls.txt").read_text()
    assert f"scontrol requeue {stopped}\n" in calls
    assert f"scancel {stopped}\n" in calls
    assert json.loads((run / "training.json").read_text())["resumes"] == 2
    for arm in ("control", "gaze"):
        for name in ("metrics.csv", "predictions.jsonl"):
            whole, jobs = ((place / "runs" / of / arm / "seed0" / name).read_bytes() for of in ("whole", "jobs"))
            assert whole == jobs, (arm, name)
    assert (place / "results/whole.csv").read_bytes() == (place / "results/jobs.csv").read_bytes()


def comparison(name: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gaze_vlm", "compare", f"--config={name}.yaml", "--count=0", *options]
    with Path(f"{name}.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def job_of(place: Path, arm: str) -> int:
    """The number of the job that trains an arm."""
    named = f"#SBATCH --job-name=gaze-vlm-{arm}-seed0\n"
    return next(n for n in (1, 2) if named in (place / f"runs/jobs/submitit/{n}_submission.sh").read_text())
