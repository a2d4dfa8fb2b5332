"""The picture of attention: one scale, and words for every mark and colour."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from gaze_vlm.cli import main
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.gaze import lettering
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.report import figures
from gaze_vlm.report.attention import check_frame
from gaze_vlm.report.attention_figure import LINE_LENGTH, ClipAttention, draw_attention

FRAMES, GRID = 3, Grid(2, 4)


def clip(name: str, target: str = "cut red cup") -> Clip:
    frames = torch.zeros(FRAMES, 3, 24, 32, dtype=torch.uint8)
    xy = torch.full((FRAMES, 1, 2), 0.5)
    xy[0] = 0.25
    mixture = GazeMixture(xy, torch.ones(FRAMES, 1), 0.1, 4 / 3)
    return Clip(name, name, name, "activity", frames, [1.0, 2.0, 3.0], mixture, "?", target, None, None, False, 1.0)


def attention(arm: str, clips: int = 1, valid: bool = True, covered: View = View(), seed: int = 0) -> ClipAttention:  # noqa: B008
    """One frame group for all frames of each clip."""
    mass = np.random.default_rng(seed).dirichlet(np.ones(len(GRID)), clips)
    maps = mass.reshape(clips, 1, GRID.rows, GRID.columns)
    counts = np.full((clips, 1), valid)
    return ClipAttention(
        arm, Path(f"runs/{arm}/seed{seed}"), maps, maps[::-1], counts, covered, frames_per_group=FRAMES
    )


def panels(figure: Figure, columns: int) -> np.ndarray:
    return np.array(figure.axes[:-1]).reshape(-1, columns)  # the last one is the colour bar


def test_titles_are_distinct_and_every_mark_and_colour_is_explained() -> None:
    figure = draw_attention([clip("a")], -1, [attention("control"), attention("gaze")], [["x"], ["x"]])
    titles = [axis.get_title() for axis in panels(figure, 4)[0]]
    assert titles == ["gaze points", "gaze distribution", "arm control", "arm gaze"]
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["gaze point that counts", "answer that equals the target text", "answer that differs from it"]
    assert "uniform" in figure.axes[-1].get_ylabel()
    twice = draw_attention([clip("a")], -1, [attention("gaze"), attention("gaze", seed=1)], [["x"], ["x"]])
    assert [axis.get_title() for axis in panels(twice, 4)[0][2:]] == [
        "arm gaze\nruns/gaze/seed0",
        "arm gaze\nruns/gaze/seed1",
    ]


def test_all_panels_share_one_scale_from_zero_to_the_highest_value() -> None:
    runs = [attention("control", 2), attention("gaze", 2, seed=1)]
    figure = draw_attention([clip("a"), clip("b")], -1, runs, [["x", "y"]] * 2)
    maps = [axis.images[-1] for row in panels(figure, 4) for axis in row[1:]]
    assert len({id(image.norm) for image in maps}) == 1
    highest = max(len(GRID) * one.attention.max() for one in runs)
    assert maps[0].get_clim() == pytest.approx((0, highest))
    uniform = np.concatenate([np.ravel(image.get_array()) for image in maps]).mean()
    assert uniform == pytest.approx(1)


def test_red_is_an_answer_that_differs_from_the_target() -> None:
    clips, answers = [clip("a"), clip("b", "it's $5 and $6")], ["Cut red cup", "wash pot " * 9]
    figure = draw_attention(clips, -1, [attention("gaze", 2)], [answers])
    right, wrong = (row[2].xaxis.label for row in panels(figure, 3))
    assert (right.get_color(), wrong.get_color()) == ("black", "firebrick")
    assert "\n" in wrong.get_text()
    figure.savefig("/dev/null", format="png")  # dollars are no mathematics


def test_the_frame_asked_for_is_drawn_with_its_points_where_the_model_sees_it() -> None:
    covered = View(0.25, 0, 0.75, 1)
    figure = draw_attention([clip("a")], 0, [attention("gaze", covered=covered)], [["x"]])
    points, distribution, _ = panels(figure, 3)[0]
    assert points.collections[0].get_offsets().tolist() == [[7.5, 5.5]]
    assert "1.0 s into the clip" in points.get_ylabel()
    assert distribution.images[-1].get_extent() == [7.5, 23.5, 23.5, -0.5]
    assert distribution.get_xlim() == (-0.5, 31.5)


def test_a_frame_without_valid_gaze_says_so() -> None:
    figure = draw_attention([clip("a")], -1, [attention("gaze", valid=False)], [["x"]])
    distribution = panels(figure, 3)[0][1]
    assert distribution.get_xlabel() == "no valid gaze in this frame"
    assert len(distribution.images) == 1


@pytest.mark.parametrize("frame", [3, -4])
def test_a_frame_that_is_not_there_is_refused(frame: int) -> None:
    check_frame(2, [clip("a")])
    check_frame(-3, [clip("a")])
    with pytest.raises(ValueError, match=f"frame is {frame}, clip a has 3: give 0 to 2, or -1 to -3 from the last"):
        check_frame(frame, [clip("a")])


@pytest.mark.parametrize("name", ["picture", "picture.gif", "picture.html"])
def test_another_kind_is_refused_before_a_run_is_looked_for(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attention", "--runs", str(tmp_path / "no-run"), "--output", str(tmp_path / name)]) == 1
    assert "is no kind to write: end the name in .png or .jpg or .jpeg or .pdf or .svg" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["png", "jpg", "pdf", "svg"])
def test_every_kind_is_written(kind: str, tmp_path: Path) -> None:
    draw_attention([clip("a")], -1, [attention("gaze")], [["x"]]).savefig(tmp_path / f"a.{kind}")
    assert (tmp_path / f"a.{kind}").stat().st_size > 1000


def test_texts_of_any_script_fit_their_panel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "font_families", lambda: ["DejaVu Sans"])
    lettering.say_boxes.cache_clear()
    figure = draw_attention([clip("a", "切番茄" * 20)], -1, [attention("gaze")], [["x"]])
    assert [len(line) for line in panels(figure, 3)[0][0].get_xlabel().splitlines()][1:] == [LINE_LENGTH // 2] * 2 + [1]
    figures.save(figure, tmp_path / "a.png")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("letters that no font in use has are drawn as boxes")
