"""What it takes to start: help, a run in a process of its own, and a run from the warmed process.

    python benchmarks/start.py [STORE]

Processor seconds, the ways in turn. A run is the kitchen's main configuration, from its start to the end of its first
step. STORE is a prepared kitchen; without it, a small one is made in the temporary folder. Each way goes once before it
is measured, so that bytecode, files and the features of clips are there.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from result import cpu_name, write_result

from gaze_vlm.cli import main as command
from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.preparation.store import Store
from gaze_vlm.processes.jobs import thread_environment
from gaze_vlm.processes.warmed import WarmedProcess

ROUNDS = 3
MOST_CLIPS = 800  # of the kitchen's configuration
WAYS = ("import_torch", "compare_help", "run_alone", "run_warm")
FOLDER = Path(tempfile.gettempdir()) / "gaze-vlm-benchmark"
CONFIGS = Path(__file__).parents[1] / "lightning_configs"
TAKEN = "GAZE_VLM_BENCHMARK_TAKEN"
"""Environment variable: the file that takes a run's processor seconds."""


class FirstStep(Callback):
    """Note the processor seconds since the start, and stop."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        Path(os.environ[TAKEN]).write_text(str(time.process_time()))
        os._exit(0)


def small_kitchen() -> Path:
    """The store of a small kitchen; made if it is not there."""
    store = FOLDER / "kitchen-store"
    if not (store / "manifest.json").is_file():
        assert command(["kitchen", f"--root={FOLDER / 'kitchen'}", "--participants=4"]) == 0
        preparation = CONFIGS / "kitchen" / "preparation.yaml"
        assert command(["prepare", f"--config={preparation}", f"--root={FOLDER / 'kitchen'}", f"--store={store}"]) == 0
    return store


def fit_arguments(store: Path, clips: int, run: Path) -> list[str]:
    """Of the kitchen's main configuration, which stops after its first step."""
    return [
        "fit",
        f"--config={CONFIGS / 'kitchen' / 'gaze.yaml'}",
        f"--run.dir={run}",
        "--run.overwrite=true",
        f"--data.store={store}",
        f"--data.features={run.parent / 'features'}",
        f"--data.train_clips={clips}",
        "--trainer.callbacks+=start.FirstStep",
        "--allow_packages=start",
    ]


def seconds_of(words: list[str], environment: dict[str, str]) -> float:
    """Processor seconds of a command, of which nothing is shown."""
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, words
    return usage.ru_utime + usage.ru_stime


def measure(store: Path, clips: int, folder: Path) -> dict[str, list[float]]:
    """Processor seconds of each way in each round."""
    taken, log = folder / "taken", folder / "log.txt"
    threads = {**thread_environment(1), "OMP_NUM_THREADS": "1", TAKEN: str(taken)}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, **threads, "PYTHONPATH": path}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.clear()
    os.environ.update(environment)
    arguments, warmed = fit_arguments(store, clips, folder / "run"), WarmedProcess(threads)

    def run_warm() -> float:
        status = warmed.start(arguments, log, threads).wait()
        assert status == 0, log.read_text()
        return float(taken.read_text())

    def run_alone() -> float:
        seconds_of([*PROGRAM, *arguments], environment)
        return float(taken.read_text())

    ways = (
        lambda: seconds_of([sys.executable, "-c", "import torch"], environment),
        lambda: seconds_of([*PROGRAM, "compare", "--help"], environment),
        run_alone,
        run_warm,
    )
    rounds = [[way() for way in ways] for _ in range(1 + ROUNDS)][1:]
    return {name: list(seconds) for name, seconds in zip(WAYS, zip(*rounds, strict=True), strict=True)}


def main() -> None:
    store = Path(sys.argv[1]).absolute() if sys.argv[1:] else small_kitchen()
    clips = min(MOST_CLIPS, sum(record.split == "train" for record in Store(store).clips))
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(store, clips, Path(folder))
    alone, warm = seconds["run_alone"], seconds["run_warm"]
    write_result(
        "start",
        figures={
            **{f"{name}_cpu_s": round(median(taken), 2) for name, taken in seconds.items()},
            "compare_help_over_import_torch": round(
                median(a / b for a, b in zip(seconds["compare_help"], seconds["import_torch"], strict=True)), 3
            ),
            "run_warm_over_alone": round(median(a / b for a, b in zip(warm, alone, strict=True)), 3),
        },
        command=" ".join(["python benchmarks/start.py", *sys.argv[1:]]),
        device=cpu_name(),
        packages=("torch", "lightning", "transformers", "jsonargparse"),
        conditions={
            "rounds": ROUNDS,
            "threads": 1,
            "train_clips": clips,
        },
    )


if __name__ == "__main__":
    main()
