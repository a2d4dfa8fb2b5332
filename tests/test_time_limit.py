"""Calls that never return, decoders among them: a FIFO that nobody writes to holds whoever opens it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from gaze_vlm.cli import message_of
from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules.dataset import ClipDataset
from gaze_vlm.datamodules.loader_deaths import loader_processes
from gaze_vlm.errors import TimeLimitError
from gaze_vlm.formats.video import frames_at, timed_frames
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.time_limit import each_within, within

SAID = "its decoder gave nothing for 0.2 s; does the file system answer?"


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "hangs.mp4")
    return tmp_path / "hangs.mp4"


def test_a_call_gives_what_it_gives() -> None:
    def fails() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    assert [within(limit_s, "late", lambda: 3) for limit_s in (None, 60, 1e30)] == [3] * 3
    assert [*each_within(60, "late", iter(range(5)))] == [*range(5)]
    items = each_within(60, "late", fails())
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)


@pytest.mark.parametrize(
    "read",
    [
        lambda path: video_info(path, 0.2),
        lambda path: frames_at(path, [0], timeout_s=0.2),
        lambda path: next(timed_frames(path, 0.2)),
    ],
    ids=["header", "frames", "all frames"],
)
def test_a_decoder_that_hangs_is_given_up(read: Callable[[Path], object], fifo: Path) -> None:
    with pytest.raises(TimeLimitError, match=f"{fifo}: {SAID}"):
        read(fifo)


def test_a_process_does_not_wait_for_what_it_gave_up(fifo: Path) -> None:
    code = f"from gaze_vlm.formats.video_header import video_info\nvideo_info({str(fifo)!r}, 0.2)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert SAID in done.stderr


@pytest.fixture
def hanging(prepared: Path, fifo: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], ClipDataset]:
    """The training clips of a store in which the first videos hang."""

    def make(videos: int) -> ClipDataset:
        data = ClipDataModule(prepared, decode_timeout_s=0.2)
        data.setup("fit")
        dataset, video_path = data.datasets["train"], data.store.video_path
        those = list(dict.fromkeys(record.video_id for record in dataset.records))[:videos]
        monkeypatch.setattr(data.store, "video_path", lambda video: fifo if video in those else video_path(video))
        return dataset

    return make


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_of_another_video_stands_for_one_whose_decoder_hangs(
    workers: int, hanging: Callable[[int], ClipDataset]
) -> None:
    dataset = hanging(1)
    (clips,) = DataLoader(dataset, sampler=[0], collate_fn=list, **loader_processes(workers))
    assert clips[0].video_id != dataset.records[0].video_id
    assert clips[0].stands_for.startswith(f"{dataset.records[0].clip_id}: ")
    assert SAID in clips[0].stands_for


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_system_that_hangs_is_an_error_of_one_line(workers: int, hanging: Callable[[int], ClipDataset]) -> None:
    with pytest.raises(TimeLimitError) as error:
        next(iter(DataLoader(hanging(99), sampler=[0], collate_fn=list, **loader_processes(workers))))
    assert SAID in (message_of(error.value) or "")
    assert "\n" not in (message_of(error.value) or "")
