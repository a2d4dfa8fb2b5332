"""A run of the arm `gaze`, trained once; a mesh of one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.distributed.device_mesh import DeviceMesh

from sharded_writers import process_alone
from training_files import fit


@pytest.fixture(scope="session")
def gaze_run(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's directory. Not to be changed."""
    return fit(tmp_path_factory.mktemp("runs") / "gaze", tiny_llava, prepared)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[DeviceMesh]:
    """A mesh of this process."""
    with process_alone(tmp_path) as mesh:
        yield mesh
