"""What differs, counted by service and kind, with the first of each kind kept as examples."""

import heapq
from collections import Counter
from collections.abc import Iterable
from typing import Final, get_args

from otlp_capture.otlp import SIGNALS, Signal
from otlp_replay.verify.comparison import DifferenceKind, ServiceCounts
from otlp_replay.verify.matching import RowDifference
from otlp_replay.verify.recording import Kin, Recording

_KINDS: Final[tuple[DifferenceKind, ...]] = get_args(DifferenceKind)


class Tally:
    """Counts differences, in memory that does not grow with them.

    Args:
        a: the original.
        b: what arrived.
        max_examples: how many of each kind to keep.
    """

    def __init__(self, a: Recording, b: Recording, max_examples: int) -> None:
        self._a, self._b, self._max_examples = a, b, max_examples
        self._counts: Counter[tuple[Signal, str, DifferenceKind]] = Counter()
        self._first: dict[DifferenceKind, list[tuple[int, RowDifference]]] = {
            kind: [] for kind in _KINDS
        }

    def add(self, differences: Iterable[RowDifference]) -> None:
        """Count *differences*."""
        for found in differences:
            kin = self.kin_of(found)
            self._counts[kin.signal, kin.service, found.kind] += 1
            self._keep(found)

    def kin_of(self, found: RowDifference) -> Kin:
        """Return which service's a record is, by A where it is in A."""
        if found.row_a is not None:
            return self._a.kin_of(found.row_a)
        assert found.row_b is not None
        return self._b.kin_of(found.row_b)

    def _keep(self, found: RowDifference) -> None:
        row = found.row_b if found.row_a is None else found.row_a
        assert row is not None
        # A heap whose top is the last row that is kept. No row is twice in one kind.
        kept, entry = self._first[found.kind], (-row, found)
        if len(kept) < self._max_examples:
            heapq.heappush(kept, entry)
        elif kept:
            heapq.heappushpop(kept, entry)

    def count(self, kind: DifferenceKind) -> int:
        """Return how many differences of a kind there are."""
        return sum(count for key, count in self._counts.items() if key[2] == kind)

    def by_service(self) -> tuple[ServiceCounts, ...]:
        """Return the counts of all signals and services that either side holds."""
        in_a, in_b = _record_counts(self._a), _record_counts(self._b)
        held = {*in_a, *in_b}
        return tuple(
            ServiceCounts(
                signal=signal,
                service=service,
                records_a=in_a[signal, service],
                records_b=in_b[signal, service],
                **{kind: self._counts[signal, service, kind] for kind in _KINDS},
            )
            for signal, service in sorted(held, key=lambda key: (SIGNALS.index(key[0]), key[1]))
        )

    def examples(self) -> list[RowDifference]:
        """Return the first of each kind, in the order of arrival."""
        return [
            found
            for kind in _KINDS
            for _, found in sorted(self._first[kind], key=lambda entry: -entry[0])
        ]


def _record_counts(recording: Recording) -> Counter[tuple[Signal, str]]:
    """Count records; containers make an entry, of 0 where there is nothing else."""
    counts: Counter[tuple[Signal, str]] = Counter()
    for kin, count in recording.count_by_kin().items():
        counts[kin.signal, kin.service] += 0 if kin.is_container else count
    return counts
