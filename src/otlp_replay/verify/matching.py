"""Which records of two recordings differ, and how, once A is moved to where it has to arrive."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import chain, groupby, islice, zip_longest
from typing import Final, TypeAlias

import attrs

from otlp_replay.verify.comparison import DifferenceKind
from otlp_replay.verify.rows import (
    Row,
    SortedRows,
    digest_and_time,
    digest_of,
    unpacked,
)

_CHUNK_ROWS: Final = 1 << 15

Matched: TypeAlias = Callable[[Row, Row], int]
"""How much later a row of B was to be than its partner in A stands, in nanoseconds."""


@attrs.frozen
class RowDifference:
    """A record that differs.

    Attributes:
        kind: how.
        row_a: it in A; None where it is extra or duplicated.
        row_b: it in B; None where it is missing.
        shift_ns: how much later it was to be in B.
    """

    kind: DifferenceKind
    row_a: Row | None = None
    row_b: Row | None = None
    shift_ns: int = 0


@attrs.frozen
class Leftovers:
    """Where rows without an equal are kept until they are compared by identity."""

    missing: SortedRows
    extra: SortedRows


def row_differences(
    rows_a: Iterable[bytes], rows_b: Iterable[bytes], left: Leftovers, shift_of: Matched
) -> Iterator[RowDifference]:
    """Yield every difference between rows of A and rows of B, in no order that matters.

    Args:
        rows_a: of A, sorted, at the times at which they have to be in B.
        rows_b: of B, sorted.
        left: takes what differs meanwhile; empty before.
        shift_of: tells the shift of a pair.
    """
    yield from repeated_rows(rows_a, rows_b, left)
    yield from named_differences(left, shift_of)


def repeated_rows(
    rows_a: Iterable[bytes], rows_b: Iterable[bytes], left: Leftovers
) -> Iterator[RowDifference]:
    """Set equal rows against each other, and yield those of B that A has less often.

    Of neither more than a few are held at once, however often one record repeats. The arguments are
    those of `row_differences`.
    """
    for _, same_a, same_b in aligned(rows_a, rows_b, digest_and_time):
        first_a = next(same_a, None)
        if first_a is None:
            left.extra.extend(unpacked(row).turned() for row in same_b)
            continue
        for one, other in zip_longest(_with(first_a, same_a), same_b):
            if other is None:
                left.missing.add(unpacked(one).turned())
            elif one is None:
                yield RowDifference("duplicated", row_b=unpacked(other))


def named_differences(left: Leftovers, shift_of: Matched) -> Iterator[RowDifference]:
    """Yield what of the leftovers is changed, by identity, and what is missing or extra."""
    for _, named_a, named_b in aligned(left.missing, left.extra, digest_of):
        yield from _named_alike(named_a, named_b, shift_of)


def aligned(
    rows_a: Iterable[bytes], rows_b: Iterable[bytes], key_of: Callable[[bytes], bytes]
) -> Iterator[tuple[bytes, Iterator[bytes], Iterator[bytes]]]:
    """Yield each key in order, and the rows of A and B that have it; read them before the next."""
    groups_a, groups_b = groupby(rows_a, key=key_of), groupby(rows_b, key=key_of)
    one, other = next(groups_a, None), next(groups_b, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[0], one[1], iter(())
            one = next(groups_a, None)
        elif one is None or other[0] < one[0]:
            yield other[0], iter(()), other[1]
            other = next(groups_b, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(groups_a, None), next(groups_b, None)


def _with(first: bytes, others: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _named_alike(
    rows_a: Iterator[bytes], rows_b: Iterator[bytes], shift_of: Matched
) -> Iterator[RowDifference]:
    """Pair records of one identity, many at once in the order of their times."""
    left_a: list[Row] = []
    left_b: list[Row] = []
    while True:
        more_a = list(map(unpacked, islice(rows_a, _CHUNK_ROWS - len(left_a))))
        more_b = list(map(unpacked, islice(rows_b, _CHUNK_ROWS - len(left_b))))
        if not more_a and not more_b:
            break
        pairs, left_a, left_b = _paired(left_a + more_a, left_b + more_b)
        for one, other in pairs:
            yield RowDifference("changed", one, other, shift_of(one, other))
    for row in chain(left_a, map(unpacked, rows_a)):
        yield RowDifference("missing", row_a=row)
    for row in chain(left_b, map(unpacked, rows_b)):
        yield RowDifference("extra", row_b=row)


def _paired(
    left_a: list[Row], left_b: list[Row]
) -> tuple[list[tuple[Row, Row]], list[Row], list[Row]]:
    """Pair records of one identity, the best match first, until one side has no more.

    The best match has the same time, the next best the same content at another time; the others
    are paired in the order of their times.
    """
    pairs: list[tuple[Row, Row]] = []
    for key in (_time, _fingerprint, _anything):
        if not left_a or not left_b:
            break
        waiting: dict[Hashable, list[Row]] = {}
        for row in sorted(left_b, key=_time, reverse=True):
            waiting.setdefault(key(row), []).append(row)
        unpaired: list[Row] = []
        for row in sorted(left_a, key=_time):
            partners = waiting.get(key(row))
            if partners:
                pairs.append((row, partners.pop()))
            else:
                unpaired.append(row)
        left_a, left_b = unpaired, [row for rows in waiting.values() for row in rows]
    return pairs, left_a, left_b


def _time(row: Row) -> bytes:
    return row.time


def _fingerprint(row: Row) -> bytes:
    return row.other


def _anything(_: Row) -> bytes:
    return b""
