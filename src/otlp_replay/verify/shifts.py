"""The shift under which most records of two recordings are the same."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import product
from math import isqrt
from typing import Final, TypeAlias

_PAIRS: Final = 1 << 18
_LEAST_PAIRS: Final = 16
_CANDIDATES: Final = 16
_STREAMED_CANDIDATES: Final = 4
_HELD_TIMES: Final = 1 << 19
_THINNED: Final = 1 << 10

Times: TypeAlias = Sequence[int]
"""When the records of one content are, on one side, in nanoseconds; unset ones left out."""


def find_shift(shared: Iterable[tuple[Times, Times]]) -> int | None:
    """Return the shift that makes the most records of A equal to records of B.

    Each content that is on both sides votes: for a shift with as many records as it makes equal
    there. So neither records that are missing, added, duplicated or changed mislead it, nor records
    that repeat, such as heartbeats: those vote for each of their distances, and only the common one
    adds up. Of shifts that make equally many records equal, the one nearest to 0 is taken, then the
    one forward in time. So 0 wins wherever it is among the best.

    This is exact while the pairs of repeated records stay below a quarter of a million. Beyond,
    contents that repeat often only propose shifts, from their first, their last and some records
    between; the 16 with the most votes are then counted on all records. Time and memory stay
    linear.

    Args:
        shared: for each content that both sides have, when its records are in A and in B.

    Returns:
        The shift in nanoseconds; None where no record with a time is on both sides.

    >>> find_shift([([10, 20, 30], [27, 37]), ([12], [29])])
    17
    >>> find_shift([([10, 20, 30], [20, 30])])
    0
    """
    singles: Counter[int] = Counter()
    repeated: list[tuple[Times, Times]] = []
    for times_a, times_b in shared:
        if len(times_a) == len(times_b) == 1:
            singles[times_b[0] - times_a[0]] += 1
        elif times_a and times_b:
            repeated.append((times_a, times_b))
    return _best(singles, repeated)


def _best(singles: Counter[int], repeated: list[tuple[Times, Times]]) -> int | None:
    votes, crowded, proposals = _votes_of(singles, repeated)
    if crowded:
        votes = _recounted(votes, proposals, crowded)
    return min(votes, key=lambda shift: _rank(shift, votes[shift]), default=None)


def _votes_of(
    singles: Counter[int], repeated: list[tuple[Times, Times]]
) -> tuple[Counter[int], list[tuple[Counter[int], Counter[int]]], Counter[int]]:
    """Return the votes, the contents that repeat too often to vote, and what those propose."""
    votes = Counter(singles)
    crowded: list[tuple[Counter[int], Counter[int]]] = []
    proposals: Counter[int] = Counter()
    repeated.sort(key=_pair_count)
    budget = _PAIRS
    for done, (times_a, times_b) in enumerate(repeated):
        counts_a, counts_b = Counter(times_a), Counter(times_b)
        share = max(_LEAST_PAIRS, budget // (len(repeated) - done))
        pairs = len(counts_a) * len(counts_b)
        budget = max(0, budget - min(share, pairs))
        if pairs <= share:
            _vote(votes, counts_a, counts_b)
        else:
            crowded.append((counts_a, counts_b))
            proposals.update(_proposed(sorted(counts_a), sorted(counts_b), share))
    return votes, crowded, proposals


def _rank(shift: int, votes: int) -> tuple[int, int, bool]:
    return -votes, abs(shift), shift < 0


def _pair_count(shared: tuple[Times, Times]) -> int:
    return len(shared[0]) * len(shared[1])


def _vote(votes: Counter[int], counts_a: Counter[int], counts_b: Counter[int]) -> None:
    for (time_a, copies_a), (time_b, copies_b) in product(counts_a.items(), counts_b.items()):
        votes[time_b - time_a] += min(copies_a, copies_b)


def _proposed(times_a: Times, times_b: Times, share: int) -> Iterator[int]:
    """Yield about *share* distances between two long sorted lists.

    The first against the first and the last against the last find a shift of what is whole at one
    end; some of A against all of B find it wherever records are gone.
    """
    width = isqrt(share // 3) or 1
    for time_a, time_b in product(times_a[:width], times_b[:width]):
        yield time_b - time_a
    for time_a, time_b in product(times_a[-width:], times_b[-width:]):
        yield time_b - time_a
    step = -(-len(times_a) // max(1, share // 3 // len(times_b)))
    for time_a, time_b in product(times_a[step // 2 :: step], times_b):
        yield time_b - time_a


def _recounted(
    votes: Counter[int],
    proposals: Counter[int],
    crowded: Sequence[tuple[Counter[int], Counter[int]]],
) -> Counter[int]:
    """Count the most promising shifts, and 0, on all records."""
    promising = votes + proposals
    ranked = nsmallest(_CANDIDATES, promising, key=lambda shift: _rank(shift, promising[shift]))
    return Counter(
        {
            shift: votes[shift]
            + sum(_equal_under(shift, counts_a, counts_b) for counts_a, counts_b in crowded)
            for shift in {0, *ranked}
        }
    )


def _equal_under(shift: int, counts_a: Counter[int], counts_b: Counter[int]) -> int:
    return sum(min(copies, counts_b.get(time + shift, 0)) for time, copies in counts_a.items())


class ShiftSearch:
    """Finds the shift of `find_shift` from contents that come one after the other.

    What is kept is bounded: beyond a quarter of a million different distances the rarest are
    forgotten, and beyond half a million times of repeated records those of the contents that
    repeat most only propose shifts. `candidates` then has to be counted on all records.
    """

    def __init__(self) -> None:
        self._votes: Counter[int] = Counter()
        self._repeated: list[tuple[Times, Times]] = []
        self._held_times = 0
        self._proposals: Counter[int] = Counter()
        self._is_exact = True

    def add(self, times_a: Times, times_b: Times) -> None:
        """Take the times of one content on both sides, sorted."""
        if len(times_a) == len(times_b) == 1:
            self._votes[times_b[0] - times_a[0]] += 1
            if len(self._votes) > _PAIRS:
                self._votes = Counter(dict(self._votes.most_common(_PAIRS // 2)))
                self._is_exact = False
        elif times_a and times_b:
            self._repeated.append((times_a, times_b))
            self._held_times += len(times_a) + len(times_b)
            if self._held_times > _HELD_TIMES:
                self._forget_crowds()

    def _forget_crowds(self) -> None:
        self._repeated.sort(key=_pair_count)
        while self._held_times > _HELD_TIMES // 2:
            times_a, times_b = self._repeated.pop()
            self._held_times -= len(times_a) + len(times_b)
            few_a, few_b = _thinned(times_a), _thinned(times_b)
            self._proposals.update(_proposed(few_a, few_b, _PAIRS // 16))
        if len(self._proposals) > _PAIRS:
            self._proposals = Counter(dict(self._proposals.most_common(_PAIRS // 2)))
        self._is_exact = False

    def found(self) -> list[int | None]:
        """Return the shift; where only counting all records can tell, several, the likeliest first.

        None where no record with a time is on both sides.
        """
        if self._is_exact:
            return [_best(self._votes, self._repeated)]
        votes, _, proposals = _votes_of(self._votes, self._repeated)
        promising = votes + proposals + self._proposals
        ranked = nsmallest(
            _STREAMED_CANDIDATES,
            promising,
            key=lambda shift: _rank(shift, promising[shift]),
        )
        return list(dict.fromkeys((*ranked, 0)))


def best_of(counts: Mapping[int, int]) -> int:
    """Return the shift that makes the most records equal, by how many each does."""
    return min(counts, key=lambda shift: _rank(shift, counts[shift]))


def _thinned(times: Times) -> Times:
    """Return about a thousand of some sorted times: the first, the last and some between."""
    if len(times) <= _THINNED:
        return times
    part = _THINNED // 3
    return sorted({*times[:part], *times[:: len(times) // part], *times[-part:]})


Group: TypeAlias = tuple[Sequence[Times], Times]
"""When the records of one content are: in each loop of A, and in B; sorted, unset ones left out."""


def find_shifts(groups: Callable[[], Iterator[Group]], loops: int) -> tuple[int, ...]:
    """Return how much later each loop is, 0 for one of which no record is on both sides.

    Each is found as `find_shift` does, among those records of B that the loops before leave.

    Args:
        groups: yields the contents that both sides have, as often as it is called.
        loops: how many there are.
    """
    shifts: list[int] = []
    for loop in range(loops):
        search = ShiftSearch()
        for times_a, times_b in groups():
            search.add(times_a[loop], _left_by(shifts, times_a, times_b))
        found = search.found()
        if len(found) > 1:
            counts = dict.fromkeys((shift for shift in found if shift is not None), 0)
            for times_a, times_b in groups():
                rest = _left_by(shifts, times_a, times_b)
                for shift in counts:
                    counts[shift] += _equal_in_order(times_a[loop], rest, shift)
            found = [best_of(counts)]
        shifts.append(found[0] or 0)
    return tuple(shifts)


def _left_by(shifts: Sequence[int], times_a: Sequence[Times], times_b: Times) -> Times:
    """Return the times of B that are left by the loops whose shifts are known."""
    if not shifts:
        return times_b
    left = Counter(times_b)
    for shift, times in zip(shifts, times_a, strict=False):
        left -= Counter(time + shift for time in times)
    return sorted(left.elements())


def _equal_in_order(times_a: Times, times_b: Times, shift: int) -> int:
    """Count the equal times of two sorted lists, the first *shift* later."""
    equal, place = 0, 0
    for time in times_a:
        while place < len(times_b) and times_b[place] < time + shift:
            place += 1
        if place < len(times_b) and times_b[place] == time + shift:
            equal += 1
            place += 1
    return equal
