"""Tobii Pro Glasses 2 and 3: packets of JSON, two clocks, and shares of the frame from its top left."""

import gzip
import json
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.gaze_tobii import read_tobii2_gaze, read_tobii3_gaze
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

UNKNOWN, OUT, UNTRACKED = GazeEvent.UNKNOWN, GazeEvent.OUT_OF_FRAME, GazeEvent.UNTRACKED
EYE = {"gazeorigin": [27.1, -8.2, -24.7], "gazedirection": [0.03, 0.1, 0.99], "pupildiameter": 3.1}
START_US = 11_400_000_123


def gaze_3(t_s: Any, place: Any = (0.5, 0.25)) -> dict[str, Any]:
    """A packet of gaze of Glasses 3; without a place the eyes were not found."""
    seen = {"gaze2d": place, "gaze3d": [1.0, -100.0, 800.0], "eyeleft": EYE, "eyeright": EYE}
    return {"type": "gaze", "timestamp": t_s, "data": {} if place is None else seen}


def gaze_2(us: Any, place: Any = (0.5, 0.25), status: int = 0) -> dict[str, Any]:
    """A packet of gaze of Glasses 2."""
    return {"ts": us, "s": status, "gidx": 12, "l": 83_000, "gp": place}


VIDEO_BEGAN = {"ts": START_US, "s": 0, "vts": 0}


def write(path: Path, packets: list[Any]) -> Path:
    text = "".join(f"{packet if isinstance(packet, str) else json.dumps(packet)}\n" for packet in packets)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read_3(folder: Path, packets: list[Any], name: str = "gazedata.gz") -> GazeSamples:
    return read_tobii3_gaze(write(folder / name, packets))


def read_2(folder: Path, packets: list[Any], name: str = "livedata.json.gz") -> GazeSamples:
    return read_tobii2_gaze(write(folder / name, packets))


@pytest.mark.parametrize("name", ["gazedata.gz", "gazedata"])
def test_glasses_3(tmp_path: Path, name: str) -> None:
    """Times are the video's; the top of the frame is y 0."""
    packets = [gaze_3(0.013, (0.25, 0.1)), gaze_3(0.003, (1, 0)), gaze_3(0.023, None), gaze_3(0.033, (1.2, 0.5))]
    other = {"type": "event", "timestamp": 0.001, "data": {"tag": "start", "object": ""}}
    gaze = read_3(tmp_path, [other, *packets, "", gaze_3(0.043, [])], name)
    np.testing.assert_allclose(gaze.t_s, [0.003, 0.013, 0.023, 0.033, 0.043])
    np.testing.assert_allclose(gaze.xy[:2], [[1, 0], [0.25, 0.1]])
    assert gaze.event.tolist() == [UNKNOWN, UNKNOWN, UNTRACKED, OUT, UNTRACKED]


@pytest.mark.parametrize("name", ["livedata.json.gz", "livedata.json"])
def test_glasses_2(tmp_path: Path, name: str) -> None:
    """Time 0 is where the video began, and what was recorded before it is negative."""
    packets = [
        {"ts": START_US - 900, "s": 0, "gidx": 11, "pc": [27.1, -8.2, -24.7], "eye": "left"},
        gaze_2(START_US - 20_000, (0.25, 0.1)),
        VIDEO_BEGAN,
        gaze_2(START_US, (0.5, 1)),
        gaze_2(START_US + 20_000, (0.0, 0.0), status=1),
        {"ts": START_US + 20_001, "s": 0, "gidx": 12, "l": 83_000, "gp3": [1.0, -100.0, 800.0]},
        gaze_2(START_US + 40_000, (0.5, -0.1)),
        {"ts": START_US + 60_000_000, "s": 0, "vts": 60_000_000},
    ]
    gaze = read_2(tmp_path, packets, name)
    np.testing.assert_allclose(gaze.t_s, [-0.02, 0, 0.02, 0.04], rtol=0, atol=1e-12)
    np.testing.assert_allclose(gaze.xy[:2], [[0.25, 0.1], [0.5, 1]])
    assert gaze.event.tolist() == [UNKNOWN, UNKNOWN, UNTRACKED, OUT]


def test_the_video_that_began_last_counts(tmp_path: Path) -> None:
    """The first of its frames were of another try; a packet with an error says nothing."""
    later = {"ts": START_US + 500_000, "s": 0, "vts": 0}
    failed = {"ts": START_US + 900_000, "s": 3, "vts": 0}
    gaze = read_2(tmp_path, [VIDEO_BEGAN, later, failed, gaze_2(START_US + 700_000)])
    np.testing.assert_allclose(gaze.t_s, [0.2])


