"""Which records of two recordings differ, and how, once the shift is undone."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import attrs

from otlp_replay.verify.comparison import DifferenceKind
from otlp_replay.verify.recording import Recording, aligned, sorted_rows

TimeOfRow: TypeAlias = Callable[[int], int]
"""When a row is, in nanoseconds of A's time; 0 where its times are unset."""


@attrs.frozen
class RowDifference:
    """A record that differs.

    Attributes:
        kind: how.
        row_a: its row in A; None where it is extra or duplicated.
        row_b: its row in B; None where it is missing.
        shift_ns: how much later it was to be in B.
    """

    kind: DifferenceKind
    row_a: int | None = None
    row_b: int | None = None
    shift_ns: int = 0


def row_differences(
    a: Recording,
    b: Recording,
    rows_a: Sequence[int],
    rows_b: Sequence[int],
    undone: TimeOfRow,
) -> Iterator[RowDifference]:
    """Yield every difference between some rows of A and some of B, in no order that matters.

    Args:
        a: the original.
        b: what arrived.
        rows_a: rows of A, sorted by fingerprint.
        rows_b: rows of B, sorted by fingerprint.
        undone: the time of a row of B, its shift taken off.
    """
    missing, extra = array("Q"), array("Q")
    for same_a, same_b in aligned(a, rows_a, b, rows_b, Recording.fingerprint):
        if len(same_a) == len(same_b) == 1 and a.base_times[same_a[0]] == undone(same_b[0]):
            continue
        at_a, at_b = _by_time(same_a, a.base_times.__getitem__), _by_time(same_b, undone)
        for time, copies in at_a.items():
            arrived = at_b.pop(time, [])
            missing.extend(copies[len(arrived) :])
            for row in arrived[len(copies) :]:
                yield RowDifference("duplicated", row_b=row)
        for copies in at_b.values():
            extra.extend(copies)
    missing = sorted_rows(a, missing, Recording.identity)
    extra = sorted_rows(b, extra, Recording.identity)
    for named_a, named_b in aligned(a, missing, b, extra, Recording.identity):
        yield from _named_alike(a, b, named_a, named_b, undone)


def _by_time(rows: Iterable[int], time_of: TimeOfRow) -> dict[int, list[int]]:
    rows_at: dict[int, list[int]] = {}
    for row in rows:
        rows_at.setdefault(time_of(row), []).append(row)
    return rows_at


def _named_alike(
    a: Recording, b: Recording, rows_a: list[int], rows_b: list[int], undone: TimeOfRow
) -> Iterator[RowDifference]:
    """Pair records of one identity, the best match first; what stays is missing or extra.

    The best match has the same time, the next best the same content at another time; the others
    are paired in the order of their times.
    """
    time_a = a.base_times.__getitem__
    left_a, left_b = rows_a, rows_b
    matches: tuple[tuple[Callable[[int], object], Callable[[int], object]], ...] = (
        (time_a, undone),
        (a.fingerprint, b.fingerprint),
        (_anything, _anything),
    )
    for key_a, key_b in matches:
        if not left_a or not left_b:
            break
        waiting: dict[object, list[int]] = {}
        for row in sorted(left_b, key=undone, reverse=True):
            waiting.setdefault(key_b(row), []).append(row)
        unpaired: list[int] = []
        for row in sorted(left_a, key=time_a):
            partners = waiting.get(key_a(row))
            if not partners:
                unpaired.append(row)
                continue
            partner = partners.pop()
            shift_ns = b.base_times[partner] - undone(partner)
            yield RowDifference("changed", row, partner, shift_ns)
        left_a, left_b = unpaired, [row for rows in waiting.values() for row in rows]
    for row in left_a:
        yield RowDifference("missing", row_a=row)
    for row in left_b:
        yield RowDifference("extra", row_b=row)


def _anything(_: int) -> object:
    return None
