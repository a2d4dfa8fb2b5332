"""The picture of layer × head: one scale a score, chance in the middle, and numbers in the colour that can be read."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gaze_vlm.cli import main
from gaze_vlm.report.alignment_figure import TITLES, draw_alignment, ticks
from gaze_vlm.runs.alignment import Alignment, write_alignment
from gaze_vlm.runs.directory import RunDirectory


def alignment(layers: int = 2, heads: int = 3, seed: int = 0, source: str = "language") -> Alignment:
    scores = {name: np.random.default_rng(seed).random((layers, heads)) for name in TITLES}
    return Alignment(source, tuple(range(layers)), tuple(range(heads)), dict.fromkeys(TITLES, 1234), scores)


def maps(figure: Figure) -> np.ndarray:
    with_image = [axis for axis in figure.axes if axis.images]
    return np.array(with_image).reshape(len(TITLES), -1)


def test_runs_share_one_scale_a_score_with_chance_in_its_middle() -> None:
    runs = {"control": alignment(), "gaze": alignment(seed=1)}
    for score, row in zip(TITLES, maps(draw_alignment(runs)), strict=True):
        values = np.concatenate([one.scores[score] for one in runs.values()])
        limits = {axis.images[0].get_clim() for axis in row}
        assert len(limits) == 1
        low, high = limits.pop()
        assert low <= values.min() <= values.max() <= high
        if score != "kl":
            assert (low + high) / 2 == pytest.approx({"nss": 0, "auc": 0.5}[score])


def test_a_map_says_whose_it_is_and_every_value_where_there_is_room() -> None:
    runs = {"control": alignment(source="block"), "gaze": alignment(40, 32)}
    axes = maps(draw_alignment(runs))
    assert [axis.get_title() for axis in axes[0]] == ["control\nblock, 1,234 frames", "gaze\nlanguage, 1,234 frames"]
    assert [text.get_text() for text in axes[0][0].texts] == [f"{v:.2f}" for v in runs["control"].scores["nss"].flat]
    assert not axes[0][1].texts
    assert {axis.get_xlabel() for axis in axes.flat} == {"head"}
    assert {axis.get_ylabel() for axis in axes.flat} == {"layer"}
    for axis in axes[:, 0]:
        colours = axis.images[0].to_rgba(axis.images[0].get_array())[..., :3].reshape(-1, 3)
        dark = colours @ [0.299, 0.587, 0.114] < 0.5
        assert [text.get_color() == "white" for text in axis.texts] == dark.tolist()


def test_ticks_name_some_of_many_layers() -> None:
    assert ticks([3, 7]) == ([0, 1], ["3", "7"])
    places, labels = ticks(range(40))
    assert places == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39]
    assert labels == [str(place) for place in places]


def test_equal_heads_are_drawn_too() -> None:
    one = alignment()
    for values in one.scores.values():
        values[:] = 0.5
    assert all(isinstance(axis.images[0].norm, Normalize) for axis in maps(draw_alignment({"run": one})).flat)


@pytest.mark.parametrize("kind", ["png", "jpg", "pdf", "svg"])
def test_the_command_draws_what_tests_found(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [tmp_path / "control", tmp_path / "gaze"]
    for run in runs:
        write_alignment(RunDirectory(run).alignment, alignment())
    output = tmp_path / f"a.{kind}"
    assert main(["alignment", "--runs", *map(str, runs), "--output", str(output)]) == 0
    assert output.stat().st_size > 1000
    assert capsys.readouterr().out == f"wrote {output}\n"


def test_a_run_without_alignment_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alignment", "--runs", str(tmp_path), "--output", str(tmp_path / "a.png")]) == 1
    assert "alignment.json is missing: test the run again" in capsys.readouterr().err
    assert main(["alignment", "--runs", str(tmp_path), "--output", str(tmp_path / "a.gif")]) == 1
    assert "is no kind to write" in capsys.readouterr().err
