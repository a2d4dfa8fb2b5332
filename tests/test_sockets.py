"""Where temporary files take no sockets, commands that start processes say so before they start one."""

import tempfile
from pathlib import Path

import pytest

from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.errors import InputError
from gaze_vlm.processes.warmed import WarmedProcess
from gaze_vlm.sockets import check_sockets
from gaze_vlm.workers import work_on


@pytest.fixture
def long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of temporary files, as some clusters make one for each job."""
    folder = tmp_path / ("job" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_short_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    check_sockets()


def test_too_long_a_path(long_path: Path) -> None:
    for start in (
        lambda: list(work_on(print, ["item"], 2)),
        lambda: WarmedProcess({}),
        lambda: ClipDataModule("store", workers=1).setup("fit"),
    ):
        with pytest.raises(InputError, match=f"TMPDIR: {long_path} takes no sockets"):
            start()
    assert not any(long_path.iterdir())
