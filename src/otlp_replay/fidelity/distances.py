"""How far two distributions are apart."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import attrs

from otlp_replay.fidelity.histogram import Distribution


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
    """Return how far two distributions are apart; None where one of them holds nothing.

    For Wasserstein-1 each value counts as the mean of its bucket, so that shifts that are small
    beside the bucket are seen all the same; Kolmogorov-Smirnov compares at the ends of buckets.
    """
    if not one.count or not other.count:
        return None
    steps = list(_steps(_means(one), _means(other), one.count, other.count))
    area = sum(abs(apart) * (after - value) for (value, apart), (after, _) in pairwise(steps))
    by_bucket = _steps(_counts(one), _counts(other), one.count, other.count)
    return Distance(area, max(abs(apart) for _, apart in by_bucket))


def _steps(
    ours: Mapping[float, int], theirs: Mapping[float, int], our_total: int, their_total: int
) -> Iterator[tuple[float, float]]:
    """Yield each value of either, and from there on the first's share less the other's."""
    our_count = their_count = 0
    for value in sorted({*ours, *theirs}):
        our_count += ours.get(value, 0)
        their_count += theirs.get(value, 0)
        yield value, our_count / our_total - their_count / their_total


def _means(held: Distribution) -> dict[float, int]:
    return {total / count: count for _, count, total in held.buckets}


def _counts(held: Distribution) -> dict[float, int]:
    return {bucket: count for bucket, count, _ in held.buckets}
