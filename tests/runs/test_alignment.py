"""alignment.json: what a test knew of each head of each layer, back as it was."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gaze_vlm.attention.sources import BlockSource
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.gaze.view import Grid
from gaze_vlm.metrics.attention_scores import HeadSums
from gaze_vlm.runs.alignment import Alignment, alignment_of, read_alignment, write_alignment

SCORES = {name: np.arange(6).reshape(2, 3) / 7 for name in ("kl", "nss", "auc")}
FRAMES = {"kl": 12, "nss": 11, "auc": 10}


def source(layers: list[int], heads: tuple[int, ...] = ()) -> BlockSource:
    return BlockSource(grid=Grid(2, 2), layer_numbers=layers, heads=heads, block=torch.nn.Identity())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = Alignment("language", (3, 7), (0, 1, 2), FRAMES, SCORES)
    write_alignment(tmp_path / "alignment.json", written)
    read = read_alignment(tmp_path / "alignment.json")
    assert (read.source, read.layers, read.heads, read.frames) == ("language", (3, 7), (0, 1, 2), FRAMES)
    assert all((read.scores[name] == SCORES[name]).all() for name in SCORES)


def test_heads_stand_behind_each_other_by_layer() -> None:
    sums = HeadSums(torch.arange(18.0, dtype=torch.double).view(3, 6), torch.tensor([2.0, 4.0, 8.0]).double())
    made = alignment_of(source([3, 7]), sums)
    assert made is not None
    assert made.scores["kl"].tolist() == [[0, 0.5, 1], [1.5, 2, 2.5]]
    assert made.scores["auc"][1].tolist() == [15 / 8, 16 / 8, 17 / 8]
    assert made.frames == {"kl": 2, "nss": 4, "auc": 8}
    assert (made.layers, made.heads) == ((3, 7), (0, 1, 2))
    assert alignment_of(source([3], (5, 2)), HeadSums(sums.sums[:, :2], sums.frames)).heads == (5, 2)  # type: ignore[union-attr]


def test_without_a_frame_there_is_none() -> None:
    assert alignment_of(source([0]), HeadSums(torch.zeros(3, 2), torch.tensor([5.0, 0.0, 0.0]))) is None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"scores": {name: [[0.5]] for name in SCORES}}, r"scores of \(1, 1\) where \(2, 3\) heads are listed"),
        ({"scores": {name: [[0.5, None, 1]] * 2 for name in SCORES}}, "a score is not finite"),
        ({"layers": None}, "is damaged"),
        ({"frames": {"kl": 3}}, "'nss'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: dict, message: str) -> None:
    file = tmp_path / "alignment.json"
    write_alignment(file, Alignment("vision", (0, 1), (0, 1, 2), FRAMES, SCORES))
    file.write_text(json.dumps(json.loads(file.read_text()) | damage))
    with pytest.raises(InputError, match=message) as error:
        read_alignment(file)
    assert f"{file} is damaged" in str(error.value)
    assert "test the run again" in str(error.value)


def test_a_missing_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"alignment.json is missing: test the run again"):
        read_alignment(tmp_path / "alignment.json")
