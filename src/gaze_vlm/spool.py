"""Columns of numbers that may be longer than memory should be: written once, and read by slices."""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float64
from numpy.typing import DTypeLike

PIECE = 2**13
"""Rows that are worked on at a time."""
IN_MEMORY_BYTES = 2**18
DIGIT_BITS = 16


class Spool:
    """A column of rows of one `dtype`. A short one stays in memory; a longer one lies in a temporary file, which goes
    when the column does. Slices are copies that cannot be written to: pages of a mapped file would count as memory.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype: np.dtype = np.dtype(dtype)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115, closed when the column goes
        self._rows = 0
        weakref.finalize(self, self._file.close)

    def append(self, rows: np.ndarray) -> None:
        """Adds rows at the end.

        Raises:
            OSError: there is no room in the folder for temporary files.
        """
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(rows, dtype=self.dtype.base).data)
            self._file.flush()
        except OSError as error:
            mend = "make room there, or set TMPDIR to a folder that has it"
            raise OSError(error.errno, f"{error.strerror}: {mend}", tempfile.gettempdir()) from error
        self._rows += len(rows)

    def extend(self, rows: Iterable[Sequence[float]]) -> None:
        """Adds rows that come one by one: as numbers of Python, an hour at 200 Hz would take 500 MB.

        Raises:
            OSError: there is no room in the folder for temporary files.
        """
        rows = iter(rows)
        while len(piece := np.fromiter(islice(rows, PIECE), dtype=self.dtype)):
            self.append(piece)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        self._file.seek(start * self.dtype.itemsize)
        return np.frombuffer(self._file.read(max(0, stop - start) * self.dtype.itemsize), dtype=self.dtype)

    def pieces(self) -> Iterator[np.ndarray]:
        """All rows, some at a time."""
        return (self[part] for part in parts(len(self)))


def parts(rows: int) -> Iterator[slice]:
    """Slices of so many rows, one after the other, that are short enough to be in memory."""
    return (slice(start, min(start + PIECE, rows)) for start in range(0, rows, PIECE))


def median(pieces: Callable[[], Iterable[Float64[np.ndarray, "value"]]]) -> float | None:
    """The median of all values, exactly as of one array; None if there are none.

    Args:
        pieces: gives the values, 0 or more each, some at a time, and the same each time that it is called.
    """
    count = sum(len(piece) for piece in pieces())
    if not count:
        return None
    return float(np.mean([_ranked(pieces, rank) for rank in ((count - 1) // 2, count // 2)]))


def _ranked(pieces: Callable[[], Iterable[Float64[np.ndarray, "value"]]], rank: int) -> float:
    """The value that `rank` others precede in order, by radix selection: the bits of a float that is 0 or more, read as
    a whole number, have the order of the floats."""
    found = 0  # the leading bits of the value
    for shift in range(64 - DIGIT_BITS, -1, -DIGIT_BITS):
        counts = np.zeros(2**DIGIT_BITS, dtype=int)
        for piece in pieces():
            leading = piece.view(np.int64) >> shift
            digits = leading[leading >> DIGIT_BITS == found] & (2**DIGIT_BITS - 1)
            counts += np.bincount(digits, minlength=2**DIGIT_BITS)
        digit = int(np.searchsorted(np.cumsum(counts), rank, side="right"))
        rank -= int(np.sum(counts[:digit]))
        found = found << DIGIT_BITS | digit
    return float(np.int64(found).view(np.float64))
