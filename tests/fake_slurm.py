"""A SLURM of one machine: `sbatch`, `srun`, `sacct`, `scancel`, `scontrol requeue`, as far as submitit asks of them."""

import os
import stat
import sys
from pathlib import Path

NODE = {
    "SLURM_NTASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_JOB_NUM_NODES": "1",
    "SLURM_JOB_NODELIST": "localhost",
}
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
    """Start the batch file as a job."""
    number = len([*folder.glob("*.job")]) + 1
    (folder / f"{number}.job").write_text(args[-1])
    _start(folder, number)
    print(f"Submitted batch job {number}")


def srun(folder: Path, args: list[str]) -> None:
    """Become the command behind the options, its output in the files that they name."""
    first = next(i for i, word in enumerate(args) if word == sys.executable)
    for option, stream in (("--output", 1), ("--error", 2)):
        name = args[args.index(option) + 1].replace("%j", os.environ["SLURM_JOB_ID"]).replace("%t", "0")
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.execv(args[first], args[first:])


def sacct(folder: Path, args: list[str]) -> None:
    """Say which jobs run: submitit asks where a job left no result."""
    print("JobID|State|NodeList")
    for job in folder.glob("*.job"):
        stat = Path("/proc", (folder / f"{job.stem}.pid").read_text(), "stat")
        ended = not stat.exists() or stat.read_text().split()[2] == "Z"
        print(f"{job.stem}|{'CANCELLED' if ended else 'RUNNING'}|localhost")


def scancel(folder: Path, args: list[str]) -> None:
    """Note it, and end the job."""
    with (folder / "calls.txt").open("a") as calls:
        print("scancel", *args, file=calls)
    pid = folder / f"{args[0]}.pid"
    if pid.is_file():
        os.killpg(int(pid.read_text()), 15)


def scontrol(folder: Path, args: list[str]) -> None:
    """Start a job again."""
    with (folder / "calls.txt").open("a") as calls:
        print("scontrol", *args, file=calls)
    _start(folder, int(args[1]))


def _start(folder: Path, number: int) -> None:
    batch = (folder / f"{number}.job").read_text()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        os.environ.update(NODE, SLURM_JOB_ID=str(number))
        os.execvp("bash", ["bash", batch])
    (folder / f"{number}.pid").write_text(str(pid))


COMMANDS = {"sbatch": sbatch, "srun": srun, "sacct": sacct, "scancel": scancel, "scontrol": scontrol}
