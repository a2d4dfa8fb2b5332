"""Trimmed clips: their gaze and actions are the session's, shifted."""

from pathlib import Path

import numpy as np
import pytest

from egtea_files import (
    HEADER_34,
    PREAMBLE,
    clip_name,
    row_34,
    shift_px,
    write_annotations,
    write_gaze,
    write_split,
    write_trimmed,
)
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.frame_sampling import prepare_video
from gaze_vlm.preparation.parameters import PreparationParameters

SESSION = "OP01-R01-PastaSalad"
GAZE = [(k / 30, (100.5 - shift_px(int(k / 30 * 24 + 1e-6))) * 10, 480.0, "Fixation") for k in range(180)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three actions of eight seconds as trimmed clips; gaze of six seconds, in a name of another case."""
    write_annotations(tmp_path, [SESSION])
    write_gaze(tmp_path / "gaze_data" / f"{SESSION.lower()}-GazeData.txt", GAZE, "3.4")
    for start_s in (0, 2, 6):
        write_trimmed(tmp_path, SESSION, start_s)
    return tmp_path


def test_one_recording_a_clip(root: Path) -> None:
    write_split(root, 1, train=[(SESSION, 0)], test=[(SESSION, 2)])
    reader = EgteaReader(root)  # without a folder of sessions, the clips are taken
    recordings = reader.recordings()
    assert [recording.video_id for recording in recordings] == [clip_name(SESSION, start) for start in (0, 2, 6)]
    assert [recording.split for recording in recordings] == ["train", "test", None]
    assert {(recording.session, recording.participant) for recording in recordings} == {(SESSION, "OP01")}
    assert [recording.session_start_s for recording in recordings] == [0.0, 43 / 24, 139 / 24]
    assert {(recording.gaze_width_px, recording.gaze_height_px) for recording in recordings} == {(1280, 960)}
    assert reader.left_out() == {"no trimmed clip": [f"{SESSION.lower()}-4000-6000"]}


def test_own_action_and_the_surrounding_ones_in_the_clips_time(root: Path) -> None:
    recording = EgteaReader(root, videos="clips").recordings()[1]
    before, own, after = recording.actions
    start_s = 43 / 24
    assert (own.start_s, own.end_s) == pytest.approx((2 - start_s, 4 - start_s))
    assert (before.start_s, before.end_s) == pytest.approx((-start_s, 2 - start_s))
    assert after.start_s == pytest.approx(4 - start_s)
    assert [action.verb for action in recording.actions] == ["cut", "pick up", "cut"]


def test_gaze_is_shifted_and_normalised_by_the_gaze_space(root: Path) -> None:
    reader = EgteaReader(root)
    gaze = reader.read_gaze(reader.recordings()[1])  # frames 43 to 101
    times = np.array([sample[0] for sample in GAZE])
    kept = (times > 42 / 24) & (times <= 102 / 24)
    np.testing.assert_allclose(gaze.t_s, times[kept] - 43 / 24, atol=1e-5)
    np.testing.assert_allclose(gaze.xy[:, 0], np.array([sample[1] for sample in GAZE])[kept] / 1280, atol=1e-5)
    np.testing.assert_allclose(gaze.xy[:, 1], 0.5)


def test_a_sample_is_in_the_clips_frame_that_its_row_names(root: Path) -> None:
    """Though the tracker's clock runs 2 % too slow, by two frames at the end; x tells the session's frame."""
    times = np.arange(180) / 30
    frames = np.floor(times * 24 + 1e-6).astype(int)
    path = root / "gaze_data" / f"{SESSION.lower()}-GazeData.txt"
    rows = [row_34(0.98 * t_s, frame, 480, frame, "Fixation") for t_s, frame in zip(times, frames, strict=True)]
    path.write_text(PREAMBLE + HEADER_34 + "".join(rows))
    reader = EgteaReader(root)
    with pytest.warns(UserWarning, match=r"part by up to 0.1\d s of the 6 s; gaze goes by the Frame column"):
        gaze = reader.read_gaze(reader.recordings()[1])
    shown = 43 + np.floor(gaze.t_s * 24 + 1e-6)
    np.testing.assert_allclose(shown, gaze.xy[:, 0] * 1280, atol=1e-6)
    assert set(shown) == set(range(42, 102))


def test_gaze_lies_on_the_clips_pixels(root: Path) -> None:
    """The scene point that gaze follows is carried to where it is in the sampled frame of the smaller video."""
    reader = EgteaReader(root)
    recording = reader.recordings()[1]
    prepared = prepare_video(recording.video, reader.read_gaze(recording), PreparationParameters())
    assert prepared.frame_t_s.tolist() == [1.0, 2.0]
    for row, frame in enumerate((43 + 24, 43 + 48)):
        points = prepared.xy[row][prepared.event[row] == GazeEvent.FIXATION]
        assert len(points) >= 5
        np.testing.assert_allclose(points[:, 0], (100.5 - shift_px(frame)) / 128, atol=1 / 64)


def test_gaze_that_ends_before_the_clip(root: Path) -> None:
    reader = EgteaReader(root)
    gaze = reader.read_gaze(reader.recordings()[2])  # from frame 139; gaze ends at 6 s, frame 144
    assert gaze.t_s[-1] == pytest.approx(179 / 30 - 139 / 24, abs=1e-5)
    write_gaze(root / "gaze_data" / f"{SESSION.lower()}-GazeData.txt", GAZE[:90])
    recording = reader.recordings()[2]
    assert len(reader.read_gaze(recording)) == 0
    prepared = prepare_video(recording.video, reader.read_gaze(recording), PreparationParameters())
    assert (prepared.event == GazeEvent.UNTRACKED).all()


@pytest.mark.parametrize(("frames", "fits"), [(56, False), (57, True), (58, True), (59, True), (60, False)])
def test_one_frame_more_or_less_than_the_name_says(root: Path, frames: int, fits: bool) -> None:
    write_trimmed(root, SESSION, 2, frames)
    reader = EgteaReader(root)
    recording = reader.recordings()[1]
    if fits:
        assert len(reader.read_gaze(recording)) > 0
    else:
        with pytest.raises(ValueError, match=rf"F000101.mp4: {frames} frames at 24 fps where its name says 58"):
            reader.read_gaze(recording)


def test_sessions_are_taken_where_both_are_there(root: Path) -> None:
    (root / "videos").mkdir()
    (root / "videos" / f"{SESSION}.mp4").touch()
    assert [recording.video_id for recording in EgteaReader(root).recordings()] == [SESSION]
    assert len(EgteaReader(root, videos="clips").recordings()) == 3


def test_missing_gaze_and_foreign_names(root: Path) -> None:
    reader = EgteaReader(root)
    (root / "gaze_data" / f"{SESSION.lower()}-GazeData.txt").unlink()
    with pytest.raises(ValueError, match=rf"{SESSION}.txt is missing"):
        reader.read_gaze(reader.recordings()[0])
    (root / "cropped_clips" / SESSION / "trailer.mp4").touch()
    with pytest.raises(ValueError, match=r"trailer.mp4: 'trailer' is no clip's name"):
        reader.recordings()


def test_no_clips(tmp_path: Path) -> None:
    write_annotations(tmp_path, [SESSION])
    (tmp_path / "gaze_data").mkdir()
    (tmp_path / "cropped_clips").mkdir()
    with pytest.raises(ValueError, match=r"cropped_clips holds no video .*put the videos \(<session>/<clip>.mp4\)"):
        EgteaReader(tmp_path).recordings()
