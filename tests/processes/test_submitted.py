"""Commands as jobs: on this machine, and on a SLURM that is a handful of scripts."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from submitit import SlurmJob

import fake_slurm
from gaze_vlm.errors import InputError
from gaze_vlm.processes.submitted import Submitted
from waiting import wait_until

COUNTS = """
import signal, sys, time
from pathlib import Path
state = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (state.write_text(state.read_text() + "saved "), sys.exit(143)))
state.write_text((state.read_text() if state.exists() else "") + ("resumed " if "--resume" in sys.argv else "begun "))
if "--resume" not in sys.argv and "--wait" in sys.argv:
    time.sleep(60)
print("counted")
"""


def resumed(command: list[str]) -> list[str]:
    return [*command, "--resume"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path])
    )  # its jobs import this file
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_text(
        "timeout_min: 5\nslurm_partition: gpu\nslurm_additional_parameters: {requeue: true}\n"
    )
    (tmp_path / "local.yaml").write_text("cluster: local\ntimeout_min: 5\n")
    (tmp_path / "counts.py").write_text(COUNTS)
    return tmp_path


def command(*options: str) -> list[str]:
    return [sys.executable, "counts.py", "state.txt", *options]


@pytest.mark.parametrize("options", ["options.yaml", "local.yaml"])
def test_a_command_runs_as_a_job_and_its_output_is_in_its_log(place: Path, options: str) -> None:
    with Submitted(Path(options), Path("submitit"), resumed) as launch:
        assert launch(command(), Path("log.txt"), {}) == 0
        assert launch([sys.executable, "-c", "print('no'); raise SystemExit(3)"], Path("log.txt"), {}) == 3
    assert Path("log.txt").read_text() == "counted\nno\n"
    assert not [*Path("submitit").glob("*.running")]


def test_a_job_asks_the_cluster_for_what_its_options_say(place: Path) -> None:
    with Submitted(Path("options.yaml"), Path("submitit"), resumed) as launch:
        Path("runs/gaze/seed0").mkdir(parents=True)
        assert launch(command(), Path("runs/gaze/seed0/log.txt"), {}) == 0
    text = Path("submitit/1_submission.sh").read_text()
    assert "#SBATCH --partition=gpu" in text
    assert "#SBATCH --time=5" in text
    assert "#SBATCH --job-name=gaze-vlm-gaze-seed0" in text
    assert "#SBATCH --requeue" in text


def test_a_job_whose_time_is_up_saves_and_goes_on(place: Path) -> None:
    with Submitted(Path("options.yaml"), Path("submitit"), resumed) as launch:
        thread, status = handed_in(launch)
        wait_until(has_begun, seconds=30)
        os.kill(fake_slurm.tasks_of(Path("bin"), 1)[0], signal.SIGUSR2)  # SLURM signals the step, before the time is up
        thread.join(60)
    assert status == [0]
    assert Path("state.txt").read_text() == "begun saved resumed "
    assert Path("bin/calls.txt").read_text() == "scontrol requeue 1\n"


def test_what_a_killed_comparison_left_has_ended_before_its_successor_begins(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    """Job 41 is unknown to the cluster, as it forgets jobs some time after their end."""
    Path("stops.sh").write_text("trap 'sleep 3; echo saved > state.txt; exit' TERM; touch begun; sleep 60 & wait\n")
    subprocess.run(["sbatch", "stops.sh"], check=True)
    wait_until(Path("begun").is_file, seconds=30)
    Path("submitit").mkdir()
    for job in ("1", "41"):
        Path(f"submitit/{job}.running").touch()
    with Submitted(Path("options.yaml"), Path("submitit"), resumed):
        assert Path("state.txt").read_text() == "saved\n"
    assert Path("bin/calls.txt").read_text() == "scancel 1\nscancel 41\n"
    said = capsys.readouterr().err
    assert "job 41 is of a comparison that was stopped or killed: it is cancelled" in said
    assert "waiting until jobs are out of SLURM's queue: 1\n" in said
    assert not [*Path("submitit").glob("*.running")]


def test_a_job_whose_node_died_goes_on(place: Path) -> None:
    """SLURM hands it in again; submitit knows nothing of it."""
    with Submitted(Path("options.yaml"), Path("submitit"), resumed) as launch:
        thread, status = handed_in(launch)
        wait_until(has_begun, seconds=30)
        fake_slurm.send(Path("bin").absolute(), "1", signal.SIGKILL)
        subprocess.run(["scontrol", "requeue", "1"], check=True)
        thread.join(60)
    assert status == [0]
    assert Path("state.txt").read_text() == "begun resumed "


def test_a_job_that_the_cluster_does_not_take_has_failed(place: Path) -> None:
    refusing = Path("bin/sbatch")
    refusing.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2\nexit 1\n")
    with Submitted(Path("options.yaml"), Path("submitit"), resumed) as launch:
        assert launch(command(), Path("log.txt"), {}) == 1
    assert "sbatch: error: invalid partition specified: gpu" in Path("log.txt").read_text()


def test_a_second_comparison_leaves_the_jobs_of_the_first(place: Path) -> None:
    second = Submitted(Path("options.yaml"), Path("submitit"), resumed)
    refused = pytest.raises(InputError, match="submitit is being used for a comparison by another process")
    with Submitted(Path("options.yaml"), Path("submitit"), resumed), refused, second:
        pass
    with Submitted(Path("options.yaml"), Path("submitit"), resumed):
        pass


def test_a_comparison_that_is_stopped_does_not_wait_for_its_jobs(place: Path) -> None:
    with Submitted(Path("options.yaml"), Path("submitit"), resumed) as launch:
        thread, status = handed_in(launch)
        wait_until(lambda: bool([*Path("submitit").glob("*.running")]), seconds=30)
        launch.stop(signal.SIGINT)
        thread.join(60)
        assert launch(command(), Path("log.txt"), {}) == 130
    assert status == [130]
    assert Path("bin/calls.txt").read_text() == "scancel 1\n"


def test_a_job_that_ends_without_a_result_says_why(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlurmJob.watcher, "_delay_s", 0.1)  # between two looks at the states of jobs
    with Submitted(Path("options.yaml"), Path("submitit"), resumed) as launch:
        thread, status = handed_in(launch)
        wait_until(lambda: Path("state.txt").exists(), seconds=30)
        os.killpg(int(Path("bin/1.pid").read_text()), signal.SIGKILL)
        thread.join(60)
    assert status == [1]
    assert "job 1 ended without a result" in Path("log.txt").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timeout_min: 5\nslurm_queue: gpu\n", "options.yaml: submitit refuses these options: .*slurm_queue"),
        ("cluster: local\ntasks_per_node: 2\n", "options.yaml: tasks_per_node 2 with cluster: local"),
        ("- timeout_min\n", "options.yaml is no mapping of submitit's options"),
        ("cluster: pbs\n", "options.yaml: submitit refuses these options: .*pbs"),
        ("a: [\n", "options.yaml is no YAML of submitit's options"),
        ("a: 1\na: 2\n", "the key 'a' stands there twice"),
    ],
)
def test_options_that_submitit_does_not_take(place: Path, text: str, said: str) -> None:
    Path("options.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        Submitted(Path("options.yaml"), Path("submitit"), resumed)


def test_a_machine_without_slurm(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r'options.yaml: submitit refuses these options: Could not detect "srun"'):
        Submitted(Path("options.yaml"), Path("submitit"), resumed)


def handed_in(launch: Submitted) -> tuple[threading.Thread, list[int]]:
    """Hand in a command that waits; what waits for its end, and its status once that has come."""
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(launch(command("--wait"), Path("log.txt"), {})))
    thread.start()
    return thread, status


def has_begun() -> bool:
    return Path("state.txt").exists() and Path("state.txt").read_text() == "begun "
