"""A file system that hangs on one video does not hold `prepare`: a FIFO that nobody writes to stands for it."""

import os
from pathlib import Path

import pytest

from gaze_vlm.errors import TimeLimitError
from gaze_vlm.formats import video_header
from gaze_vlm.formats.egtea import _check_length
from gaze_vlm.formats.egtea_labels import ClipName
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.recording import Recording
from gaze_vlm.preparation.files import fingerprint
from gaze_vlm.preparation.splits import check_distinct


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    os.mkfifo(tmp_path / "videos" / "a.mp4")
    return tmp_path / "videos" / "a.mp4"


def test_its_ends_are_given_up(fifo: Path) -> None:
    with pytest.raises(TimeLimitError, match=r"a.mp4: its decoder gave nothing for 0\.2 s"):
        fingerprint(fifo, 0.2)
    check_distinct([Recording("a", fifo, None, "a", 1, 1, ())], 0.2)


def test_a_reader_gives_up_its_header(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_header, "READER_TIMEOUT_S", 0.2)
    (fifo.parents[1] / "gaze").mkdir()
    (fifo.parents[1] / "captions.csv").write_text("video_id,second,text\na,0,takes a cup\n")
    (recording,) = FolderReader(fifo.parents[1]).recordings()
    assert (recording.gaze_width_px, recording.gaze_height_px) == (1, 1)
    clip = ClipName.parse("P01-R01-Pizza-1000-2000-F000024-F000048", "here")
    with pytest.raises(TimeLimitError, match=r"gave nothing for 0\.2 s"):
        _check_length(fifo, clip)
