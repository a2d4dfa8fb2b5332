"""Two processes that write a checkpoint in shards together, one of which may have a fault."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from gaze_vlm.errors import OutputError
from gaze_vlm.training.sharded_checkpoint import StagedCheckpoint
from killed_training import CONTEXT

PROCESSES, COLUMNS = 2, 3000
FULL = 20_000  # bytes: less than the shards of a process


def checkpoint(value: float, mesh: DeviceMesh | None = None) -> dict[str, Any]:
    """Whole, or in the shards of a mesh: those of 5 rows are uneven, and of 1 row one process has none."""

    def tensor(rows: int) -> torch.Tensor:
        made = value + torch.arange(COLUMNS * rows, dtype=torch.float32).reshape(rows, COLUMNS)
        return made if mesh is None else distribute_tensor(made, mesh, [Shard(0)], src_data_rank=None)

    of_weight = {"step": torch.tensor(value), "exp_avg": tensor(5)}
    return {
        "state_dict": {"a.weight": tensor(5), "count": torch.tensor(3), "row": tensor(1)},
        "optimizer_states": [{"state": {0: of_weight}, "param_groups": [{"lr": 0.5, "params": [0]}]}],
        "gaze_vlm": {},
        "epoch": 1,
    }


@contextmanager
def process_alone(folder: Path) -> Iterator[DeviceMesh]:
    """A mesh of this process."""
    torch.distributed.init_process_group("gloo", f"file://{folder / 'meet'}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def write(path: Path, mesh: DeviceMesh, value: float) -> None:
    """Write a checkpoint, in each of the processes."""
    group: Any = torch.distributed.new_group(backend="gloo")
    StagedCheckpoint(checkpoint(value, mesh)).write(path, group)


def write_in_two(path: Path, value: float, fills_up: bool = False) -> list[str]:
    """Write a checkpoint in two processes, the disk of one of which may fill up; what each said."""
    rendezvous = path.with_name(f"meet{value}")
    texts = [path.with_name(f"{rank}.txt") for rank in range(PROCESSES)]
    processes = [
        CONTEXT.Process(target=_write, args=(rank, rendezvous, path, value, fills_up, text))
        for rank, text in enumerate(texts)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
        process.join()
        assert process.exitcode == 0
    return [text.read_text() for text in texts]


def _write(rank: int, rendezvous: Path, path: Path, value: float, fills_up: bool, text: Path) -> None:
    torch.distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=PROCESSES)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    text.write_text("")
    if fills_up and rank == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, FULL))
    try:
        write(path, mesh, value)
    except OutputError as error:
        text.write_text(str(error))
    torch.distributed.destroy_process_group()
