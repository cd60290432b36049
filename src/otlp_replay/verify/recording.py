"""The records of a session in columns, 44 bytes each, so that millions can be compared."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Final, TypeAlias

import attrs

from otlp_capture.otlp import CanonicalRequest, Signal
from otlp_capture.sessions import FrameRef

_DIGEST_BYTES: Final = 16


@attrs.frozen
class Kin:
    """What the records of one signal of one service share.

    Attributes:
        signal: which signal.
        service: the `service.name`.
        is_container: they are no records, but containers with unknown fields.
    """

    signal: Signal
    service: str
    is_container: bool


class Recording:
    """The records of a session; a record is a row, and rows are in the order of arrival.

    Args:
        session_id: which session.
        refs: its requests, in the order in which they are appended.
    """

    def __init__(self, session_id: str, refs: Sequence[FrameRef]) -> None:
        self.session_id = session_id
        self.refs = refs
        self.base_times = array("Q")
        self._ends = array("Q", [0])
        self._fingerprints = bytearray()
        self._identities = bytearray()
        self._kin_of_row = array("I")
        self._kin: list[Kin] = []
        self._number_of_kin: dict[Kin, int] = {}

    def append(self, request: CanonicalRequest) -> None:
        """Add the records of the next request."""
        for record in request.records:
            self._fingerprints += record.fingerprint
            self._identities += record.identity
            self.base_times.append(record.base_time)
            self._kin_of_row.append(
                self._number_of(Kin(record.signal, record.service, record.is_container))
            )
        self._ends.append(len(self.base_times))

    def _number_of(self, kin: Kin) -> int:
        number = self._number_of_kin.setdefault(kin, len(self._kin))
        if number == len(self._kin):
            self._kin.append(kin)
        return number

    def __len__(self) -> int:
        return len(self.base_times)

    @property
    def request_count(self) -> int:
        """How many requests were appended."""
        return len(self._ends) - 1

    def rows_of(self, request: int) -> range:
        """Return the rows of a request."""
        return range(self._ends[request], self._ends[request + 1])

    def request_of(self, row: int) -> int:
        """Return the request that holds a row."""
        return bisect_right(self._ends, row) - 1

    def fingerprint(self, row: int) -> bytes:
        """Return the digest of everything in the record but one constant of time."""
        return bytes(self._fingerprints[row * _DIGEST_BYTES : (row + 1) * _DIGEST_BYTES])

    def identity(self, row: int) -> bytes:
        """Return the digest that says which record it is."""
        return bytes(self._identities[row * _DIGEST_BYTES : (row + 1) * _DIGEST_BYTES])

    def kin_of(self, row: int) -> Kin:
        """Return what the record is of."""
        return self._kin[self._kin_of_row[row]]

    def count_by_kin(self) -> dict[Kin, int]:
        """Return how many rows there are of each signal and service."""
        counts = Counter(self._kin_of_row)
        return {kin: counts[number] for number, kin in enumerate(self._kin)}


Column: TypeAlias = Callable[[Recording, int], bytes]
"""A digest of a row: `Recording.fingerprint` or `Recording.identity`."""


def sorted_rows(recording: Recording, rows: Iterable[int], column: Column) -> "array[int]":
    """Return *rows* sorted by *column*; rows of one digest keep their order."""
    return array("Q", sorted(rows, key=partial(column, recording)))


def aligned(
    a: Recording, rows_a: Iterable[int], b: Recording, rows_b: Iterable[int], column: Column
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield, digest by digest, the rows of A and the rows of B that have it.

    Args:
        a: the original.
        rows_a: rows of it, sorted by *column*.
        b: what arrived.
        rows_b: rows of it, sorted by *column*.
        column: `Recording.fingerprint` or `Recording.identity`.
    """
    groups_a = _groups(rows_a, partial(column, a))
    groups_b = _groups(rows_b, partial(column, b))
    one, other = next(groups_a, None), next(groups_b, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[1], []
            one = next(groups_a, None)
        elif one is None or other[0] < one[0]:
            yield [], other[1]
            other = next(groups_b, None)
        else:
            yield one[1], other[1]
            one, other = next(groups_a, None), next(groups_b, None)


def _groups(rows: Iterable[int], key: Callable[[int], bytes]) -> Iterator[tuple[bytes, list[int]]]:
    return ((digest, list(members)) for digest, members in groupby(rows, key=key))


def shared_times(
    a: Recording, rows_a: Iterable[int], b: Recording, rows_b: Iterable[int], column: Column
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield, for each digest on both sides, when its records are; unset times are left out.

    The arguments are those of `aligned`.
    """
    for same_a, same_b in aligned(a, rows_a, b, rows_b, column):
        if same_a and same_b:
            yield _set_times(a, same_a), _set_times(b, same_b)


def _set_times(recording: Recording, rows: Iterable[int]) -> list[int]:
    return [time for row in rows if (time := recording.base_times[row])]
