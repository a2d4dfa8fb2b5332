"""Which clips a page shows: by gain, by loss, in vain, and typical ones."""

from pathlib import Path

import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.report import chosen_clips
from gaze_vlm.report.chosen_clips import Pair


def pair(
    name: str, gain: float, wrong: bool = False, closer: float = 0.0, distances: tuple[float, float] | None = None
) -> Pair:
    return Pair(f"clip-{name}", name[0], wrong, gain, closer, distances)


def test_gains_and_losses_come_by_size_then_by_meaning_one_a_session() -> None:
    found = [
        pair("a1", 1, closer=0.2),
        pair("a2", 1, closer=0.9),
        pair("b1", 1, closer=0.5),
        pair("c1", -1),
        pair("d1", 0),
    ]
    assert chosen_clips.gains(found, 3) == ["clip-a2", "clip-b1"]
    assert chosen_clips.losses(found, 3) == ["clip-c1"]
    assert chosen_clips.gains(found, 1) == ["clip-a2"]


def test_looks_in_vain_are_wrong_answers_with_attention_nearest_to_gaze() -> None:
    found = [
        pair("a1", 0, wrong=True, distances=(0.5, 1)),
        pair("b1", 0, wrong=True, distances=(0.2, 1)),
        pair("c1", 0, distances=(0.1, 1)),
        pair("d1", 0, wrong=True),
    ]
    assert chosen_clips.looked_in_vain(found, 5) == ["clip-b1", "clip-a1"]


def test_typical_clips_lie_in_the_middle() -> None:
    found = [pair(f"{index}", 0, distances=(1.0, 1.0 + index)) for index in range(9)]
    assert chosen_clips.typical(found, 3) == ["clip-3", "clip-4", "clip-5"]
    assert chosen_clips.typical([pair("a", 0)], 3) == []


@pytest.mark.parametrize("metric", ["noun", "semantic"])
@pytest.mark.parametrize("task", ["activity", "future"])
def test_an_answer_by_meaning_is_wrong_where_it_is_not_the_target(tmp_path: Path, metric: str, task: str) -> None:
    right = answers(12, 0.5, 0)
    runs = [{0: read_run(write_run(tmp_path / arm, rows(right, kl=1.0), arm))} for arm in ("gaze", "control")]
    found = chosen_clips.pairs(*runs, metric, task)
    assert [pair.is_wrong for pair in found] == [not one for one in right[("activity", "future").index(task)]]
