"""The shift under which most records of two recordings are the same."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import product
from math import isqrt
from typing import Final, TypeAlias

_PAIRS: Final = 1 << 18
_LEAST_PAIRS: Final = 16
_CANDIDATES: Final = 16

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
    votes: Counter[int] = Counter()
    repeated: list[tuple[Times, Times]] = []
    for times_a, times_b in shared:
        if len(times_a) == len(times_b) == 1:
            votes[times_b[0] - times_a[0]] += 1
        elif times_a and times_b:
            repeated.append((times_a, times_b))
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
    if crowded:
        votes = _recounted(votes, proposals, crowded)
    return min(votes, key=lambda shift: _rank(shift, votes[shift]), default=None)


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
