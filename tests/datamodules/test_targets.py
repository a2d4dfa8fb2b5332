"""Targets from a file: each form of a line, each fault by file and line, and what a training is served."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gaze_vlm.backbones import Llava
from gaze_vlm.cli import main
from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules.gaze_options import GazeNoise
from gaze_vlm.datamodules.targets import Targets, read_targets
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.gaze.regions import Box, Mask, Spot
from gaze_vlm.preparation.store import Store
from training_files import arguments

POINT = {"video_id": "a", "time_s": 1, "kind": "point", "x": 0.25, "y": 0.5}
BOX = {"video_id": "a", "time_s": 1, "kind": "box", "left": 0.1, "top": 0.2, "right": 0.3, "bottom": 0.4}
MASK = {"video_id": "a", "time_s": 2, "kind": "mask", "rle": {"size": [2, 2], "counts": [1, 2, 1]}}


def written(folder: Path, *rows: dict) -> Path:
    file = folder / "targets.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def read(file: Path) -> Targets:
    return read_targets(file, ["a", "b"], within_s=0.1)


def test_points_boxes_and_masks(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.full((2, 2), 255, np.uint8))
    size = {"width_px": 200, "height_px": 100}
    rows = [
        POINT,
        BOX | {"weight": 2},
        POINT | size | {"x": 50, "y": 50},
        MASK,
        {"video_id": "b", "time_s": 0.5, "kind": "mask", "png": "m.png"},
        POINT | {"video_id": "elsewhere"},
    ]
    targets = read(written(tmp_path, *rows))
    spot = Spot(0.25, 0.5)
    assert targets.videos["a"] == ([1, 2], [[spot, Box(0.1, 0.2, 0.3, 0.4, 2), spot], [Mask((1, 2, 1), (2, 2))]])
    assert targets.videos["b"] == ([0.5], [[Mask(file=tmp_path / "m.png")]])
    assert targets.unknown == 1


def test_a_table_says_the_same(tmp_path: Path) -> None:
    table = tmp_path / "targets.csv"
    rle = json.dumps(MASK["rle"]).replace('"', '""')
    table.write_text(
        "video_id,time_s,kind,x,y,left,top,right,bottom,rle\n"
        f'a,1,point,0.25,0.5,,,,,\na,1,box,,,0.1,0.2,0.3,0.4,\na,2,mask,,,,,,,"{rle}"\n'
    )
    assert read(table).videos == read(written(tmp_path, POINT, BOX, MASK)).videos


def test_a_box_is_cut_at_the_frame(tmp_path: Path) -> None:
    rows = [BOX | {"left": -5, "top": 10, "right": 50, "bottom": 130, "width_px": 100, "height_px": 100}]
    assert read(written(tmp_path, *rows)).videos["a"][1] == [[Box(0, 0.1, 0.5, 1)]]


def compressed(runs: list[int]) -> str:
    """COCO's string of run lengths, by its definition: differences from the fourth on, five bits a character."""
    text = ""
    for index, run in enumerate(runs):
        value, more = run - (runs[index - 2] if index > 2 else 0), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 * more))
    return text


def test_the_compressed_form_of_coco(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        runs = draw.integers(1, 3000, int(draw.integers(2, 12))).tolist()
        rle = {"size": [1, sum(runs)], "counts": compressed(runs)}
        assert read(written(tmp_path, MASK | {"rle": rle})).videos["a"][1] == [[Mask(tuple(runs), (1, sum(runs)))]]


def test_a_frame_takes_the_nearest_targets(tmp_path: Path) -> None:
    targets = read(written(tmp_path, BOX, POINT | {"time_s": 1.15}, MASK))
    frames = targets.regions("a", [0.89, 0.9, 1.07, 1.08, 1.3, 1.9, 9], 0.05, 1.0).frames
    assert [type(regions[0]).__name__ if regions else None for regions in frames] == [
        None, "Box", "Box", "Spot", None, "Mask", None,
    ]  # fmt: skip
    assert targets.regions("b", [1.0], 0.05, 1.0).frames == [()]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": "circle"}, "line 2: kind is 'circle'; expected point, box or mask"),
        ({"wdth_px": 3}, "line 2 has a key 'wdth_px': .*did you mean width_px"),
        ({"x": None}, "line 2: x is 'None', not a finite number"),
        ({"x": 412}, "line 2: x is 412, far outside the frame: shares are 0 to 1, of pixels give width_px"),
        (
            {"x": 412, "width_px": 100, "height_px": 100},
            "line 2: x is 412, far outside the frame: the frame is smaller",
        ),
        ({"width_px": 100}, "line 2: width_px and height_px are the size of the frame .*: give both"),
        ({"x": 1.2}, "line 2: the point 1.2, 0.5 is outside the frame"),
        ({"weight": 0}, "line 2: weight is 0; expected a number above 0"),
        ({"time_s": "soon"}, "line 2: time_s is 'soon', not a number"),
        (BOX | {"left": 0.5}, "line 2: the box has no area in the frame"),
        (MASK | {"png": "m.png"}, "line 2: a mask has rle or png: give one of them"),
        (
            MASK | {"rle": {"size": [2, 2], "counts": [1, 2]}},
            "line 2: the rle's counts are of 3 pixels, its size is 2 × 2",
        ),
        (MASK | {"rle": {"size": [2, 2], "counts": [4]}}, "line 2: the rle has no pixel inside"),
        (MASK | {"rle": {"counts": "é"}}, "line 2: rle is .*; expected COCO's form"),
    ],
)
def test_a_fault_is_named_by_its_line(tmp_path: Path, row: dict, said: str) -> None:
    kept = {key: value for key, value in POINT.items() if key not in ("x", "y") or row.get("kind") is None}
    with pytest.raises(InputError, match=f"targets.jsonl, {said}"):
        read(written(tmp_path, POINT, kept | row))


