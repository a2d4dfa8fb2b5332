"""The adapter for lmms-eval answers as the model itself; with the real package where it is installed."""

import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from backbone_families import FAMILIES, make_backbone
from gaze_vlm import load_backbone
from gaze_vlm.backbones.export_files import ClipShape
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.errors import InputError
from gaze_vlm.inference.clips import answer, clip_of_frames
from gaze_vlm.inference.media import frames_of_images, frames_of_video
from gaze_vlm.training.export import export_backbone
from stand_in_lmms_eval import stand_in
from training_files import ROOT

QUESTION = "What is the camera wearer doing?"


@pytest.fixture(scope="module")
def exported(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a gaze block, which lmms-eval's own classes could not load."""
    folder = tmp_path_factory.mktemp("exported")
    export_backbone(make_backbone(FAMILIES[0], tiny_llava, "append"), folder, clip=ClipShape(3, 1.0))
    return folder


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, imported as lmms-eval does."""
    stand_in(monkeypatch)
    return import_module("gaze_vlm.inference.lmms_eval_model")


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def asked(adapter: Any, model: Any, *questions: tuple[Sequence[Any], str, dict[str, Any]]) -> list[str]:
    """What it answers to questions: what they show, their text, and how it is to be generated."""
    contents = [
        [{"type": "video" if isinstance(one, str) else "image", "url": one} for one in shown]
        + [{"type": "text", "text": text}]
        for shown, text, _ in questions
    ]
    model.task_dict = {"task": {"test": contents}}
    return model.generate_until(
        [
            adapter.Instance(
                request_type="generate_until",
                arguments=("", lambda content: [{"role": "user", "content": content}], options, number, "task", "test"),
                idx=0,
                metadata={"task": "task", "doc_id": number, "repeats": 1},
            )
            for number, (_, _, options) in enumerate(questions)
        ]
    )


def test_it_is_found_by_its_entry_point(adapter: Any) -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["lmms_eval.models"]
    module, _, name = points["gaze_vlm"].partition(":")
    manifest = getattr(import_module(module), name)()
    assert (manifest.model_id, manifest.simple_class_path) == ("gaze_vlm", None)
    module, _, name = manifest.chat_class_path.rpartition(".")
    found = getattr(import_module(module), name)
    assert issubclass(found, adapter.lmms)
    assert not found.is_simple


def test_images_and_videos_are_answered_as_by_the_model_itself(adapter: Any, exported: Path, raw_root: Path) -> None:
    model = adapter.GazeVlmForEvaluation(str(exported), device="cpu", batch_size=4, max_batch_size=None)
    video = str(sorted((raw_root / "videos").glob("*.mp4"))[0])
    one, two = pictures((60, 80)), pictures((60, 80), (50, 50))
    answers = asked(
        adapter,
        model,
        (one, QUESTION, {"max_new_tokens": 3}),
        (two, f"<image> {QUESTION}", {"max_new_tokens": 3}),
        ([video], QUESTION, {}),
        (two, QUESTION, {"max_new_tokens": 1, "until": ["\n\n"]}),
        (one, QUESTION, {"max_new_tokens": 3, "until": [" ", ""]}),
    )
    frames, times_s = frames_of_video(Path(video), 3)
    expected = []
    for shown, seconds, limit in (
        (frames_of_images(one), [1.0], 3),
        (frames_of_images(two), [1.0, 2.0], 3),
        (frames, times_s, 4),
        (frames_of_images(two), [1.0, 2.0], 1),
    ):
        backbone = load_backbone(exported, max_new_tokens=limit)
        expected += answer(backbone, [clip_of_frames(shown, seconds, QUESTION)])
    assert answers == [*expected, expected[0].split(" ")[0]]
    assert len(expected[0].split()) > 1


def test_a_tower_that_takes_two_frames_as_one_takes_one_image(adapter: Any, tmp_path: Path) -> None:
    family = next(family for family in FAMILIES if family.name == "qwen2-vl-video")
    save_checkpoint(*family.build(), tmp_path / "base")
    backbone = make_backbone(family, tmp_path / "base", "pool").eval()
    (tmp_path / "new").mkdir()
    export_backbone(backbone, tmp_path / "new")
    model = adapter.GazeVlmForEvaluation(str(tmp_path / "new"), device="cpu")
    assert model.frames == 8
    shown = frames_of_images(pictures((60, 80)))
    clip = clip_of_frames(torch.cat([shown, shown]), [1.0, 2.0], QUESTION)
    assert asked(adapter, model, (pictures((60, 80)), QUESTION, {})) == answer(backbone, [clip])


def test_what_it_cannot_serve_is_named(adapter: Any, exported: Path) -> None:
    make = adapter.GazeVlmForEvaluation
    for options, said in (
        ({"frame": 3}, "no frame; there are pretrained, frames and dtype"),
        ({"frames": 0}, "--model_args frames is 0"),
        ({"batch_size": "auto"}, "--batch_size is auto"),
    ):
        with pytest.raises(InputError, match=said):
            make(str(exported), device="cpu", **options)
    model = make(str(exported), device="cpu")
    for shown, said in (
        ([], "it shows nothing"),
        (["a.mp4", "b.mp4"], "2 video"),
        ([*pictures((9, 9)), "a.mp4"], "1 image, 1 video"),
    ):
        with pytest.raises(InputError, match=f"task, question 0: it shows {said.removeprefix('it shows ')}"):
            asked(adapter, model, (shown, QUESTION, {}))
    with pytest.raises(NotImplementedError, match="generate_until"):
        model.loglikelihood([])
    with pytest.raises(NotImplementedError, match="one round"):
        model.generate_until_multi_round([])


def test_frames_of_a_span_are_even_and_end_with_it(raw_root: Path) -> None:
    video = sorted((raw_root / "videos").glob("*.mp4"))[0]
    whole, times_s = frames_of_video(video, 4)
    assert (whole.shape[0], len(times_s)) == (4, 4)
    later, spaced = frames_of_video(video, 2, start_s=1.0, end_s=3.0)
    assert spaced == [1.0, 2.0]
    again, _ = frames_of_video(video, 1, start_s=2.0, end_s=3.0)
    assert torch.equal(later[1], again[0])
    with pytest.raises(InputError, match=r"nothing from 90 s to .* s: it lasts"):
        frames_of_video(video, 2, start_s=90.0)
