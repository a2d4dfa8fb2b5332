"""The order of a gaze table's rows against Python's own sort."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm.errors import InputError
from gaze_vlm.formats.gaze_points import check_places, distinct_rows, placed_samples
from gaze_vlm.gaze.samples import GazeEvent, GazeSamples

ROW = st.tuples(st.integers(0, 9).map(lambda tenth: tenth / 10), st.sampled_from([0.25, 0.5, math.nan]))


@given(st.lists(ROW, min_size=1, max_size=30))
def test_rows_are_sorted_by_time_and_a_repeated_one_counts_once(rows: list[tuple[float, float]]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = distinct_rows(rows, 2, Path("gaze.csv")).tolist()
    distinct = {repr(row): row for row in rows}
    assert [repr(tuple(row)) for row in found] == sorted(distinct, key=lambda text: distinct[text][0])
    repeats = len(rows) - len(distinct)
    assert [str(warning.message) for warning in caught] == (
        [f"gaze.csv: {repeats} rows repeat another and count once"] if repeats else []
    )


@pytest.mark.parametrize("rate_hz", [1.0, 30.0])
def test_two_recordings_in_one_table_are_not_mixed(rate_hz: float) -> None:
    again = [0.0, 0.1, 0.9, 5.0, 5.1, 0.0, 0.1, 0.2, 6.0]
    with pytest.raises(InputError, match=r"gaze.csv, row 6: its time, 0 s, is 5.1 s before .* give each a file"):
        distinct_rows([(t_s * rate_hz, 0.5) for t_s in again], 2, Path("gaze.csv"), rate_hz)
    jitter = [0.0, 0.1, 0.9, 0.0, 5.0]
    assert len(distinct_rows([(t_s * rate_hz, k) for k, t_s in enumerate(jitter)], 2, Path("gaze.csv"), rate_hz)) == 5


@pytest.mark.parametrize(("decimals", "each"), [(0, "200.0"), (1, "20.0")])
def test_rounded_times_are_warned_of(decimals: int, each: str) -> None:
    t_s = (np.floor(np.arange(2000) / 200 * 10**decimals) / 10**decimals).tolist()
    with pytest.warns(UserWarning, match=rf"g.csv: on average {each} samples share a time: were times rounded, as by"):
        distinct_rows([(time_s, k) for k, time_s in enumerate(t_s)], 2, Path("g.csv"))


def test_times_that_few_samples_share_pass() -> None:
    """Of two eyes and their mean; and a few samples of one time are no judgement."""
    distinct_rows([(k // 3 / 60, k) for k in range(300)], 2, Path("g.csv"))
    distinct_rows([(1.0, k) for k in range(99)], 2, Path("g.csv"))


def places(xy: np.ndarray) -> GazeSamples:
    return placed_samples(np.arange(len(xy)) / 60, xy, np.full(len(xy), GazeEvent.UNKNOWN, dtype=np.uint8))


SPREAD = np.random.default_rng(0).uniform(0.1, 0.9, (200, 2))
FEW = (np.arange(200) % 40 < 1)[:, None]
SOME = (np.arange(200) % 10 < 3)[:, None]
MANY = (np.arange(200) % 10 < 6)[:, None]


@pytest.mark.parametrize(
    ("xy", "said"),
    [
        (
            SPREAD * 1.33,
            r"g.csv: \d+ % of the places are outside the frame \(x from 0.1\d+ to 1.1\d+, y from .*\); fix",
        ),
        (SPREAD / 2, r"no place is in the lower or the right half of the frame \(x from 0.05\d+ to 0.44"),
        (np.where(FEW, 0, SPREAD), r"g.csv: 2 % of the places are exactly \(0, 0\): leave x and y of lost samples"),
        (np.where(SOME, 0, SPREAD), r"g.csv: 30 % of the places are exactly \(0, 0\): leave x and y of lost samples"),
        (np.where(MANY, 0.5, SPREAD), r"g.csv: 60 % of the places are exactly \(0.5, 0.5\): leave x and y"),
        (np.zeros((200, 2)), r"g.csv: 100 % of the places are exactly \(0, 0\): leave"),
        (np.where(FEW, 1, SPREAD), r"g.csv: 2 % of the places are exactly \(1, 1\): leave x and y of lost samples"),
        (np.where(FEW, (0, 1), SPREAD), r"g.csv: 2 % of the places are exactly \(0, 1\): leave x and y of"),
        (np.clip(SPREAD * 1.3 - 0.15, 0, 1), r"g.csv: \d+ % of the places are exactly on the frame's border: leave"),
        (np.full((200, 2), np.nan), r"g.csv: none of 200 samples is tracked: was the tracker calibrated"),
    ],
)
def test_places_of_another_scale_or_of_lost_gaze_are_warned_of(xy: np.ndarray, said: str) -> None:
    with pytest.warns(UserWarning, match=said):
        check_places(places(xy), Path("g.csv"), "fix")


def test_lost_gaze_at_one_place_does_not_hide_another_scale() -> None:
    with pytest.warns(UserWarning, match="no place is in the lower"), pytest.warns(UserWarning, match="30 % of the pl"):
        check_places(places(np.where(SOME, 0, SPREAD / 2)), Path("g.csv"), "fix")


@pytest.mark.parametrize(
    "xy",
    [
        SPREAD,
        np.where(SOME, np.nan, SPREAD),
        np.where(SOME, 0.5, SPREAD),
        np.where(FEW, 0.5, SPREAD),
        np.where(np.arange(200)[:, None] == (7, 8), 1, SPREAD),
        SPREAD * (0.5, 1),
        SPREAD[:99] / 2,
        SPREAD[:99] * np.nan,
    ],
)
def test_usual_places_pass(xy: np.ndarray) -> None:
    check_places(places(xy), Path("g.csv"), "fix")


def test_the_range_is_in_the_tables_unit() -> None:
    said = r"\(x from 1\d\d\d to 1\d\d\d, y from 5\d\d.* of 1000×500 px, as it was taken\); fix"
    with pytest.raises(InputError, match=rf"200 of 200 places are outside the frame {said}"):
        check_places(places(SPREAD + 1), Path("g.csv"), "fix", (1000, 500))