@pytest.mark.parametrize(
    ("packets", "said"),
    [
        ([gaze_3(0.1), "{"], "line 2 is damaged"),
        ([gaze_3(0.1), '{"type": "gaze"'], r"line 2 is damaged .*: copy the file from the recording unit's card again"),
        (["[1]"], "line 1 holds list, not a JSON object"),
        ([gaze_3("now")], "line 1 is damaged .timestamp is 'now'"),
        ([gaze_3(10**400)], "line 1 is damaged .timestamp is a number of 1329 bits"),
        ([gaze_3(0.1, [0.5])], "line 1 is damaged"),
        ([gaze_3(0.1, [0.5, "left"])], "line 1 is damaged .gaze2d is a list of 2"),
        ([{"type": "gaze", "timestamp": 0.1}], "line 1 is damaged .'data'"),
        (
            [{"type": "event", "timestamp": 0.1, "data": {}}],
            "no packet of gaze: leave a recording without calibration out",
        ),
        ([], "has no packet of gaze"),
        ([gaze_3(0.1, (960, 540)), gaze_3(0.2, (960, 540))], "2 of 2 places are outside the frame"),
        ([gaze_3(60.0), gaze_3(0.1)], "59.9 s before that of the row above"),
    ],
)
def test_what_is_refused_of_glasses_3(tmp_path: Path, packets: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=rf"gazedata\.gz.*{said}"):
        read_3(tmp_path, packets)


@pytest.mark.parametrize(
    ("packets", "said"),
    [
        ([gaze_2(START_US)], "has no packet with vts 0, which says when the video began"),
        ([VIDEO_BEGAN], "has no packet of gaze"),
        ([VIDEO_BEGAN, gaze_2(None)], "line 2 is damaged .ts is None"),
        ([{"s": 0, "vts": 0}, gaze_2(START_US)], "line 1 is damaged .'ts'"),
    ],
)
def test_what_is_refused_of_glasses_2(tmp_path: Path, packets: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=rf"livedata\.json\.gz.*{said}"):
        read_2(tmp_path, packets)


def test_a_file_that_is_cut_short_or_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "gazedata.gz", [gaze_3(k / 100) for k in range(200)])
    whole = path.read_bytes()
    for damaged in (whole[:-20], whole[:40] + bytes(20) + whole[60:], whole[:-8] + bytes(8)):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"gazedata\.gz.* damaged"):
            read_tobii3_gaze(path)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "gazedata.gz"
    path.write_bytes(gzip.compress(b" {" + b"0" * 10_000_000))
    with pytest.raises(InputError, match=r"gazedata\.gz, line 1 is damaged"):
        read_tobii3_gaze(path)


def header(duration_s: float) -> VideoInfo:
    return VideoInfo(1920, 1080, round(25 * duration_s), duration_s, 25.0, Fraction(1, 90000), 0)


def test_a_video_that_is_not_as_long_as_its_recording(tmp_path: Path) -> None:
    """The unit stops both together, so another end means a video that was cut, or written at another rate."""
    glasses_3 = write(tmp_path / "gazedata.gz", [gaze_3(k) for k in range(61)])
    packets = [VIDEO_BEGAN, *(gaze_2(START_US + k * 10**6) for k in range(61))]
    glasses_2 = write(tmp_path / "livedata.json.gz", packets)
    for read, path in ((read_tobii3_gaze, glasses_3), (read_tobii2_gaze, glasses_2)):
        for duration_s in (50.0, 62.5):
            said = (
                rf"{path.name}: gaze ends at 60.0 s, and the video at {duration_s} s: .* cut at its start, gaze is late"
            )
            with pytest.warns(UserWarning, match=said):
                read(path, header(duration_s))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for duration_s in (58.5, 60.0, 61.5, 0.0):
                read(path, header(duration_s))


def test_a_recording_without_calibration_is_warned_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"gazedata\.gz: none of 100 samples is tracked: was the tracker calibrated"):
        gaze = read_3(tmp_path, [gaze_3(k / 50, None) for k in range(100)])
    assert not gaze.tracked.any()


def test_many_samples_give_no_warning(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    packets = [gaze_3(round(k / 50, 6), [round(float(v), 4) for v in rng.uniform(0.1, 0.9, 2)]) for k in range(5000)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gaze = read_3(tmp_path, packets)
    assert (len(gaze.t_s), gaze.xy.shape) == (5000, (5000, 2))