def test_missing_files_and_videos(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv does not exist"):
        read(tmp_path / "none.csv")
    with pytest.raises(MissingFileError, match=r"line 1: png: .*gone.png does not exist"):
        read(written(tmp_path, {"video_id": "a", "time_s": 1, "kind": "mask", "png": "gone.png"}))
    with pytest.raises(InputError, match="names 'c' and no video of the store"):
        read(written(tmp_path, POINT | {"video_id": "c"}))
    with pytest.raises(InputError, match="line 1 has no x"):
        read(written(tmp_path, {key: value for key, value in POINT.items() if key != "x"}))
    (tmp_path / "table.csv").write_text("video_id,time_s,kind,x,z\na,1,point,0,0\n")
    with pytest.raises(InputError, match="has a column 'z'"):
        read(tmp_path / "table.csv")


def boxes(store: Path, folder: Path) -> Path:
    """The left third of every second frame of every video."""
    opened = Store(store)
    rows = [
        BOX | {"video_id": video_id, "time_s": time_s, "left": 0, "top": 0, "right": 1 / 3, "bottom": 1}
        for video_id in opened.manifest.videos
        for time_s in opened.video(video_id).frame_t_s[::2].tolist()
    ]
    return written(folder, *rows)


def test_a_training_is_pulled_toward_targets_and_tested_on_gaze(
    tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    data = ClipDataModule(prepared, targets=boxes(prepared, tmp_path))
    data.setup("fit")
    backbone = Llava(str(tiny_llava))
    backbone.load()
    collator = backbone.collator()
    batch = collator(data.datasets["train"].__getitems__(range(4)))
    valid = batch.valid[:, 0]
    assert torch.equal(batch.valid, torch.stack([valid, ~valid, valid, ~valid], 1))
    on_grid = batch.gaze[batch.valid].unflatten(-1, (4, 4)).sum(-2)
    assert torch.allclose(on_grid, torch.tensor([0.75, 0.25, 0, 0]).expand_as(on_grid), atol=1e-6)
    assert data.valid_share(backbone.options.view, 0.5) == 0.5
    plain = ClipDataModule(prepared)
    plain.setup("test")
    tested = [collator(made.datasets["test"].__getitems__(range(4))).gaze for made in (data, plain)]
    assert torch.equal(*tested)


def test_fit_reports_frames_without_targets(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [*arguments(tmp_path / "run", tiny_llava, prepared), f"--data.targets={boxes(prepared, tmp_path)}"]
    assert main(["doctor", *options]) == 0
    assert "50% of the training frames in" in capsys.readouterr().out
    late = written(tmp_path, BOX | {"video_id": next(iter(Store(prepared).manifest.videos)), "time_s": 1e4})
    assert main(["fit", *options[:-1], f"--data.targets={late}"]) == 1
    assert "has a target in" in capsys.readouterr().err


def test_targets_take_the_place_of_gaze(prepared: Path, tmp_path: Path) -> None:
    for options in ({"train_gaze": "shuffled"}, {"train_noise": GazeNoise(noise=0.1)}):
        with pytest.raises(InputError, match="targets take the place of gaze: leave out train_gaze and train_noise"):
            ClipDataModule(prepared, targets=tmp_path / "t.csv", **options)
