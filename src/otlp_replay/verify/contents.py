"""Which record is of which request, and of what: a few bytes a request."""

from array import array
from bisect import bisect_right
from collections import Counter

import attrs

from otlp_capture.otlp import CanonicalRecord, Signal


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


class Contents:
    """The requests whose records were read, and what those are of.

    A request is known by its number, of all that has to arrive or did; a record by its own, of all
    that were read.
    """

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._ends = array("Q", [0])
        self._kin: list[Kin] = []
        self._number_of_kin: dict[Kin, int] = {}
        self._counts: Counter[int] = Counter()

    def append(self, number: int, record_count: int) -> None:
        """Add the request *number*, which has so many records; they follow on those before."""
        self._numbers.append(number)
        self._ends.append(self._ends[-1] + record_count)

    def count(self, record: CanonicalRecord) -> int:
        """Count a record; return the number of what it is of."""
        kin = Kin(record.signal, record.service, record.is_container)
        number = self._number_of_kin.setdefault(kin, len(self._kin))
        if number == len(self._kin):
            self._kin.append(kin)
        self._counts[number] += 1
        return number

    def __len__(self) -> int:
        return self._ends[-1]

    @property
    def request_count(self) -> int:
        """How many requests were appended."""
        return len(self._numbers)

    def rows_of(self, place: int) -> range:
        """Return the records of the request that was appended as the *place*-th."""
        return range(self._ends[place], self._ends[place + 1])

    def find(self, row: int) -> tuple[int, int]:
        """Return the number of the request that holds a record, and its place among its records."""
        place = bisect_right(self._ends, row) - 1
        return self._numbers[place], row - self._ends[place]

    def kin(self, number: int) -> Kin:
        """Return what records of a kin's number are of."""
        return self._kin[number]

    def record_counts(self) -> Counter[tuple[Signal, str]]:
        """Count the records of each signal and service; of containers only is 0."""
        counts: Counter[tuple[Signal, str]] = Counter()
        for number, kin in enumerate(self._kin):
            counts[kin.signal, kin.service] += 0 if kin.is_container else self._counts[number]
        return counts
