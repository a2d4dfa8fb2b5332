"""What a model knew before a training is asked of its own weights, whatever block it has."""

import csv
from functools import partial
from pathlib import Path

import pytest

from gaze_vlm.attention import GazeBlock
from gaze_vlm.backbones import Llava
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.forgetting.forgetting import FRESH, Remembered, ask_about, markdown_lines, write_remembered
from gaze_vlm.pretraining.stills import Still, render_stills


@pytest.fixture(scope="module")
def clips() -> list[list[Still]]:
    return render_stills(12, 2, FRESH)


def shares(backbone: Backbone, clips: list[list[Still]]) -> dict[str, list[float]]:
    backbone.load()
    return ask_about(backbone, clips, seed=0)


def test_the_checkpoint_that_ships_knows_objects_and_one_without_weights_does_not(clips: list[list[Still]]) -> None:
    knowing = shares(Llava("kitchen-llava"), clips)
    assert set(knowing) == {"object", "tool", "colour"}
    assert sum(knowing["object"]) / len(knowing["object"]) > 0.7
    with_block = Llava("kitchen-llava", block=partial(GazeBlock, heads=2, head_width=8, output="mean"))
    assert shares(with_block, clips) == knowing, "the block takes no part"
    emptied = Llava("kitchen-llava")
    emptied.load()
    for parameter in emptied.hf.model.language_model.parameters():
        parameter.data.zero_()
    assert not any(any(right) for right in ask_about(emptied, clips, seed=0).values())


def test_the_table_has_means_over_runs_and_the_csv_each_run(tmp_path: Path) -> None:
    rows = [
        Remembered(Path("runs/gaze/seed0"), "gaze", 0, "object", 77, 96.0, 40.0),
        Remembered(Path("runs/gaze/seed1"), "gaze", 1, "object", 77, 96.0, 50.0),
        Remembered(Path("runs/control/seed0"), "control", 0, "object", 77, 96.0, 4.0),
    ]
    assert markdown_lines(rows)[2:] == [
        "| gaze | object | 2 | 77 | 96.0 | 45.0 | -51.0 |",
        "| control | object | 1 | 77 | 96.0 | 4.0 | -92.0 |",
    ]
    write_remembered(rows, tmp_path / "forgetting.csv")
    with (tmp_path / "forgetting.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["after"] for row in read] == ["40.0", "50.0", "4.0"]
    assert read[0]["run"] == "runs/gaze/seed0"
