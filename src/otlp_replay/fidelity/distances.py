"""How far two distributions are apart."""

from collections.abc import Iterator
from itertools import pairwise

import attrs

from otlp_replay.fidelity.histogram import Distribution, middle_of


@attrs.frozen
class Distance:
    """Two distances between two distributions.

    Attributes:
        wasserstein_ns: Wasserstein-1, the area between the two cumulative distributions: by how
            many nanoseconds a value has to be moved on average to make the one out of the other.
        kolmogorov_smirnov: the greatest vertical distance between the two cumulative
            distributions, a share from 0 (the same) to 1 (one lies wholly below the other).
    """

    wasserstein_ns: float
    kolmogorov_smirnov: float


def distance(one: Distribution, other: Distribution) -> Distance | None:
    """Return how far two distributions are apart, by the middles of their buckets.

    Each value counts as the middle of its bucket, which is less than 1/256 off. None where one of
    them holds nothing.
    """
    if not one.count or not other.count:
        return None
    steps = list(_steps(one, other))
    area = sum(abs(apart) * (after - value) for (value, apart), (after, _) in pairwise(steps))
    return Distance(area, max(abs(apart) for _, apart in steps))


def _steps(one: Distribution, other: Distribution) -> Iterator[tuple[int, float]]:
    """Yield each value of either, and from there on the first's share less the other's."""
    ours, theirs = _weights(one), _weights(other)
    our_count = their_count = 0
    for value in sorted({*ours, *theirs}):
        our_count += ours.get(value, 0)
        their_count += theirs.get(value, 0)
        yield value, our_count / one.count - their_count / other.count


def _weights(held: Distribution) -> dict[int, int]:
    return {middle_of(bucket, held.bits): count for bucket, count in held.buckets}
