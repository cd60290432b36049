"""The comparison in which each request has its own shift: requests are paired, then compared."""

from contextlib import ExitStack

from otlp_replay.verify.comparison import ShiftFound
from otlp_replay.verify.matching import Leftovers, RowDifference, row_differences
from otlp_replay.verify.pairing import Pair, pair_requests
from otlp_replay.verify.recording import Recording
from otlp_replay.verify.rows import SortedRows, unpacked
from otlp_replay.verify.tally import Tally

_ANY_BYTES = 1 << 62
"""No bound: what is compared here is in memory already."""


def compare_by_request(a: Recording, b: Recording, tally: Tally) -> ShiftFound:
    """Count the differences into *tally*, and return the shifts that were undone."""
    pairing = pair_requests(a, b)
    for pair in pairing.pairs:
        if not pair.is_same or pair.again:
            _compare_pair(a, b, pair, tally)
    for request in pairing.alone_a:
        rows = (unpacked(a.written(row, 0, 0)) for row in a.rows_of(request))
        tally.add(RowDifference("missing", row_a=row) for row in rows)
    for request in pairing.alone_b:
        rows = (unpacked(b.written(row, 0, 0)) for row in b.rows_of(request))
        tally.add(RowDifference("extra", row_b=row) for row in rows)
    shifts = [
        arrived.shift_ns
        for pair in pairing.pairs
        for arrived in (pair.arrived, *pair.again)
        if any(b.base_times[row] for row in b.rows_of(arrived.request))
    ]
    least, most = min(shifts, default=0), max(shifts, default=0)
    return ShiftFound("per-request", least if least == most else None, least, most)


def _compare_pair(a: Recording, b: Recording, pair: Pair, tally: Tally) -> None:
    shifts = [arrived.shift_ns for arrived in (pair.arrived, *pair.again)]
    rows_a = sorted(a.written(row, 0, 0) for row in a.rows_of(pair.request))
    rows_b = sorted(
        b.written(row, arrived.shift_ns, group)
        for group, arrived in enumerate((pair.arrived, *pair.again))
        for row in b.rows_of(arrived.request)
    )
    with ExitStack() as files:
        left = Leftovers(SortedRows(files, _ANY_BYTES, None), SortedRows(files, _ANY_BYTES, None))
        tally.add(row_differences(rows_a, rows_b, left, lambda _, other: shifts[other.group]))
