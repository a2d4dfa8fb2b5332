from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gaze_vlm.kitchen.motion import VIEW_HEIGHT
from gaze_vlm.kitchen.scene import EGTEA_RATES, HAND_LABEL
from gaze_vlm.kitchen.script import ACTION_S, REACH_S
from gaze_vlm.kitchen.session import session_name, simulate_session
from gaze_vlm.kitchen.wearer import HAND_OFFSET, gaze_path

FRAME_HZ, TICK_HZ = EGTEA_RATES.frame_hz, EGTEA_RATES.tick_hz


@pytest.fixture(scope="module")
def sessions():
    return [simulate_session(0, participant, participant) for participant in range(1, 7)]


def test_the_same_arguments_give_the_same_session():
    first, second = simulate_session(3, 2, 4), simulate_session(3, 2, 4)
    np.testing.assert_array_equal(first.scene.frame(200), second.scene.frame(200))
    np.testing.assert_array_equal(first.gaze.xy, second.gaze.xy)
    assert first.actions == second.actions
    assert not np.array_equal(first.gaze.xy[:100], simulate_session(4, 2, 4).gaze.xy[:100])


def test_a_participant_looks_the_same_in_all_sessions():
    assert simulate_session(0, 5, 1).scene.look == simulate_session(0, 5, 6).scene.look
    assert simulate_session(0, 5, 1).scene.look != simulate_session(0, 6, 1).scene.look


def test_names_follow_egtea():
    assert session_name(7, 2) == "P07-R02-GardenSoup"


def test_steps_adjoin_and_last_as_long_as_stated(sessions):
    for session in sessions:
        assert 30 <= session.scene.frame_count / FRAME_HZ <= 60
        assert all(ACTION_S[0] <= end_s - start_s <= ACTION_S[1] for start_s, end_s, _, _ in session.actions)
        assert all(first[1] == second[0] for first, second in pairwise(session.actions))
        assert session.actions[-1][1] < session.scene.frame_count / FRAME_HZ


def test_kinds_are_unique_and_nouns_are_there(sessions):
    for session in sessions:
        script = session.scene.script
        assert 6 <= len(script.kinds) <= 8
        assert len(set(script.kinds)) == len(script.kinds)
        there = {f"{colour}_{kind}" for colour, kind in zip(script.colours, script.kinds, strict=True)}
        assert {noun for _, _, _, noun in session.actions} <= there


def test_recipes_are_swapped_in_about_half_of_the_sessions():
    orders = [simulate_session(0, participant, 1).scene.script.actions for participant in range(1, 41)]
    usual = max(set(orders), key=orders.count)
    assert 12 <= orders.count(usual) <= 28


def test_frames_and_labels_have_their_shapes(sessions):
    frame, labels = sessions[0].scene.frame(100), sessions[0].scene.labels(100)
    assert frame.shape == (96, 128, 3)
    assert frame.dtype == np.uint8
    assert labels.object_map.shape == (96, 128)
    assert set(np.unique(labels.object_map)) <= {*range(len(labels.objects) + 1), HAND_LABEL}


def test_the_hand_reaches_the_object_at_the_start_of_each_step(sessions):
    for session in sessions:
        scene = session.scene
        for start_s, item in zip(scene.script.action_start_s, scene.script.action_object, strict=False):
            tick = int(start_s * TICK_HZ)
            offset = scene.hand.xy[tick] - scene.paths[item, tick]
            assert np.hypot(*(offset - HAND_OFFSET)) < 0.1


def test_the_tool_is_shown_from_the_reach_on(sessions):
    scene = sessions[0].scene
    for index, action in enumerate(scene.script.actions):
        reach_s = scene.script.action_start_s[index] - REACH_S
        assert sessions[0].scene.labels(int((reach_s + 0.1) * FRAME_HZ)).verb == action.verb
        before = scene.script.actions[index - 1].verb if index else None
        assert sessions[0].scene.labels(int((reach_s - 0.1) * FRAME_HZ)).verb == before
    assert sessions[0].scene.labels(sessions[0].scene.frame_count - 1).verb is None


def test_an_object_stays_visible_under_the_hand(sessions):
    shares = []
    for session in sessions:
        clear = replace(session.scene, occluders=())
        for (start_s, end_s, _, _), item in zip(session.actions, clear.script.action_object, strict=True):
            index = int((start_s + end_s) / 2 * FRAME_HZ)
            with_hand = np.sum(clear.labels(index).object_map == item + 1)
            away = replace(clear.hand, xy=clear.hand.xy + 5, elbow=clear.hand.elbow + 5)
            without = np.sum(replace(clear, hand=away).labels(index).object_map == item + 1)
            shares.append(with_hand / max(without, 1))
    assert np.median(shares) > 0.5
    assert np.mean(np.array(shares) > 0.25) > 0.9


