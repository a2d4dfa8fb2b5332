"""Exports of Pupil Cloud: two clocks that are one, pixels, and what the ids of events mean."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.gaze_pupil import read_pupil_gaze
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

FIXATION, SACCADE, UNKNOWN, OUT, UNTRACKED, BLINK = GazeEvent
HEADER = (
    "section id,recording id,timestamp [ns],gaze x [px],gaze y [px],worn,fixation id,blink id,"
    "azimuth [deg],elevation [deg]"
)
START_NS = 1_700_000_000_123_456_789


def row(
    ns: int, x: float | str = 400, y: float | str = 300, worn: str = "1.0", fixation: str = "", blink: str = ""
) -> str:
    return f"sec,rec,{START_NS + ns},{x},{y},{worn},{fixation},{blink},1.5,-2.5"


def read(folder: Path, rows: list[str], header: str = HEADER, world: list[int] | None = None) -> GazeSamples:
    frames = [0, 33_333_333, 66_666_667] if world is None else world
    lines = ["section id,recording id,timestamp [ns]", *(f"sec,rec,{START_NS + ns}" for ns in frames)]
    (folder / "world_timestamps.csv").write_text("\n".join(lines) + "\n")
    (folder / "gaze.csv").write_text("\n".join([header, *rows]) + "\n")
    return read_pupil_gaze(folder / "gaze.csv", 1600, 1200)


def test_time_zero_is_the_first_world_frame(tmp_path: Path) -> None:
    gaze = read(tmp_path, [row(-5_000_000), row(0), row(5_000_100)], world=[33_000_000, 0])
    np.testing.assert_allclose(gaze.t_s, [-0.005, 0, 0.0050001], rtol=0, atol=1e-12)  # no nanosecond is rounded away


def test_places_are_pixels_from_the_top_left(tmp_path: Path) -> None:
    gaze = read(tmp_path, [row(0, 400, 120), row(1, 1700.5, 600), row(2, 5, -0.1), row(3, "", ""), row(4, 1600, 1200)])
    np.testing.assert_allclose(gaze.xy[[0, 4]], [[0.25, 0.1], [1, 1]])
    assert gaze.event.tolist() == [UNKNOWN, OUT, OUT, UNTRACKED, UNKNOWN]


def test_events(tmp_path: Path) -> None:
    rows = [
        row(0, fixation="1"),
        row(1),  # between two fixations
        row(2, fixation="2", blink="1"),  # the lids close during a fixation
        row(3, worn="0.0", fixation="2"),
        row(4, worn="False"),
        row(5, worn="True", fixation="2"),
        row(6, worn="", fixation="3"),
    ]
    gaze = read(tmp_path, rows)
    assert gaze.event.tolist() == [FIXATION, SACCADE, BLINK, UNTRACKED, UNTRACKED, FIXATION, FIXATION]
    assert np.isnan(gaze.xy[2:5]).all()


def test_an_export_without_fixations_is_unknown(tmp_path: Path) -> None:
    assert read(tmp_path, [row(0), row(1, blink="4")]).event.tolist() == [UNKNOWN, BLINK]
    player = "timestamp [ns],gaze x [px],gaze y [px]"
    assert read(tmp_path, [f"{START_NS},10,10"], player).event.tolist() == [UNKNOWN]


def test_exports_made_on_a_computer(tmp_path: Path) -> None:
    """Neon's own files say 255 for worn, and an export of them -1 for all where events were not found."""
    rows = [row(0, worn="255", fixation="-1", blink="-1"), row(1, worn="0", fixation="-1", blink="-1")]
    assert read(tmp_path, rows).event.tolist() == [UNKNOWN, UNTRACKED]
    rows = [row(0, worn="255.0", fixation="0.0", blink="-1"), row(1, worn="255", fixation="-1", blink="-1")]
    assert read(tmp_path, rows).event.tolist() == [FIXATION, SACCADE]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(0), row(1, x="left")], r"gaze.csv, line 3: gaze x \[px\] is 'left'"),
        ([row(0).replace(str(START_NS), "1.7e18")], r"gaze.csv, line 2: timestamp \[ns\] is '1.7e18'"),
        ([row(0, worn="maybe")], "gaze.csv, line 2: worn is 'maybe'"),
        ([row(0, blink="yes")], "gaze.csv, line 2: blink id is 'yes'"),
        ([row(0), row(1).replace("rec", "other")], "gaze.csv, line 3: another recording begins"),
        ([row(0), row(1).replace("sec", "s2")], "gaze.csv, line 3: another section begins, 's2' after 'sec'"),
        ([row(0).replace("sec", "s2")], "gaze.csv, line 2: another section begins, 's2' after 'sec'"),
        (
            [row(0, 3000, 10), row(1, 3000, 10), row(2)],
            "2 of 3 places .* of 1600×1200 px, as it was taken.; set frame_width_px",
        ),
        ([], "gaze.csv has a header and no row"),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(tmp_path, rows)


