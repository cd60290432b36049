"""What requests that were set against each other as wholes still say of the records that are left.

Two things: whether a record of B that is left is one too many of theirs, and whether another shift
could make more records equal than the one under which they are.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from otlp_capture.otlp import Signal, canonical_records
from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.errors import ReplayError
from otlp_replay.verify.by_constant import Apart, Memory
from otlp_replay.verify.declared import Variant
from otlp_replay.verify.matching import Leftovers, RowDifference
from otlp_replay.verify.reading import Source, read_requests
from otlp_replay.verify.rows import read_time, unpacked
from otlp_replay.verify.settling import Left

_MOST_LEFT: Final = 1 << 16


async def find_repeated(
    a: Source, left: Left, apart: Apart, memory: Memory
) -> Outcome[Apart | None, ReplayError]:
    """Count as duplicated what is left of B and is among the records of A that were set aside.

    Only requests that can hold such a record, by its time, are read. None where that cannot be
    told: a record has no time of its own, or too many are left.
    """
    extra = apart.left.extra
    if not len(extra):
        return Success(apart)
    if len(extra) > _MOST_LEFT:
        return Success(None)
    rows = [unpacked(row) for row in extra]
    if not all(row.is_dated for row in rows):
        return Success(None)
    wanted = {(row.other, read_time(row.time)) for row in rows}
    times = sorted({time for _, time in wanted})
    holding, count = _holding(left, times, a.request_count)
    if 2 * count > len(left.spans[0]) and count > 1:
        return Success(None)
    known: set[tuple[bytes, int]] = set()

    def look(_: int, signal: Signal, variant: Variant) -> str | None:
        canonical = canonical_records(variant.request, signal)
        if isinstance(canonical, Failure):
            return canonical.failure().message
        shift_ns = left.shifts[variant.loop]
        for record in canonical.unwrap().records:
            key = (record.fingerprint, record.base_time + shift_ns)
            if key in wanted:
                known.add(key)
        return None

    done = await read_requests(a, look, wanted=holding)
    if isinstance(done, Failure):
        return done
    others = memory.rows(16)
    for row in rows:
        if (row.other, read_time(row.time)) in known:
            # Of a row that is left by identity, the other digest comes first again.
            repeated = unpacked(row.turned())
            apart.compared.tally.add([RowDifference("duplicated", row_b=repeated)])
        else:
            others.add(row.packed())
    return Success(Apart(apart.compared, Leftovers(apart.left.missing, others)))


def _holding(left: Left, times: Sequence[int], request_count: int) -> tuple[bytearray, int]:
    """Mark the requests within whose time one of *times* is."""
    marked, count = bytearray(request_count), 0
    for number, start, end in zip(*left.spans, strict=True):
        place = bisect_left(times, start)
        if start and place < len(times) and times[place] <= end:
            marked[number] = 1
            count += 1
    return marked, count


async def is_the_best_shift(a: Source, left: Left, left_records: int) -> Outcome[bool, ReplayError]:
    """Say whether no other shift can make as many records equal as the one that was taken.

    Another shift makes at least one record less equal of each content that was set aside, and of
    what is left at the most all equal. So there is none where those have more different contents
    than records are left. Requests are read until that is seen, or a quarter of them are.
    """
    if len(left.shifts) > 1 or left_records > _MOST_LEFT:
        return Success(False)
    contents: set[bytes] = set()

    def look(_: int, signal: Signal, variant: Variant) -> str | None:
        canonical = canonical_records(variant.request, signal)
        if isinstance(canonical, Failure):
            return canonical.failure().message
        records = canonical.unwrap().records
        contents.update(record.fingerprint for record in records if record.base_time)
        return None

    numbers: array[int] = left.spans[0]
    most, done, step = (len(numbers) + 3) // 4, 0, 1
    while done < most and len(contents) <= left_records:
        wanted = bytearray(a.request_count)
        for number in numbers[done : done + step]:
            wanted[number] = 1
        read = await read_requests(a, look, wanted=wanted)
        if isinstance(read, Failure):
            return read
        done, step = done + step, step * 2
    return Success(len(contents) > left_records)
