"""A run of the arm `gaze`, trained once."""

from pathlib import Path

import pytest

from training_files import fit


@pytest.fixture(scope="session")
def gaze_run(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's directory. Not to be changed."""
    return fit(tmp_path_factory.mktemp("runs") / "gaze", tiny_llava, prepared)
