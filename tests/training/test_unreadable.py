"""Clips of a training that cannot be read: others stand for a few of them, and never silently."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from gaze_vlm.cli import main
from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules import dataset as datasets
from gaze_vlm.datamodules.dataset import ClipDataset
from killed_training import train, without_frames
from training_files import arguments, learned

REASON = "no frame with pts"


def frames_of(clips: ClipDataset, position: int) -> tuple[Path, list[int]]:
    """The video of a clip, and the pts of its frames."""
    return clips.store.video_path(clips.records[position].video_id), clips.described(position).pts


@pytest.fixture
def damage(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], str]:
    """Makes a clip's frames unreadable, by its split and place in it; its id."""

    def make(split: str, position: int) -> str:
        data = ClipDataModule(prepared)
        data.setup("fit")
        clips = data.datasets[split]
        monkeypatch.setattr(datasets, "frames_at", datasets.frames_at)  # to be restored
        without_frames(*frames_of(clips, position), rank=0)
        return clips.records[position].clip_id

    return make


def test_the_next_clip_stands_for_one_that_cannot_be_read(prepared: Path, damage: Callable[[str, int], str]) -> None:
    data = ClipDataModule(prepared)
    data.setup("fit")
    dataset = data.datasets["train"]
    last = len(dataset.records) - 1
    lost = damage("train", last)
    first, instead = dataset[0], dataset[2 * last]
    assert (instead.clip_id, instead.task, instead.target) == (first.clip_id, first.task, first.target)
    assert torch.equal(instead.frames, first.frames)
    assert instead.stands_for.startswith(f"{lost}: ")
    assert REASON in instead.stands_for
    assert first.stands_for == ""


def test_a_training_reports_each_and_goes_on(
    prepared: Path, tiny_llava: Path, tmp_path: Path, damage: Callable[[str, int], str], capsys: pytest.CaptureFixture
) -> None:
    lost = damage("train", 1)
    for features in ("null", tmp_path / "features"):
        run = tmp_path / f"run-{features == 'null'}"
        options = [*arguments(run, tiny_llava, prepared, steps=8), f"--data.features={features}"]
        assert main(["fit", *options, "--data.unreadable_share=0.5"]) == 0
        shown = capsys.readouterr().err
        assert shown.count(f"is trained on in its place: {lost}: ") == 1
        assert "1 training clips could not be read" in shown
    weights = [learned(tmp_path / f"run-{without}") for without in (True, False)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("split", "share", "said"),
    [
        (
            "train",
            "0.01",
            "samples of an epoch are of clips that cannot be read, more than data.unreadable_share 0.01",
        ),
        ("train", "0", REASON),
        ("validation", "1", REASON),
    ],
)
def test_too_many_stop_it_and_so_does_any_of_the_validation(
    prepared: Path,
    tiny_llava: Path,
    tmp_path: Path,
    damage: Callable[[str, int], str],
    capsys: pytest.CaptureFixture,
    split: str,
    share: str,
    said: str,
) -> None:
    damage(split, 0)
    options = [*arguments(tmp_path / "run", tiny_llava, prepared, steps=16), "--data.features=null"]
    assert main(["fit", *options, f"--data.unreadable_share={share}"]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.cluster
def test_two_processes_stop_together_and_go_on_together(prepared: Path, tiny_llava: Path, tmp_path: Path) -> None:
    """The clip is one process's; the other stops after the same batch, or goes on."""
    data = ClipDataModule(prepared)
    data.setup("fit")
    clips = data.datasets["train"]
    frames = frames_of(clips, 1)
    ended, logs = {}, {}
    for share in ("0.01", "0.5"):
        run, log = tmp_path / share / "run", tmp_path / share / "log"
        log.parent.mkdir()
        options = [*arguments(run, tiny_llava, prepared, steps=8), "--trainer.devices=2", "--trainer.strategy=ddp"]
        options += ["--data.batch_size=1", "--data.features=null", f"--data.unreadable_share={share}"]
        ended[share] = train(options, log, 2, plan=partial(without_frames, *frames))
        said = log.read_text()
        assert said.count(f"is trained on in its place: {clips.records[1].clip_id}: ") >= 1, said
        logs[share] = said
    assert ended == {"0.01": [1, 1], "0.5": [0, 0]}
    assert "samples of an epoch are of clips that cannot be read, more than data.unreadable_share 0.01" in logs["0.01"]
