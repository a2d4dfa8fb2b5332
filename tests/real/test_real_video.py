"""Flow and occlusion on a real video: OpenCV's `box.mp4`, 640 × 480 at 30 fps, in which a hand moves a printed box
over a table and covers a pen. `cup.mp4`, a cup before a plain wall, is prepared with a Neon's gaze.

`box.mp4` is taken frame by frame in the order of decoding: 231 of its 455 timestamps run backwards.
"""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from gaze_vlm.formats.video import timed_frames
from gaze_vlm.formats.video_header import open_video
from gaze_vlm.gaze.flow import DisFlow
from gaze_vlm.gaze.occlusion import (
    FRAME_EPSILON,
    carry,
    error_at,
    forward_backward_error,
    from_px,
    occluded_share,
    to_px,
    visible,
)
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store
from real_files import HEIGHT_PX, OPENCV, WIDTH_PX, read_neon, real_file, write_export

pytestmark = pytest.mark.real
FRAME = np.array([640, 480])
LAG = 6  # 0.2 s, the preparation's default window
ON_THE_BOX = {60: (437, 120), 100: (383, 149), 140: (312, 177), 180: (307, 158), 220: (392, 154), 260: (362, 224)}
PEN = 118  # the box covers the pen's right end, from x = 265 on, by frame 124
TABLE = np.array([[150, 260], [300, 380], [420, 330], [560, 300]])


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    with open_video(real_file(OPENCV / "box.mp4")) as (container, stream):
        return [frame.to_ndarray(format="gray") for frame in islice(container.decode(stream), 270)]


def test_timestamps_that_run_backwards_are_refused() -> None:
    with pytest.raises(ValueError, match="timestamps run backwards"):
        list(timed_frames(real_file(OPENCV / "box.mp4")))


def carried(
    frames: list[np.ndarray], index: int, width: int, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Points of `frames[index]`, in its pixels, `LAG` frames later; errors in frame widths; occluded share."""
    size = (width, width * 3 // 4)
    source, target = (cv2.resize(frames[k], size, interpolation=cv2.INTER_AREA) for k in (index, index + LAG))
    flow = DisFlow("medium")
    forward, backward = flow(source, target), flow(target, source)
    error = forward_backward_error(forward, backward)
    points_px = to_px(from_px(points.astype(float), *FRAME), *size)
    places = to_px(from_px(carry(points_px, forward), *size), *FRAME)
    return places, error_at(points_px, error, width / 96) / width, occluded_share(error, FRAME_EPSILON * width)


def matched(source: np.ndarray, target: np.ndarray, x: int, y: int) -> np.ndarray:
    """Where the 49 × 49 px about a point are found again, within 60 px."""
    patch, area = source[y - 24 : y + 25, x - 24 : x + 25], target[y - 84 : y + 85, x - 84 : x + 85]
    best = cv2.minMaxLoc(cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED))[3]
    return np.array(best) + np.array([x - 60, y - 60])


@pytest.mark.parametrize("width", [256, 640])
def test_gaze_on_the_box_lands_on_the_same_print(frames: list[np.ndarray], width: int) -> None:
    """The box moves by 4 to 17 px. The points miss the match by 1.5 px at most, and their errors stay below ε."""
    for index, (x, y) in ON_THE_BOX.items():
        places, error, share = carried(frames, index, width, np.array([[x, y]]))
        expected = matched(frames[index], frames[index + LAG], x, y)
        assert np.linalg.norm(expected - (x, y)) >= 3  # else a flow of zero would pass
        assert np.linalg.norm(places[0] - expected) < 2
        assert visible(error, np.array([share])).all()


@pytest.mark.parametrize("width", [256, 640])
def test_the_table_stays_and_is_seen(frames: list[np.ndarray], width: int) -> None:
    places, error, share = carried(frames, PEN, width, TABLE)
    np.testing.assert_allclose(places, TABLE, atol=1)
    assert (error < 0.001).all()
    assert share < 0.02  # so the frame test, at 0.6, drops nothing of what the box covers


def test_the_part_of_the_pen_that_gets_covered_is_dropped(frames: list[np.ndarray]) -> None:
    """Errors are below 0.001 widths on what stays in view, and 0.03 where the box comes to lie, three times ε."""
    pen = np.array([[x, 225] for x in (210, 220, 230, 240, 270, 280, 290)])
    _, error, share = carried(frames, PEN, 640, pen)
    assert (error[:4] < 0.002).all()
    assert (error[4:] > 0.02).all()
    assert visible(error, np.full(len(pen), share)).tolist() == [True] * 4 + [False] * 3
    assert visible(error, np.full(len(pen), share), "frame").all()


def test_a_preparation(tmp_path: Path) -> None:
    """Real gaze over a real video that it was not of: 200 Hz against 26.8 fps, time 0 in the middle of the gaze."""
    recording, root = read_neon("demo_recording"), tmp_path / "root"
    (root / "videos").mkdir(parents=True)
    (root / "videos" / "cup.mp4").symlink_to(real_file(OPENCV / "cup.mp4"))
    write_export(recording, root / "gaze" / "cup", events=False, world_ns=recording.t_ns[100:101])
    (root / "captions.csv").write_text(
        "video_id,start_s,end_s,text\ncup,0,4,tilts the cup\ncup,4,8.2,moves the cup away"
    )
    parameters = PreparationParameters(observation_s=2, anticipation_s=1, split_fractions=(1, 0, 0))
    options = {"frame_width_px": WIDTH_PX, "frame_height_px": HEIGHT_PX}
    store = Store(prepare("folder", root, tmp_path / "store", parameters, workers=1, reader=options))
    gaze = store.video("cup")
    assert gaze.frame_t_s.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    counts = (gaze.event != GazeEvent.UNTRACKED).sum(axis=1)
    assert (counts >= 38).all()  # 0.2 s at 200 Hz, but for gaps of 15 ms
    assert (counts <= 41).all()
    assert len(store.clips) > 0
    seen = gaze.event <= GazeEvent.UNKNOWN
    assert np.mean(gaze.event[seen] == GazeEvent.FIXATION) > 0.6
    assert np.isfinite(gaze.xy[seen]).all()
