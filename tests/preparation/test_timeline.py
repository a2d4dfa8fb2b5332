"""The index of clips: times, texts, and what is dropped."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.timeline import (
    AFTER_VIDEO,
    NO_ACTIVITY,
    NO_FUTURE,
    NO_SPLIT,
    REDACTED,
    TIME_TOLERANCE_S,
    Timeline,
    video_clips,
)

ACTIONS = (
    Action(0.0, 5.0, "cut onion", "cut", "onion"),
    Action(5.0, 9.0, "wash red cup", "wash", "red cup"),
    Action(10.0, 12.0, "open fridge", "open", "fridge"),
)
RECORDING = Recording("P01-R01-Pizza", Path("v.mp4"), None, "P01", 1280, 960, ACTIONS, split="test")


def test_action_includes_its_start_and_not_its_end() -> None:
    assert Timeline(ACTIONS).at(5.0) is ACTIONS[1]
    assert Timeline(ACTIONS).at(9.0) is None
    assert Timeline(ACTIONS).at(4.999) is ACTIONS[0]


def test_last_started_action_wins() -> None:
    inner = Action(2.0, 3.0, "look", None, None)
    assert Timeline((*ACTIONS, inner)).at(2.5) is inner


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8),
    st.integers(-1, 13),
)
def test_a_timeline_answers_as_a_look_at_every_action(spans: list[tuple[int, int]], t_s: int) -> None:
    actions = [Action(start, start + length, f"{i}", None, None) for i, (start, length) in enumerate(spans)]
    going_on = [one for one in actions if one.start_s <= t_s + TIME_TOLERANCE_S and t_s < one.end_s]
    assert Timeline(actions).at(t_s) is max(going_on, key=lambda one: one.start_s, default=None)


def test_clips_of_a_video() -> None:
    parameters = PreparationParameters(observation_s=4, anticipation_s=2, stride_s=1)
    clips, dropped = video_clips(RECORDING, [float(t) for t in range(1, 14)], 13.0, parameters)
    assert [clip.end_s for clip in clips] == [4, 5, 6, 8]
    first, second = clips[:2]
    assert (first.start_s, first.last_frame, first.frames) == (0.0, 3, 4)
    assert (first.activity_text, first.future_text, first.same_action) == ("cut onion", "wash red cup", False)
    assert first.future_starts_in_s == 1.0
    assert (second.activity_text, second.same_action, second.future_starts_in_s) == ("wash red cup", True, 0.0)
    assert (first.future_verb, first.future_noun, first.split) == ("wash", "red cup", "test")
    assert dropped == {NO_FUTURE: 3, NO_ACTIVITY: 1, AFTER_VIDEO: 2}


def test_stride_and_video_shorter_than_a_clip() -> None:
    parameters = PreparationParameters(observation_s=4, anticipation_s=0, stride_s=2)
    clips, _ = video_clips(RECORDING, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 6.0, parameters)
    assert [clip.end_s for clip in clips] == [4, 6]
    assert video_clips(RECORDING, [1.0, 2.0], 2.0, parameters)[0] == []


def test_the_future_begins_with_its_own_action() -> None:
    """Another action may begin before it, and it may have begun itself."""
    actions = (
        Action(0.0, 4.5, "cut onion", "cut", "onion"),
        Action(4.5, 6.0, "wash red cup", "wash", "red cup"),
        Action(6.0, 9.0, "open fridge", "open", "fridge"),
        Action(7.5, 8.5, "look", None, None),
    )
    parameters = PreparationParameters(observation_s=1, anticipation_s=2.5, stride_s=1)
    recording = replace(RECORDING, actions=actions)
    clips, _ = video_clips(recording, [float(t) for t in range(1, 12)], 12.0, parameters)
    at = {clip.end_s: (clip.future_text, clip.future_starts_in_s) for clip in clips}
    assert at[2.0] == ("wash red cup", 2.5)
    assert at[4.0] == ("open fridge", 2.0)
    assert at[5.0] == ("look", 2.5)
    assert at[6.0] == ("open fridge", 0.0)
    later = replace(parameters, anticipation_s=0.6)
    (clip,) = [clip for clip in video_clips(recording, [8.0], 12.0, later)[0]]
    assert (clip.activity_text, clip.future_text, clip.same_action) == ("look", "open fridge", False)
    assert clip.future_starts_in_s == -2.0


@pytest.mark.parametrize(
    ("span", "kept"),
    [
        ((5.5, 5.6), [4, 5, 10]),
        ((5.0, 5.5), [4, 10]),  # the frame on screen at 5 s is redacted
        ((3.0, 4.0), [8, 9, 10]),  # the clip that begins at 4 s shows none of it
        ((0.0, 99.0), []),
        ((99.0, 100.0), [4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_clips_that_show_a_redacted_span_are_dropped(span: tuple[float, float], kept: list[int]) -> None:
    recording = replace(RECORDING, actions=(Action(0.0, 20.0, "cut onion", None, None),), redacted_s=(span,))
    parameters = PreparationParameters(observation_s=4, anticipation_s=0, stride_s=1)
    clips, dropped = video_clips(recording, [float(t) for t in range(1, 11)], 10.0, parameters)
    assert [clip.end_s for clip in clips] == kept
    assert dropped[REDACTED] == 7 - len(kept)


def test_split_is_the_videos_or_else_the_activitys() -> None:
    parameters = PreparationParameters(observation_s=4, anticipation_s=2, stride_s=1)
    cut, wash, opened = ACTIONS
    actions = (replace(cut, split="train"), replace(wash, split="test"), opened)
    times = [float(t) for t in range(1, 14)]
    unsplit = replace(RECORDING, split=None, actions=actions)
    clips, dropped = video_clips(unsplit, times, 13.0, parameters)
    assert [(clip.activity_verb, clip.split) for clip in clips] == [("cut", "train")] + [("wash", "test")] * 3
    assert NO_SPLIT not in dropped
    clips, dropped = video_clips(replace(unsplit, actions=(cut, *actions[1:])), times, 13.0, parameters)
    assert [clip.activity_verb for clip in clips] == ["wash"] * 3
    assert dropped[NO_SPLIT] == 1
    clips, _ = video_clips(replace(unsplit, split="validation"), times, 13.0, parameters)
    assert {clip.split for clip in clips} == {"validation"}


def test_session_of_a_clip() -> None:
    parameters = PreparationParameters(observation_s=4, anticipation_s=2, stride_s=1)
    whole, _ = video_clips(RECORDING, [float(t) for t in range(1, 14)], 13.0, parameters)
    assert {(clip.session, clip.session_start_s) for clip in whole} == {("P01-R01-Pizza", 0.0)}
    trimmed = replace(RECORDING, video_id="P01-R01-Pizza-1-2", session="P01-R01-Pizza", session_start_s=30.5)
    clips, _ = video_clips(trimmed, [float(t) for t in range(1, 14)], 13.0, parameters)
    assert {(clip.session, clip.session_start_s) for clip in clips} == {("P01-R01-Pizza", 30.5)}
