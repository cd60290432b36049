"""Rows: records as sorted bytes, in memory as long as they fit there and in a file beyond.

A row begins with a digest and a time, so rows that are sorted as bytes are sorted by these. The
file has no name: the system frees it with its last descriptor, also where the process is killed.
"""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from tempfile import TemporaryFile
from typing import IO, Final, NamedTuple

_LAYOUT: Final = Struct(">16s9sQ16sI?I")
_TIME_BYTES: Final = 9
_NO_TIME: Final = 1 << 64
"""What is added to a time when it is written, so that times before 0 sort before it."""
_KEY_END, _TIME_END = 16, 25
_GROUP_BYTES: Final = 4
_CHUNK_ROWS: Final = 2_048
_LEAST_CHUNK_ROWS: Final = 16

ROW_BYTES: Final = 128
"""What a row takes in memory, that of its list and its object included."""


class Row(NamedTuple):
    """A record.

    Attributes:
        key: the digest by which rows are sorted first: its fingerprint, or its identity.
        time: its time as it is written, sorted second.
        number: its place among all records of its recording, sorted third.
        other: the digest that is not `key`.
        kin: the number of what it is of.
        is_dated: its time is its own, not one that stands inside it.
        group: by which of several shifts it is moved.
    """

    key: bytes
    time: bytes
    number: int
    other: bytes
    kin: int
    is_dated: bool
    group: int

    def packed(self) -> bytes:
        """Write it."""
        return _LAYOUT.pack(*self)

    def turned(self) -> bytes:
        """Write it by its other digest."""
        return _LAYOUT.pack(
            self.other, self.time, self.number, self.key, self.kin, self.is_dated, self.group
        )


def unpacked(row: bytes) -> Row:
    """Read a row."""
    return Row._make(_LAYOUT.unpack(row))


def written_time(time: int) -> bytes:
    """Write a time in nanoseconds; 0 is one that is not set."""
    return (time + _NO_TIME).to_bytes(_TIME_BYTES)


def read_time(time: bytes) -> int:
    """Read a time."""
    return int.from_bytes(time) - _NO_TIME


def digest_of(row: bytes) -> bytes:
    """Return the digest by which a row is sorted."""
    return row[:_KEY_END]


def time_of(row: bytes) -> int:
    """Return the time of a row, 0 where it is not set."""
    return int.from_bytes(row[_KEY_END:_TIME_END]) - _NO_TIME


def group_of(row: bytes) -> int:
    """Return by which of several shifts a row is moved."""
    return int.from_bytes(row[-_GROUP_BYTES:])


def digest_and_time(row: bytes) -> bytes:
    """Return that by which a row is sorted."""
    return row[:_TIME_END]


def moved(row: bytes, shift_ns: int) -> bytes:
    """Return a row *shift_ns* later; a time that is not set stays so."""
    time = int.from_bytes(row[_KEY_END:_TIME_END])
    if time == _NO_TIME or not shift_ns:
        return row
    return row[:_KEY_END] + (time + shift_ns).to_bytes(_TIME_BYTES) + row[_TIME_END:]


class SortedRows:
    """Rows that are added in any order and read, as often as wanted, in theirs.

    Args:
        files: closes the file, if one is needed, when it is closed itself.
        most_bytes: how much memory the rows may take before they go into a file.
        directory: where to make the file; None: where temporary files go.
    """

    def __init__(self, files: ExitStack, most_bytes: int, directory: Path | None) -> None:
        self._files, self._directory = files, directory
        self._most_rows = max(1, most_bytes // ROW_BYTES)
        self._rows: list[bytes] = []
        self._is_sorted = True
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int]] = []

    def add(self, row: bytes) -> None:
        """Add a row.

        Raises:
            OSError: there is no room for the file.
        """
        self._rows.append(row)
        self._is_sorted = False
        if len(self._rows) >= self._most_rows:
            self._spill()

    def extend(self, rows: Iterable[bytes]) -> None:
        """Add some rows, as `add` does."""
        for row in rows:
            self.add(row)

    def __len__(self) -> int:
        """Return how many rows there are."""
        in_file = sum(end - start for start, end in self._runs) // _LAYOUT.size
        return in_file + len(self._rows)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the rows, sorted."""
        if not self._is_sorted:
            self._rows.sort()
            self._is_sorted = True
        if not self._runs:
            return iter(self._rows)
        return heapq.merge(*map(self._read, self._runs), self._rows)

    def clear(self) -> None:
        """Forget all rows, and what they take."""
        self._rows, self._runs = [], []
        if self._file is not None:
            self._file.close()
            self._file = None

    def set_aside(self) -> None:
        """Free the memory of rows that went into a file in part: all of them go there."""
        if self._runs and self._rows:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            opened = TemporaryFile(dir=self._directory)  # noqa: SIM115 - the stack closes it
            self._file = self._files.enter_context(opened)
        self._rows.sort()
        start = self._file.seek(0, 2)
        for first in range(0, len(self._rows), _CHUNK_ROWS):
            self._file.write(b"".join(self._rows[first : first + _CHUNK_ROWS]))
        self._file.flush()
        self._runs.append((start, self._file.tell()))
        self._rows = []

    def _read(self, run: tuple[int, int]) -> Iterator[bytes]:
        assert self._file is not None
        start, end = run
        size = _LAYOUT.size
        # All runs are read side by side: their chunks together stay within the memory.
        fitting = self._most_rows // len(self._runs)
        chunk_bytes = size * max(_LEAST_CHUNK_ROWS, min(_CHUNK_ROWS, fitting))
        while start < end:
            self._file.seek(start)
            chunk = self._file.read(min(chunk_bytes, end - start))
            start += len(chunk)
            for place in range(0, len(chunk), size):
                yield chunk[place : place + size]
