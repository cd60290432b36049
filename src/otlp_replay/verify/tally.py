"""Differences counted, and the first of each kind kept."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, get_args

from otlp_capture.otlp import SIGNALS, Signal
from otlp_replay.verify.comparison import DifferenceKind, ServiceCounts
from otlp_replay.verify.contents import Contents, Kin
from otlp_replay.verify.matching import RowDifference

_KINDS: Final[tuple[DifferenceKind, ...]] = get_args(DifferenceKind)

MOST_EXAMINED: Final = 10_000
"""Of how many changed records the field is looked up."""


class Tally:
    """Counts by kind and service; of each kind the first examples are kept.

    Args:
        a: what the numbers of kin in rows of A mean.
        b: likewise in rows of B.
        max_examples: how many differences of each kind to keep.
    """

    def __init__(self, a: Contents, b: Contents, max_examples: int) -> None:
        self._a, self._b = a, b
        self._counts: Counter[tuple[Signal, str, DifferenceKind]] = Counter()
        self._first = {
            kind: _First(max(max_examples, MOST_EXAMINED) if kind == "changed" else max_examples)
            for kind in _KINDS
        }
        self._max_examples = max_examples

    def add(self, differences: Iterable[RowDifference]) -> None:
        """Count some differences."""
        for found in differences:
            kin = self.kin_of(found)
            self._counts[kin.signal, kin.service, found.kind] += 1
            self._first[found.kind].add(found)

    def kin_of(self, found: RowDifference) -> Kin:
        """Return which service's a record is, by A where it is in A."""
        if found.row_a is not None:
            return self._a.kin(found.row_a.kin)
        assert found.row_b is not None
        return self._b.kin(found.row_b.kin)

    def count(self, kind: DifferenceKind) -> int:
        """Return how many differences of a kind there are."""
        return sum(count for key, count in self._counts.items() if key[2] == kind)

    def total(self) -> int:
        """Return how many differences there are."""
        return self._counts.total()

    def by_service(
        self, in_a: Mapping[tuple[Signal, str], int], in_b: Mapping[tuple[Signal, str], int]
    ) -> tuple[ServiceCounts, ...]:
        """Return the counts of all signals and services that either side holds.

        Args:
            in_a: how many records A has of each.
            in_b: likewise B.
        """
        named: Iterable[tuple[Signal, str]] = (
            *(key for counts in (in_a, in_b) for key, count in counts.items() if count),
            *((signal, service) for signal, service, _ in self._counts),
        )
        return tuple(
            ServiceCounts(
                signal=signal,
                service=service,
                records_a=in_a.get((signal, service), 0),
                records_b=in_b.get((signal, service), 0),
                **{kind: self._counts[signal, service, kind] for kind in _KINDS},
            )
            for signal, service in sorted(
                dict.fromkeys(named), key=lambda key: (SIGNALS.index(key[0]), key[1])
            )
        )

    def examples(self) -> list[RowDifference]:
        """Return the first of each kind, in the order of arrival."""
        return [
            found for kind in _KINDS for found in self._first[kind].in_order()[: self._max_examples]
        ]

    def changed(self) -> list[RowDifference]:
        """Return the first changed records, in the order of arrival: all, or ten thousand."""
        return self._first["changed"].in_order()[:MOST_EXAMINED]

    def unexamined(self) -> Counter[tuple[Signal, str]]:
        """Count the changed records beyond these, by signal and service."""
        examined: Counter[tuple[Signal, str]] = Counter()
        for found in self.changed():
            kin = self.kin_of(found)
            examined[kin.signal, kin.service] += 1
        changed: Counter[tuple[Signal, str]] = Counter()
        for (signal, service, kind), count in self._counts.items():
            if kind == "changed":
                changed[signal, service] += count
        return changed - examined


class _First:
    """The differences whose records come first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[int, RowDifference]] = []

    def add(self, found: RowDifference) -> None:
        row = found.row_b if found.row_a is None else found.row_a
        assert row is not None
        # A heap whose top is the last row that is kept. No row is twice in one kind.
        entry = (-row.number, found)
        if len(self._kept) < self._most:
            heapq.heappush(self._kept, entry)
        elif self._kept:
            heapq.heappushpop(self._kept, entry)

    def in_order(self) -> list[RowDifference]:
        return [found for _, found in sorted(self._kept, key=lambda entry: -entry[0])]
