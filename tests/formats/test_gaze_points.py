"""The order of a gaze table's rows against Python's own sort."""

import math
import warnings
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm.formats.gaze_points import distinct_rows

ROW = st.tuples(st.integers(0, 9).map(float), st.sampled_from([0.25, 0.5, math.nan]))


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
