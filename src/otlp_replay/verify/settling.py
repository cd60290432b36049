"""Which whole requests of two sides are equal, and under which shift."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import attrs

from otlp_replay.verify.comparison import ShiftFound
from otlp_replay.verify.shifts import Group, find_shifts
from otlp_replay.verify.whole import Services, WholeRequests

Spans: TypeAlias = tuple["array[int]", "array[int]", "array[int]"]


@attrs.frozen
class Left:
    """What is left of two sides when their equal requests are set against each other.

    Attributes:
        shifts: how much later each loop is.
        in_a: by the number of a request of A, 1 for those that are left.
        in_b: likewise of B.
        settled: how many records the others have, by signal and service.
        spans: of each of the others that is of A, its number, and when its records are in B at the
            earliest and at the latest; 0 where they have no time.
    """

    shifts: tuple[int, ...]
    in_a: bytearray
    in_b: bytearray
    settled: Services
    spans: Spans

    @property
    def is_nothing(self) -> bool:
        """Whether all requests are equal."""
        return not any(self.in_a) and not any(self.in_b)


def proposed_shifts(a: WholeRequests, b: WholeRequests, loops: int) -> tuple[int, ...]:
    """Return the shift of each loop under which the most whole requests are equal."""

    def groups() -> Iterator[Group]:
        for places_a, places_b in _shared(a, b):
            times: list[list[int]] = [[] for _ in range(loops)]
            for place in places_a:
                if a.first_times[place]:
                    times[a.loop(place)].append(a.first_times[place])
            yield times, [b.first_times[place] for place in places_b if b.first_times[place]]

    return find_shifts(groups, loops)


def set_against(a: WholeRequests, b: WholeRequests, shifts: Sequence[int]) -> Left:
    """Set equal requests against each other, those of each loop moved by its shift."""
    settled_a, settled_b = bytearray(len(a)), bytearray(len(b))
    for places_a, places_b in _shared(a, b):
        waiting: dict[int, list[int]] = {}
        for place in reversed(places_b):
            waiting.setdefault(b.first_times[place], []).append(place)
        for place in places_a:
            time = a.first_times[place]
            partners = waiting.get(time + shifts[a.loop(place)] if time else 0)
            if partners:
                settled_a[place] = settled_b[partners.pop()] = 1
    return Left(
        tuple(shifts),
        _left(a, settled_a),
        _left(b, settled_b),
        a.services(settled_a),
        _spans(a, settled_a, shifts),
    )


def _spans(a: WholeRequests, settled: bytearray, shifts: Sequence[int]) -> Spans:
    numbers, starts, ends = array("Q"), array("Q"), array("Q")
    for place, is_settled in enumerate(settled):
        if is_settled:
            shift_ns = shifts[a.loop(place)] if a.first_times[place] else 0
            numbers.append(a.numbers[place])
            starts.append(a.first_times[place] + shift_ns)
            ends.append(a.last_times[place] + shift_ns)
    return numbers, starts, ends


def _left(side: WholeRequests, settled: bytearray) -> bytearray:
    by_number = bytearray(side.numbers[-1] + 1 if len(side) else 0)
    for place, number in enumerate(side.numbers):
        by_number[number] = not settled[place]
    return by_number


def equal_by_request(a: WholeRequests, b: WholeRequests) -> ShiftFound | None:
    """Return the shifts of all pairs of equal requests; None where some request has no equal."""
    if not all(side.is_comparable(place) for side in (a, b) for place in range(len(side))):
        return None
    if Counter(map(a.digest, range(len(a)))) != Counter(map(b.digest, range(len(b)))):
        return None
    least: int | None = None
    most = 0
    for places_a, places_b in _shared(a, b):
        for one, other in zip(places_a, places_b, strict=True):
            if not a.first_times[one]:
                continue
            shift = b.first_times[other] - a.first_times[one]
            least, most = (shift, shift) if least is None else (min(least, shift), max(most, shift))
    least = least or 0
    return ShiftFound("per-request", least if least == most else None, least, most)


def _shared(a: WholeRequests, b: WholeRequests) -> Iterator[tuple[list[int], list[int]]]:
    in_b = dict(b.by_digest())
    for digest, places in a.by_digest():
        if digest in in_b:
            yield places, in_b[digest]
