import numpy as np
import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.cell_tables import ORACLE_NAMES
from gaze_vlm.comparison.groups import (
    ORACLES,
    SPLIT_TASKS,
    future_group,
    in_task,
    majority,
    oracles_of,
    repeat_current,
    repeat_previous,
)
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.metrics.texts import TEXT_SCORES


class Same:
    def encode(self, sentences):
        return np.eye(len(sentences))


@pytest.fixture
def predictions(tmp_path):
    return read_run(write_run(tmp_path, rows(answers(12, 0.5, 0)))).predictions


@pytest.mark.parametrize(
    ("same_action", "future_starts_in_s", "group"),
    [
        (True, -3.0, "same"),
        (False, -0.1, "reach"),
        (False, 0.1, "reach"),
        (False, 0.8, "reach"),
        (False, 0.81, "unseen"),
    ],
)
def test_future_group(same_action, future_starts_in_s, group):
    assert future_group(same_action, future_starts_in_s, reach_s=0.8) == group


def test_the_three_parts_make_up_the_future(predictions):
    counts = {task: sum(in_task(p, task, 0.8) for p in predictions) for task in SPLIT_TASKS}
    assert counts == {"activity": 12, "future": 12, "future/same": 4, "future/reach": 4, "future/unseen": 4}


def test_repeating_the_current_step_is_right_just_where_it_goes_on(predictions):
    assert repeat_current(predictions, "future/same", 0.8, Same()) == pytest.approx(
        {"noun": 1, "verb": 1, "exact_match": 1, "rouge_l": 1, "bleu": 1, "chrf": 1, "semantic": 1}
    )
    later = repeat_current(predictions, "future/unseen", 0.8, Same())
    assert (later["noun"], later["verb"], later["exact_match"], later["semantic"]) == (0, 1, 0, 0)
    assert later["rouge_l"] == pytest.approx(1 / 3)  # "cut" of "cut red cup" and "cut green lid"
    assert repeat_current(predictions, "future", 0.8, None)["noun"] == pytest.approx(1 / 3)


def test_majority_is_the_commonest_target(predictions):
    assert majority(predictions, "activity", 0.8, None)["noun"] == pytest.approx(0.5)
    future = majority(predictions, "future", 0.8, None)
    assert future["noun"] == future["exact_match"] == pytest.approx(8 / 12)
    assert "semantic" not in future


def test_oracles_without_labels_or_clips(tmp_path):
    lines = rows(answers(3, 1, 0))
    for line in lines:
        del line["target_verb"], line["target_noun"]
    unlabelled = read_run(write_run(tmp_path, lines)).predictions
    assert set(majority(unlabelled, "future", 0.8, None)) == {*TEXT_SCORES}
    assert majority(unlabelled[:2], "future/unseen", 0.8, None) == {}
    assert repeat_current(unlabelled[:2], "future/unseen", 0.8, None) == {}
    assert oracles_of("activity") == ["repeat_previous", "majority"]


def test_the_previous_clip_is_the_last_of_the_session_that_ended(tmp_path):
    """Two sessions; nouns of the activity take turns by clip, so that the previous one is always wrong."""
    lines = rows(answers(8, 1, 0))
    for line in lines:
        clip = int(line["clip_id"].removeprefix("clip"))
        line["session_end_s"] = 10.0 - clip  # named the other way round
    predictions = read_run(write_run(tmp_path, lines)).predictions
    activity = repeat_previous(predictions, "activity", 0.8, Same())
    expected = {"noun": 0, "verb": 1, "exact_match": 0, "rouge_l": 1 / 3, "semantic": 0}
    assert {name: activity[name] for name in expected} == pytest.approx(expected)
    future = repeat_previous(predictions, "future", 0.8, None)  # targets: r g g r | g g r b, from the last clip on
    assert future["noun"] == pytest.approx(2 / 6)


def test_a_test_that_does_not_say_when_clips_end_has_no_previous_clip(predictions):
    assert repeat_previous(predictions, "activity", 0.8, None) == {}


def test_every_oracle_has_a_name():
    assert ORACLE_NAMES.keys() == ORACLES.keys()
