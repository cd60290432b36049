"""The records of a session in memory, in columns of 44 bytes a record, request by request."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Final, TypeAlias

from otlp_capture.otlp import CanonicalRequest
from otlp_replay.verify.contents import Contents
from otlp_replay.verify.rows import Row, written_time

_DIGEST_BYTES: Final = 16

RECORDED_BYTES: Final = 128
"""What a record takes while requests are paired, in bytes."""


class Recording:
    """The records of a session; a record is a row, and rows are in the order of arrival.

    Attributes:
        contents: of which request each row is, and of what.
        base_times: when each row is.
    """

    def __init__(self) -> None:
        self.contents = Contents()
        self.base_times = array("Q")
        self._fingerprints = bytearray()
        self._identities = bytearray()
        self._kin_of_row = array("I")

    def append(self, number: int, request: CanonicalRequest) -> None:
        """Add the records of the next request."""
        for record in request.records:
            self._fingerprints += record.fingerprint
            self._identities += record.identity
            self.base_times.append(record.base_time)
            self._kin_of_row.append(self.contents.count(record))
        self.contents.append(number, len(request.records))

    def __len__(self) -> int:
        return len(self.base_times)

    @property
    def request_count(self) -> int:
        """How many requests were appended."""
        return self.contents.request_count

    def rows_of(self, request: int) -> range:
        """Return the rows of a request."""
        return self.contents.rows_of(request)

    def fingerprint(self, row: int) -> bytes:
        """Return the digest of everything in the record but one constant of time."""
        return bytes(self._fingerprints[row * _DIGEST_BYTES : (row + 1) * _DIGEST_BYTES])

    def identity(self, row: int) -> bytes:
        """Return the digest that says which record it is."""
        return bytes(self._identities[row * _DIGEST_BYTES : (row + 1) * _DIGEST_BYTES])

    def kin_number(self, row: int) -> int:
        """Return the number of what a record is of."""
        return self._kin_of_row[row]

    def written(self, row: int, shift_ns: int, group: int) -> bytes:
        """Write a row, *shift_ns* earlier; a time that is not set stays so."""
        time = self.base_times[row]
        return Row(
            self.fingerprint(row),
            written_time(time - shift_ns if time else 0),
            row,
            self.identity(row),
            self._kin_of_row[row],
            False,  # noqa: FBT003 - a row has places, not names
            group,
        ).packed()


Column: TypeAlias = Callable[[Recording, int], bytes]
"""A digest of a row: `Recording.fingerprint` or `Recording.identity`."""


def sorted_rows(recording: Recording, rows: Iterable[int], column: Column) -> "array[int]":
    """Return *rows* sorted by *column*; rows of one digest keep their order."""
    return array("Q", sorted(rows, key=partial(column, recording)))


def shared_times(
    a: Recording, rows_a: Sequence[int], b: Recording, rows_b: Sequence[int], column: Column
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield, for each digest on both sides, when its records are; unset times are left out.

    Args:
        a: the original.
        rows_a: rows of it, sorted by *column*.
        b: what arrived.
        rows_b: rows of it, sorted by *column*.
        column: `Recording.fingerprint` or `Recording.identity`.
    """
    in_b = {digest: list(rows) for digest, rows in groupby(rows_b, key=partial(column, b))}
    for digest, rows in groupby(rows_a, key=partial(column, a)):
        if digest in in_b:
            yield _set_times(a, rows), _set_times(b, in_b[digest])


def _set_times(recording: Recording, rows: Iterable[int]) -> list[int]:
    return [time for row in rows if (time := recording.base_times[row])]
