"""A SLURM of one machine: `sbatch`, `srun`, `sacct`, `squeue`, `scancel`, `scontrol requeue`, as far as used."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

WITH_VALUE = ("--output", "--error")
KILL_WAIT_S = 10.0
SCRIPT = f"""#!{sys.executable}
import os, signal, subprocess, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import fake_slurm
fake_slurm.COMMANDS[Path(sys.argv[0]).name](Path(sys.argv[0]).parent, sys.argv[1:])
"""


def install(folder: Path) -> None:
    """Write the commands into a folder, for the PATH; what they were asked is in its `calls.txt`."""
    folder.mkdir()
    for name in COMMANDS:
        command = folder / name
        command.write_text(SCRIPT)
        command.chmod(command.stat().st_mode | stat.S_IXUSR)


def sbatch(folder: Path, args: list[str]) -> None:
    """Start a batch file with its arguments as a job: by the options in it, and those before it, which come first."""
    number = len([*folder.glob("*.job")]) + 1
    file = next(i for i, word in enumerate(args) if not word.startswith("--"))
    lines = [line.split() for line in Path(args[file]).read_text().splitlines() if line.startswith("#SBATCH ")]
    options = dict(word.partition("=")[::2] for word in [*(line[1] for line in lines), *args[:file]])
    (folder / f"{number}.job").write_text(json.dumps({"batch": args[file:], "options": options}))
    _start(folder, number)
    print(f"Submitted batch job {number}")


def srun(folder: Path, args: list[str]) -> None:
    """Run the command behind the options once a task, the output in the files that they name; end as the worst."""
    first = next(i for i, word in enumerate(args) if not word.startswith("--") and args[i - 1] not in WITH_VALUE)
    for option, stream in (("--output", 1), ("--error", 2)):
        if option in args[:first]:
            name = args[args.index(option) + 1].replace("%j", os.environ["SLURM_JOB_ID"]).replace("%t", "0")
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    of_node = int(os.environ["SLURM_NTASKS_PER_NODE"])
    tasks = []
    for rank in range(int(os.environ["SLURM_NTASKS"])):
        names = ("SLURM_PROCID", "SLURM_NODEID", "SLURM_LOCALID")
        places = map(str, (rank, *divmod(rank, of_node)))
        tasks.append(subprocess.Popen(args[first:], env={**os.environ, **dict(zip(names, places, strict=True))}))
    (folder / f"{os.environ['SLURM_JOB_ID']}.tasks").write_text(" ".join(str(task.pid) for task in tasks))
    sys.exit(max(task.wait() for task in tasks))


def sacct(folder: Path, args: list[str]) -> None:
    """Say which jobs run: submitit asks where a job left no result."""
    print("JobID|State|NodeList")
    for job in folder.glob("*.job"):
        print(f"{job.stem}|{'RUNNING' if processes(folder, job.stem) else 'CANCELLED'}|localhost")


def squeue(folder: Path, args: list[str]) -> None:
    """Say which of some jobs have processes."""
    asked = next(word.partition("=")[2] for word in args if word.startswith("--jobs=")).split(",")
    known = [job for job in asked if (folder / f"{job}.job").is_file()]
    if not known:
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    print(*(job for job in known if processes(folder, job)), sep="\n")


def scancel(folder: Path, args: list[str]) -> None:
    """Note it, and signal all processes of the job; kill those that have not ended some seconds later."""
    with (folder / "calls.txt").open("a") as calls:
        print("scancel", *args, file=calls)
    send(folder, args[0], signal.SIGTERM)
    if os.fork() == 0:
        for stream in range(3):  # who asked does not wait for this
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        time.sleep(KILL_WAIT_S)
        send(folder, args[0], signal.SIGKILL)
        os._exit(0)


def scontrol(folder: Path, args: list[str]) -> None:
    """Start a job again, if it was handed in as one that may be."""
    with (folder / "calls.txt").open("a") as calls:
        print("scontrol", *args, file=calls)
    if "--requeue" not in _job(folder, int(args[1]))["options"]:
        sys.exit("Requested operation is presently disabled")
    _start(folder, int(args[1]))


def tasks_of(folder: Path, number: int) -> list[int]:
    """Return the processes of a job's tasks, which SLURM signals."""
    return [int(pid) for pid in (folder / f"{number}.tasks").read_text().split()]


def signal_of(folder: Path, number: int) -> signal.Signals:
    """Return what SLURM sends a job's tasks some time before its time is up, as its options ask for."""
    return signal.Signals[f"SIG{_job(folder, number)['options']['--signal'].partition('@')[0]}"]


def processes(folder: Path, number: str) -> list[int]:
    """The processes of a job, by their environment, in whatever group or session they are."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # of another user, or it has ended
            continue
        if {f"SLURM_JOB_ID={number}".encode(), f"FAKE_SLURM={folder}".encode()} <= {*variables}:
            found.append(int(process.name))
    return found


def send(folder: Path, number: str, sent: signal.Signals) -> None:
    """Send a signal to every process of a job."""
    for process in processes(folder, number):
        with suppress(ProcessLookupError):
            os.kill(process, sent)


def _job(folder: Path, number: int) -> dict[str, Any]:
    return json.loads((folder / f"{number}.job").read_text())


def _start(folder: Path, number: int) -> None:
    job = _job(folder, number)
    log, starts = folder / f"{number}.log", folder / f"{number}.starts"
    restarts = len(starts.read_text()) if starts.exists() else 0
    starts.write_text("." * (restarts + 1))
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        nodes, tasks = (int(job["options"].get(name, 1)) for name in ("--nodes", "--ntasks-per-node"))
        with socket.socket() as free:  # by the number of the job alone, two of these SLURMs would meet
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        os.environ |= {
            "MASTER_PORT": str(port),
            "SLURM_JOB_NUM_NODES": str(nodes),
            "SLURM_JOB_NODELIST": "localhost",
            "SLURM_NTASKS": str(nodes * tasks),
            "SLURM_NTASKS_PER_NODE": str(tasks),
            "SLURM_NODEID": "0",
            "SLURM_JOB_ID": str(number),
            "FAKE_SLURM": str(folder),
            "SLURM_RESTART_COUNT": str(restarts),
        }
        os.execvp("bash", ["bash", *job["batch"]])
    (folder / f"{number}.pid").write_text(str(pid))


COMMANDS = {command.__name__: command for command in (sbatch, srun, sacct, squeue, scancel, scontrol)}
