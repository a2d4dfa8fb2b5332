"""Runs that start from a warmed process: equal to others, stopped as others are, and none is left behind."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing import util
from pathlib import Path

import pytest
import torch

from gaze_vlm.cli import main
from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.errors import MissingFileError
from gaze_vlm.processes.jobs import in_parallel
from gaze_vlm.processes.subprocesses import Subprocesses
from gaze_vlm.processes.warmed import SERVER_DIED, WarmedProcess
from gaze_vlm.workers import results_of
from light_functions import refuse, served
from training_files import arguments
from waiting import wait_until

FEW = ["gaze_vlm.kitchen.build"]  # to import: a process that is warmed for little
RENDER = ["kitchen", "--participants=200", "--workers=2"]  # goes on for minutes
PARENT = f"""
import sys
from pathlib import Path
from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.processes.jobs import in_parallel
from gaze_vlm.processes.subprocesses import Subprocesses
from gaze_vlm.processes.warmed import WarmedProcess

folder = Path(sys.argv[1])
with Subprocesses(WarmedProcess({{}}, {FEW})) as launch:
    work = lambda name: launch([*PROGRAM, *{RENDER}, f"--root={{folder / name}}"], folder / f"{{name}}.txt", {{}})
    in_parallel(work, ["first", "second", "third"], 2, "commands")
"""


def alive(mark: str) -> Iterator[int]:
    """Processes that have a mark in their environment, or whose ancestors had."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes() and b") Z " not in (process / "stat").read_bytes():
                yield int(process.name)
        except OSError:  # it has just ended, or is not ours
            continue


@pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")
def test_runs_equal_those_of_a_process_of_their_own(tmp_path: Path, prepared: Path, tiny_llava: Path) -> None:
    plain, tested = tmp_path / "plain", "--run.test_after_fit=true"
    assert main(["fit", *arguments(plain, tiny_llava, prepared), tested]) == 0
    environment = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    runs = {"first": "--data.workers=0", "second": "--data.workers=2"}
    with Subprocesses(WarmedProcess(environment)) as launch:

        def train(name: str) -> None:
            options = [*arguments(tmp_path / name, tiny_llava, prepared), tested, runs[name]]
            log = tmp_path / f"{name}.txt"
            assert launch([*PROGRAM, "fit", *options], log, environment) == 0, log.read_text()

        assert in_parallel(train, list(runs), 1, "runs") == {}
    for name in runs:
        for file in ("metrics.csv", "predictions.jsonl"):
            assert (tmp_path / name / file).read_bytes() == (plain / file).read_bytes()


def test_a_command_has_its_log_its_environment_and_its_status(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    launch = Subprocesses(WarmedProcess({}, FEW))
    assert launch([*PROGRAM, "kitchn"], log, {}) == 2
    assert "no command 'kitchn'" in log.read_text()
    assert launch([*PROGRAM, "fit", "--config=none.yaml"], log, {"GAZE_VLM_ALLOW_PACKAGES": "a lab"}) == 1
    assert "none.yaml does not exist" in log.read_text()
    assert launch([sys.executable, "-c", "print('of its own')"], log, {}) == 0
    assert log.read_text().endswith("of its own\n")


def test_a_function_returns_and_raises_as_it_would_here(tmp_path: Path) -> None:
    process = WarmedProcess({}, FEW)
    assert process.call(os.getpid) != os.getpid()
    assert process.call(Path.cwd) == Path.cwd()
    with pytest.raises(ZeroDivisionError):
        process.call(divmod, 1, 0)
    with pytest.raises(MissingFileError, match="gone is not there"):
        process.call(refuse, tmp_path / "gone")


def test_it_has_imported_what_it_should_after_other_work_in_this_process() -> None:
    """The demo's kitchen and preparation had begun the one server that a process has: no run was warm."""
    assert [*results_of(served, ["wave"], 1)] == [(False, None)]
    for modules in (["wave"], ["this"]):
        process = WarmedProcess({"WARMED_FOR": modules[0]}, modules)
        assert process.call(served, modules[0]) == (True, modules[0])


def test_a_run_ends_what_its_parts_leave_for_the_end_and_has_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "of_my_lab.py").write_text(
        "import atexit, os, torch\n"
        "from multiprocessing.util import Finalize\n"
        "Finalize(None, print, ('its locks are gone',), exitpriority=0)\n"
        "print('input and threads', os.read(0, 1), torch.get_num_threads())\n"
        "atexit.register(print, 'at the end of the run')\n"
        "raise SystemExit(3)\n"
    )
    log = tmp_path / "log.txt"
    process = WarmedProcess({"OMP_NUM_THREADS": "1"}, ["torch"])
    options = ["fit", "--trainer.callbacks=of_my_lab.Recorder", "--allow_packages=of_my_lab"]
    assert process.start(options, log, {"OMP_NUM_THREADS": "2"}).wait() == 3
    assert log.read_text() == "input and threads b'' 2\nat the end of the run\nits locks are gone\n"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_stops_a_comparison_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MARK": str(tmp_path)},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's `&` ignores it
    )
    wait_until(lambda: all((tmp_path / name).is_dir() for name in ("first", "second")) or process.poll() is not None)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=120) in (1, -number, 128 + number)
    wait_until(lambda: not [*alive(f"MARK={tmp_path}")])
    assert not (tmp_path / "third").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_run_whose_server_dies_is_reported_and_the_next_one_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = WarmedProcess({}, FEW)
    run = process.start([*RENDER, f"--root={tmp_path / 'kitchen'}"], tmp_path / "log.txt", {})
    server = int(Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    assert run.wait() == SERVER_DIED
    assert capsys.readouterr().err.count("the process that runs are started from has died") == 1
    wait_until(lambda: not Path(f"/proc/{run.pid}").exists())
    assert process.call(os.getpgrp) not in (os.getpgrp(), run.pid)


def test_runs_start_though_the_temporary_folder_was_cleared(tmp_path: Path) -> None:
    """All later runs of a comparison failed at once."""
    process = WarmedProcess({}, FEW)
    run = process.start(["kitchn"], tmp_path / "first.txt", {})
    for _ in range(2):
        shutil.rmtree(util.get_temp_dir())
        assert process.call(os.getpid) != os.getpid()
    shutil.rmtree(util.get_temp_dir())
    assert [*results_of(served, ["wave"], 1)] == [(False, None)]
    assert run.wait() == 2
