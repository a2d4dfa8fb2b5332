"""What `make demo` takes from nothing, on a machine that does nothing else.

    python benchmarks/demo.py

HEAD is cloned into the temporary folder, installed and run there. Times are by the clock: of the installation with the
download of its packages, of each command of the demo, and of each arm's training steps, which share the cores.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from result import cpu_name, write_result

from gaze_vlm.cores import cores

ROOT = Path(__file__).parents[1]
COMMAND = "$ gaze-vlm "
NOT_A_USERS = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
"""Environment variables: without bytecode, every process would compile all that it imports."""


def timed_stages(clone: Path, environment: dict[str, str]) -> dict[str, float]:
    """Seconds of the installation and of each command, by its name."""
    names, starts = ["install"], [time.perf_counter()]
    subprocess.run(["make", "install"], cwd=clone, env=environment, check=True)
    process = subprocess.Popen(["make", "demo"], cwd=clone, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        print(line, end="", flush=True)
        if line.startswith(COMMAND):
            names.append(line.removeprefix(COMMAND).split()[0])
            starts.append(time.perf_counter())
    assert process.wait() == 0
    ends = [*starts[1:], time.perf_counter()]
    return {name: end - start for name, start, end in zip(names, starts, ends, strict=True)}


def main() -> None:
    load = os.getloadavg()[0]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_A_USERS}
    with tempfile.TemporaryDirectory() as made:
        clone = Path(made) / "gaze_vlm"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        stages = timed_stages(clone, environment)
        trained = {
            path.parents[1].name: json.loads(path.read_text(encoding="utf-8"))["train_seconds"]
            for path in sorted(clone.glob("runs/demo/*/seed0/training.json"))
        }
    write_result(
        "demo",
        {
            **{f"{name}_s": round(seconds) for name, seconds in stages.items()},
            "demo_s": round(sum(seconds for name, seconds in stages.items() if name != "install")),
            "install_and_demo_s": round(sum(stages.values())),
            **{f"steps_s_{arm}": round(seconds) for arm, seconds in trained.items()},
        },
        "python benchmarks/demo.py",
        cpu_name(),
        ("torch", "lightning", "transformers"),
        {"cores": cores(), "load_of_others": round(load, 1)},
    )


if __name__ == "__main__":
    main()
