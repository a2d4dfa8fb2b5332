"""The order of a gaze table's rows, piece by piece, against Python's own sort of all of them."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm import spool
from gaze_vlm.formats.gaze_points import distinct_rows, in_order, number_table

ROWS = st.lists(st.tuples(st.integers(0, 9).map(float), st.sampled_from([0.25, 0.5, math.nan])), max_size=30)


@given(ROWS, st.integers(1, 9))
def test_any_order_is_mended_as_if_all_rows_were_one_piece(rows: list[tuple[float, float]], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "PIECE", piece)
        pieces = list(in_order(number_table(rows, 2)))
    assert repr([tuple(row) for part in pieces for row in part.tolist()]) == repr(sorted(rows, key=lambda row: row[0]))
    times = [set(part[:, 0].tolist()) for part in pieces]
    assert sum(map(len, times)) == len(set().union(*times))  # none is in two pieces


@given(ROWS.filter(len), st.integers(1, 9))
def test_a_row_counts_once_wherever_it_is_repeated(rows: list[tuple[float, float]], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patch.setattr(spool, "PIECE", piece)
        found = distinct_rows(rows, 2, Path("gaze.csv"))[:].tolist()
    distinct = {repr(row): row for row in reversed(rows)}
    expected = [row for row in dict.fromkeys(map(repr, rows))]
    assert [repr(tuple(row)) for row in found] == sorted(expected, key=lambda text: distinct[text][0])
    repeats = len(rows) - len(expected)
    assert [str(warning.message) for warning in caught] == (
        [f"gaze.csv: {repeats} rows repeat another and count once"] if repeats else []
    )


def test_a_table_in_order_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "PIECE", 10)
    table = number_table(([float(time)] for time in range(100)), 1)
    assert [len(piece) for piece in in_order(table)] == [10] * 10
    np.testing.assert_array_equal(np.concatenate(list(in_order(table))), table[:])
