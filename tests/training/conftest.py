"""A run of the arm `gaze`, trained once; a mesh of one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from training_files import fit


@pytest.fixture(scope="session")
def gaze_run(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's directory. Not to be changed."""
    return fit(tmp_path_factory.mktemp("runs") / "gaze", tiny_llava, prepared)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[DeviceMesh]:
    """A mesh of this process."""
    torch.distributed.init_process_group("gloo", f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()
