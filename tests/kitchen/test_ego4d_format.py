"""The kitchen in Ego4D's files, read back by Ego4D's reader."""

import json
from uuid import UUID

import av
import numpy as np
import pytest

from gaze_vlm.cli import main
from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.gaze.events import SACCADE_VELOCITY, with_events
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.kitchen.build import build_kitchen
from gaze_vlm.kitchen.ego4d import video_uid
from gaze_vlm.kitchen.scene import EGO4D_RATES
from gaze_vlm.kitchen.session import simulate_session

SEED = 5


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitchen") / "root"
    options = [f"--root={root}", "--participants=1", "--recipes=2", f"--seed={SEED}", "--workers=1"]
    assert main(["kitchen", "--file_format=ego4d", *options]) == 0
    return root


@pytest.fixture(scope="module")
def reader(kitchen):
    return Ego4dReader(kitchen, split="none", verb_index=kitchen / "verb_idx.txt", noun_index=kitchen / "noun_idx.txt")


@pytest.fixture(scope="module")
def sessions():
    made = (simulate_session(SEED, 1, recipe, recipe == 2, EGO4D_RATES) for recipe in (1, 2))
    return {video_uid(SEED, 1, session.recipe): session for session in made}


def test_files_lie_where_the_download_tool_puts_them(kitchen, sessions):
    written = {path.relative_to(kitchen).as_posix() for path in kitchen.rglob("*") if path.is_file()}
    tables = {f"v2/gaze/{uid}.csv" for uid in sessions}
    videos = {f"v2/full_scale/{uid}.mp4" for uid in sessions}
    beside = {"kitchen.json", "action_boxes.csv", "sheet.png", "verb_idx.txt", "noun_idx.txt"}
    assert written == {"ego4d.json", "v2/annotations/narration.json", *tables, *videos, *beside}
    assert all(str(UUID(uid)) == uid for uid in sessions)
    assert set(json.loads((kitchen / "kitchen.json").read_text())["sessions"]) == set(sessions)


def test_gaze_is_the_simulated_one_with_y_from_the_top(reader, sessions):
    left_the_frame = 0
    for recording in reader.recordings():
        gaze, track = reader.read_gaze(recording), sessions[recording.video_id].gaze
        np.testing.assert_allclose(gaze.t_s, track.t_s, atol=1e-9)
        assert np.median(np.diff(gaze.t_s)) == pytest.approx(1 / 200)
        lost = np.isin(track.event, ["-", "Blink"])
        assert 0 < lost.mean() < 0.2
        np.testing.assert_array_equal(gaze.event == GazeEvent.UNTRACKED, lost)
        np.testing.assert_allclose(gaze.xy[~lost], track.xy[~lost], atol=1e-9)
        outside = ~((track.xy >= 0) & (track.xy <= 1)).all(axis=1) & ~lost
        np.testing.assert_array_equal(gaze.event == GazeEvent.OUT_OF_FRAME, outside)
        left_the_frame += outside.sum()
    assert left_the_frame > 0


def test_velocity_tells_fixations_from_saccades_in_it(reader, sessions):
    for recording in reader.recordings():
        gaze = with_events(reader.read_gaze(recording), 4 / 3, SACCADE_VELOCITY)
        saccades = np.array([event == "Saccade" for event in sessions[recording.video_id].gaze.event])
        assert np.mean(gaze.event[gaze.tracked & ~saccades] == GazeEvent.FIXATION) > 0.8
        assert np.mean(gaze.event[gaze.tracked & saccades] == GazeEvent.SACCADE) > 0.6


def test_gaze_may_end_before_the_video(sessions):
    first, second = (s.scene.frame_count / 30 - s.gaze.t_s[-1] for s in sessions.values())
    assert first < 0.1
    assert second == pytest.approx(1.5, abs=0.1)


def test_narrations_become_the_steps_and_nothing_else(kitchen, reader, sessions):
    for recording in reader.recordings():
        actions = sessions[recording.video_id].actions
        assert len(recording.actions) == len(actions)
        for action, (start_s, end_s, verb, noun) in zip(recording.actions, actions, strict=True):
            assert action.start_s == pytest.approx(start_s, abs=1e-6)
            assert action.end_s == pytest.approx(end_s, abs=1e-6) or (start_s, end_s) == actions[-1][:2]
            assert (action.verb, action.noun) == (verb.lower(), noun.replace("_", " "))
            assert action.text.endswith(f" the {action.noun}")
    narrated = json.loads((kitchen / "v2" / "annotations" / "narration.json").read_text())
    for entry in narrated.values():
        texts = [item["narration_text"] for item in entry["narration_pass_1"]["narrations"]]
        assert any(text.startswith("#O ") for text in texts)
        assert "#C C #unsure" in texts
        times = [item["timestamp_sec"] for item in entry["narration_pass_1"]["narrations"]]
        assert times == sorted(times)


def test_the_videos_show_the_frames(reader, sessions):
    for recording in reader.recordings():
        session = sessions[recording.video_id]
        assert recording.gaze_width_px / recording.gaze_height_px == 4 / 3
        with av.open(str(recording.video)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "vp9"
            assert stream.average_rate == 30
            frames = list(container.decode(stream))
        assert len(frames) == session.scene.frame_count
        assert [round(frame.time * 30) for frame in frames] == list(range(len(frames)))
        for index in (0, 333, len(frames) - 1):
            error = frames[index].to_ndarray(format="rgb24").astype(float) - session.scene.frame(index)
            assert np.abs(error).mean() < 8


def test_the_same_things_happen_at_both_rates(sessions):
    for session in sessions.values():
        egtea = simulate_session(SEED, 1, session.recipe, session.recipe == 2)
        assert session.actions == egtea.actions
        assert abs(session.scene.frame_count / 30 - egtea.scene.frame_count / 24) < 0.1


def test_another_seed_is_another_person():
    uids = {video_uid(seed, participant, 1) for seed in (0, 1) for participant in (1, 2)}
    assert len(uids) == 4
    assert simulate_session(0, 1, 1).scene.look != simulate_session(1, 1, 1).scene.look


def test_shapes_are_not_mixed(kitchen, tmp_path):
    with pytest.raises(ValueError, match=r"kitchen\.json describes another kitchen"):
        build_kitchen(kitchen, participants=1, recipes=2, seed=SEED)
    with pytest.raises(ValueError, match="file_format is 'epic': choose egtea or ego4d"):
        build_kitchen(tmp_path / "root", file_format="epic")
