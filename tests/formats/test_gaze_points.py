"""The order of a gaze table's rows against Python's own sort."""

import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm.errors import InputError
from gaze_vlm.formats.gaze_points import distinct_rows

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