def test_gaze_is_mostly_on_the_object_of_the_step(sessions):
    on_target = []
    for session in sessions:
        fixations, script = session.scene.fixations, session.scene.script
        for start_s, item in zip(fixations.start_s, fixations.item, strict=True):
            action = script.action_at(start_s)
            next_start_s = script.action_start_s[action + 1]
            if action >= 0 and start_s < next_start_s - REACH_S - 0.7:
                on_target.append(item == script.action_object[action])
    assert 0.78 < np.mean(on_target) < 0.93


def test_gaze_leads_the_reach(sessions):
    for session in sessions:
        fixations, script = session.scene.fixations, session.scene.script
        for start_s in script.action_start_s[:-1]:
            reach_s = start_s - REACH_S
            assert np.any((fixations.start_s >= reach_s - 0.7) & (fixations.start_s <= reach_s - 0.2))


def test_recorded_gaze_is_near_what_was_looked_at(sessions):
    for session in sessions:
        scene, track = session.scene, session.gaze
        tick = np.arange(len(track.t_s)) * TICK_HZ // 30
        eyes, _ = gaze_path(scene.fixations, scene.paths, scene.t_s)
        meant = scene.camera.to_view(eyes[tick], tick) / [1, VIEW_HEIGHT]
        clear = np.array([event == "Fixation" for event in track.event]) & ~track.hidden
        error = (track.xy - meant)[clear] * [1, VIEW_HEIGHT]
        assert np.abs(np.median(error, axis=0)).max() < 0.07
        np.testing.assert_allclose(np.std(error, axis=0), 0.012, atol=0.003)


def test_lost_gaze_is_written_as_zero(sessions):
    events = np.concatenate([session.gaze.event for session in sessions])
    xy = np.concatenate([session.gaze.xy for session in sessions])
    lost = (events == "-") | (events == "Blink")
    assert np.all(xy[lost] == 0)
    assert np.all(np.any(xy[~lost] != 0, axis=1))
    assert 0.02 < np.mean(events == "-") < 0.045
    assert 0.015 < np.mean(events == "Blink") < 0.09
    assert np.mean(events == "Saccade") > 0.01


def test_hidden_gaze_points_at_what_passes_in_front(sessions):
    hidden = 0
    for session in sessions:
        scene, track = session.scene, session.gaze
        eyes, _ = gaze_path(scene.fixations, scene.paths, scene.t_s)
        for sample in np.flatnonzero(track.hidden):
            tick = sample * TICK_HZ // 30
            point = scene.camera.to_view(eyes[tick], int(tick))
            occluder = next(one for one in scene.occluders if one.start_s <= track.t_s[sample] <= one.end_s)
            centre = occluder.centre(track.t_s[sample : sample + 1])[0]
            assert np.hypot(*(point - centre)) < occluder.radius
            x_px, y_px = (128 * centre).astype(int)
            index = round(track.t_s[sample] * FRAME_HZ)
            if sample % 5 == 0 and 0 <= x_px < 128 and 0 <= y_px < 96:
                assert session.scene.labels(index).object_map[y_px, x_px] == 0
            hidden += 1
    assert hidden > 20


def test_gaze_may_end_before_the_video():
    whole, early = simulate_session(0, 1, 1), simulate_session(0, 1, 1, gaze_ends_early=True)
    assert whole.gaze.t_s[-1] - early.gaze.t_s[-1] == pytest.approx(1.5, abs=0.04)
    assert whole.scene.frame_count == early.scene.frame_count


def test_an_object_is_visible_where_the_labels_have_its_id(sessions):
    for session in sessions[:3]:
        scene = session.scene
        for index in range(0, scene.frame_count, 60):
            object_map = scene.labels(index).object_map
            for item in range(len(scene.script.kinds)):
                np.testing.assert_array_equal(scene.visible(index, item), object_map == item + 1)


def test_an_object_shows_a_mark_from_halfway_through_its_action(sessions):
    for session in sessions:
        script = session.scene.script
        for item in range(len(script.kinds)):
            verbs = {script.actions[index].verb for index in np.flatnonzero(script.action_object == item)}
            assert script.done(item, 0.0) == script.done_before[item]
            assert script.done(item, script.duration_s) == script.done_before[item] | verbs
        for index, action in enumerate(script.actions):
            item, half_s = int(script.action_object[index]), script.action_start_s[index : index + 2].mean()
            assert action.verb not in script.done(item, half_s - 0.01)
            assert action.verb in script.done(item, half_s + 0.01)
