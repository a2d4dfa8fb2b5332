"""Columns on disk against arrays in memory."""

import errno
import os
import tempfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm import spool
from gaze_vlm.spool import Spool, median

DTYPES = [np.float64, np.uint8, (np.float32, 2)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("in_memory", [0, 2**20])
def test_slices_are_those_of_an_array(dtype: Any, in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", in_memory or 1)
    monkeypatch.setattr(spool, "PIECE", 7)
    column = Spool(dtype)
    rows = np.random.default_rng(0).integers(0, 99, (50, *column.dtype.shape)).astype(column.dtype.base)
    column.append(rows[:0])
    column.append(rows[:20])
    assert column[18:].tolist() == rows[18:20].tolist()  # read between two additions
    column.extend(row if column.dtype.shape == () else tuple(row) for row in rows[20:].tolist())
    for part in (slice(None), slice(3, 9), slice(-1, None), slice(0, 1), slice(9, 3), slice(40, 99), slice(50, 60)):
        np.testing.assert_array_equal(column[part], rows[part])
        assert column[part].dtype == column.dtype.base
    np.testing.assert_array_equal(np.concatenate(list(column.pieces())), rows)
    assert max(map(len, column.pieces())) == 7
    assert len(column) == 50


def test_a_file_goes_with_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 1)
    column = Spool(np.float64)
    column.append(np.arange(9.0))
    file = column._file
    del column
    assert file.closed


def test_no_room_says_where_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", full)
    with pytest.raises(OSError, match=rf"TMPDIR .*{tempfile.gettempdir()}") as error:
        Spool(np.float64).append(np.zeros(1))
    assert error.value.errno == errno.ENOSPC


@given(st.lists(st.floats(0, 1e9) | st.sampled_from([0.0, 0.005, 1.0]), max_size=40), st.integers(1, 9))
def test_median_is_that_of_one_array(values: list[float], piece: int) -> None:
    array = np.array(values)
    found = median(lambda: (array[start : start + piece] for start in range(0, len(array) + piece, piece)))
    assert found == (np.median(array) if values else None)