def test_frames_of_two_sections_are_refused(tmp_path: Path) -> None:
    """A video is of one section: the second section's would get the first one's gaze."""
    read(tmp_path, [row(0)])
    world = tmp_path / "world_timestamps.csv"
    world.write_text(world.read_text() + f"s2,rec,{START_NS + 300 * 10**9}\n")
    with pytest.raises(InputError, match=r"world_timestamps\.csv, line 5: another section begins, 's2' after 'sec'"):
        read_pupil_gaze(tmp_path / "gaze.csv", 1600, 1200)


def compare(folder: Path, rows: int, rate_hz: float, frames: int, duration_s: float) -> None:
    """Read an export of `rows` world timestamps at a rate, with a video of which the header says this."""
    read(folder, [row(0)], world=[round(k * 1e9 / rate_hz) for k in range(rows)])
    video = VideoInfo(1600, 1200, frames, duration_s, 30.0, Fraction(1, 90000), 0)
    read_pupil_gaze(folder / "gaze.csv", 1600, 1200, video)


@pytest.mark.parametrize(
    ("rows", "rate_hz", "frames", "duration_s"),
    [
        (600, 30, 600, 20.0),
        (600, 29.7, 595, 20.0),  # a few frames at the ends
        (600, 30, 480, 20.0),  # frames left out, and their times kept
        (600, 30, 0, 20.0),  # a container that does not count them
        (1, 30, 600, 20.0),
        (600, 30, 600, 0.0),
    ],
)
def test_a_video_of_these_frames(tmp_path: Path, rows: int, rate_hz: float, frames: int, duration_s: float) -> None:
    compare(tmp_path, rows, rate_hz, frames, duration_s)


def test_a_video_written_anew_at_another_rate(tmp_path: Path) -> None:
    """Of such a video all gaze is late, or early, by more and more."""
    said = r"world_timestamps\.csv has 600 frames over 20.0 s, and the video 600 frames over 24.0 s: .* at another rate"
    with pytest.raises(InputError, match=said):
        compare(tmp_path, 600, 30, 600, 24.0)
    with pytest.warns(UserWarning, match=r"20\.0 s, and the video 600 frames over 20\.6 s: .* at another rate"):
        compare(tmp_path, 600, 30, 600, 20.6)


@pytest.mark.parametrize(("frames", "said"), [(450, "the video 450 frames over 15"), (0, "the video frames over 15")])
def test_a_part_of_the_exports_video(tmp_path: Path, frames: int, said: str) -> None:
    with pytest.warns(UserWarning, match=rf"600 frames over 20.0 s, and {said}.0 s: .* cut at its start, gaze is late"):
        compare(tmp_path, 600, 30, frames, 15.0)


def test_exports_without_sections(tmp_path: Path) -> None:
    header = "recording id,timestamp [ns],gaze x [px],gaze y [px]"
    assert read(tmp_path, [f"rec,{START_NS},10,10", f",{START_NS + 1},10,10"], header).event.tolist() == [UNKNOWN] * 2


def test_world_timestamps_are_needed(tmp_path: Path) -> None:
    read(tmp_path, [row(0)])
    (tmp_path / "world_timestamps.csv").write_text("")
    with pytest.raises(ValueError, match=r"world_timestamps.csv is empty"):
        read_pupil_gaze(tmp_path / "gaze.csv", 1600, 1200)
    (tmp_path / "world_timestamps.csv").unlink()
    with pytest.raises(ValueError, match=r"world_timestamps.csv is missing: gaze is timed by it"):
        read_pupil_gaze(tmp_path / "gaze.csv", 1600, 1200)


@pytest.mark.parametrize("time", ["9" * 20, "9" * 5000])
def test_a_time_of_too_many_digits(tmp_path: Path, time: str) -> None:
    with pytest.raises(InputError, match=r"gaze\.csv, line 2: timestamp \[ns\] is '9+.*expected a whole number"):
        read(tmp_path, [f"sec,rec,{time},1,1,1.0,,,0,0"])
