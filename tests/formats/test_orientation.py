"""Videos whose metadata turn their frames: every way of decoding gives what a player shows."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from egtea_files import iterate_frames, shift_px, texture, turn, write_video
from gaze_vlm.formats.orientation import Orientation, orientation_of
from gaze_vlm.formats.reencode import reencoded_pts, reencoder
from gaze_vlm.formats.video import Pixels, frames_at, timed_frames
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.gaze.samples import GazeSamples
from gaze_vlm.preparation.frame_sampling import prepare_video
from gaze_vlm.preparation.parameters import PreparationParameters

Shown = Callable[[np.ndarray], np.ndarray]
TURNS: dict[str, tuple[tuple[int, int, int, int], Shown]] = {  # np.rot90 turns counter-clockwise
    "0": ((1, 0, 0, 1), lambda image: image),
    "90 clockwise": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "180": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "270 clockwise": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "mirrored, 90 clockwise": ((0, 1, 1, 0), lambda image: np.rot90(np.fliplr(image), 1)),
}


def coded(to: Path) -> Path:
    image = texture(0)
    return write_video(to, [image[:96, shift_px(i) :][:, :128] for i in range(48)])


@pytest.fixture(scope="module", params=list(TURNS))
def turned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """A video with a display matrix, and its frames as a player shows them."""
    path = coded(tmp_path_factory.mktemp("turned") / "v.mp4")
    as_coded = [image for _, _, image in iterate_frames(path)]
    matrix, shown = TURNS[request.param]
    return turn(path, matrix), [shown(image) for image in as_coded]


def test_every_way_of_decoding_gives_the_shown_frames(turned: tuple[Path, list[np.ndarray]]) -> None:
    path, shown = turned
    info = video_info(path)
    assert (info.height_px, info.width_px) == shown[0].shape[:2]
    frames = list(iterate_frames(path))
    np.testing.assert_array_equal([image for _, _, image in frames], shown)
    np.testing.assert_array_equal(frames_at(path, [frames[5][0], frames[30][0]]), [shown[5], shown[30]])
    assert frames_at(path, [0], width_px=30, height_px=50).shape == (1, 50, 30, 3)
    grey = Pixels("gray")(next(timed_frames(path)).frame)
    assert grey.shape == shown[0].shape[:2]
    assert grey.flags.c_contiguous  # as the flow asks


def test_a_copy_is_upright(turned: tuple[Path, list[np.ndarray]], tmp_path: Path) -> None:
    path, shown = turned
    info = video_info(path)
    with reencoder(tmp_path / "copy.mp4", info, 96, 12) as write:
        for frame in timed_frames(path):
            write(frame)
    assert all(orientation_of(frame.frame) == Orientation() for frame in timed_frames(tmp_path / "copy.mp4"))
    pts = [reencoded_pts(info, frame.pts) for frame in timed_frames(path)]
    difference = frames_at(tmp_path / "copy.mp4", pts).astype(float) - np.stack(shown)
    assert np.abs(difference).mean() < 4


def test_gaze_is_carried_in_the_shown_frame(tmp_path: Path) -> None:
    """The pan of the coded frame to the left is, shown, one upwards: gaze that follows it stays on its point."""
    parameters = PreparationParameters(frame_hz=2, observation_s=0.5, stride_s=0.5)
    t_s = np.arange(60) / 30
    x, y = (100.5 - np.array([shift_px(int(t * 24 + 1e-6)) for t in t_s])) / 128, np.full(60, 0.25)
    stored = {}
    for name, xy in (("plain", [x, y]), ("turned", [1 - y, x])):  # clockwise: what is at the left comes to the top
        path = coded(tmp_path / f"{name}.mp4")
        if name == "turned":
            turn(path, (0, 1, -1, 0))
        gaze = GazeSamples(t_s, np.stack(xy, axis=1), np.zeros(60, np.uint8))
        stored[name] = prepare_video(path, gaze, parameters)
    assert stored["plain"].counts.carried > 0
    back = np.stack([stored["turned"].xy[..., 1], 1 - stored["turned"].xy[..., 0]], axis=-1)
    np.testing.assert_allclose(back, stored["plain"].xy, atol=0.01)
    moved = np.abs(stored["turned"].xy - stored["turned"].raw_xy)[..., 1]
    assert np.nanmax(moved) > 0.05


@pytest.mark.parametrize(
    ("aspect", "matrix", "shown_px"),
    [
        (None, (1, 0, 0, 1), (128, 96)),
        (Fraction(4, 3), (1, 0, 0, 1), (171, 96)),  # as 1440×1080 that players show as 1920×1080
        (Fraction(8, 9), (-1, 0, 0, -1), (114, 96)),
        (Fraction(4, 3), (0, 1, -1, 0), (72, 128)),  # turned, a wide pixel is a high one
        (Fraction(255, 1), (1, 0, 0, 1), (128, 96)),  # no camera's
    ],
)
def test_pixels_that_are_not_square(
    tmp_path: Path, aspect: Fraction | None, matrix: tuple[int, int, int, int], shown_px: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "v.mp4", [texture(0)[:96, :128]] * 3, pixel_aspect=aspect)
    info = video_info(turn(path, matrix))
    assert info.shown_px == shown_px
    assert next(iterate_frames(path))[2].shape[:2] == (info.height_px, info.width_px)


def test_other_angles_are_refused(tmp_path: Path) -> None:
    path = turn(coded(tmp_path / "v.mp4"), (1, 1, -1, 1))
    with pytest.raises(ValueError, match=r"v\.mp4: its metadata turn the frames by -45 degrees, no multiple of 90"):
        video_info(path)
