"""Validation clips in the loggers: the right ones, with gaze and attention where they are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from event_files import events
from fake_wandb import FakeWandb
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.cli import main
from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.training import loggers
from gaze_vlm.training.sample_pictures import SamplePictures, draw
from training_files import ROOT, arguments


def test_a_training_shows_validation_clips(gaze_run: Path, prepared: Path) -> None:
    """Two batches of one clip with two questions each."""
    data = ClipDataModule(prepared)
    data.setup("fit")
    clips = [data.datasets["validation"][index] for index in range(4)]
    values = [value for event in events(gaze_run / "tensorboard") for value in event.summary.value]
    pictures = {value.tag: value.image.encoded_image_string for value in values if value.HasField("image")}
    texts = {value.tag: value.tensor.string_val[0].decode() for value in values if value.HasField("tensor")}
    assert [*pictures] == [f"samples/{number}" for number in range(4)]
    for number, clip in enumerate(clips):
        picture = cv2.imdecode(np.frombuffer(pictures[f"samples/{number}"], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[1] == 4 * 224
        text = texts[f"samples/{number}/text_summary"]
        assert f"question: {clip.prompt}  \ntarget: {clip.target}  \nanswer: " in text


def batch_of_one_frame(valid: bool) -> Any:
    """Gaze in the middle of the top left of 2 × 2 patches."""
    gaze = GazeMixture(torch.tensor([[[0.25, 0.25]]]), torch.ones(1, 1), sigma=0.1, aspect=1.0)
    clip = SimpleNamespace(gaze=gaze, frame_times_s=[0.0])
    return SimpleNamespace(clips=[clip], gaze=torch.tensor([[[1.0, 0, 0, 0]]]), valid=torch.tensor([[valid]]))


def test_gaze_is_above_and_attention_below() -> None:
    image = np.full((40, 40, 3), 128, np.uint8)
    at_bottom_right = torch.tensor([[[[0.0, 0, 0, 1]]]]).log()
    attention = PatchAttention(at_bottom_right, Grid(2, 2))
    drawn = draw({0: image}, batch_of_one_frame(True), 0, attention, View())
    assert drawn.shape == (80, 40, 3)
    above, below = drawn[:40], drawn[40:]
    reddish = [(half[..., 0].astype(int) - half[..., 1] > 60) for half in (above, below)]
    assert reddish[0][:20, :20].mean() > 0.9
    assert reddish[1][20:, 20:].mean() > 0.9
    assert not reddish[0][20:].any()
    assert not reddish[1][:20].any()
    assert tuple(above[10, 10]) == (255, 0, 255)
    only_points = draw({0: image}, batch_of_one_frame(False), 0, attention, View())[:40]
    assert (only_points[20:] == 128).all()
    assert draw({0: image}, batch_of_one_frame(True), 0, None, View()).shape == image.shape


def test_wandb_gets_them_too_and_a_clip_that_cannot_be_decoded_stops_nothing(
    tiny_llava: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    wandb, frames_of = FakeWandb(monkeypatch), SamplePictures.frames_of

    def some_frames(self: SamplePictures, clip: Any, dataset: Any) -> Any:
        if clip.task == "future":
            raise InputError("no frames")
        return frames_of(self, clip, dataset)

    monkeypatch.setattr(SamplePictures, "frames_of", some_frames)
    logger = f"--config={ROOT / 'lightning_configs' / 'loggers' / 'wandb.yaml'}"
    assert main(["fit", *arguments(tmp_path / "run", tiny_llava, prepared, steps=1), logger]) == 0
    shown = [name for row in wandb.logged for name in row if name.startswith("samples/")]
    assert shown == ["samples/0", "samples/2"]
    assert capsys.readouterr().err.count("is not shown: no frames") == 2


def test_mlflow_gets_a_picture_and_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mlflow:
        run_id = "1"

        def __init__(self) -> None:
            self.experiment, self.files = self, {}

        def log_image(self, run_id: str, image: np.ndarray, file: str) -> None:
            self.files[file] = image

        log_text = log_image

    monkeypatch.setattr(loggers, "MLFlowLogger", Mlflow)
    logger, picture = Mlflow(), np.zeros((2, 2, 3), np.uint8)
    loggers.show_picture(logger, "samples/0", picture, "answer: cut", 99)
    assert logger.files == {"samples/0/step_000099.jpg": picture, "samples/0/step_000099.md": "answer: cut"}
