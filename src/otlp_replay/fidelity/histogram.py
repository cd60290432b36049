"""Whole numbers counted in log-linear buckets: bounded memory, and a known error.

A bucket spans less than one part in `2**bits` of the values in it, so there are some thousands of
buckets for all 64-bit numbers, and only those that hold something take memory.
"""

import math
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

import attrs

FINE: Final = 7
"""Relative error under 1/128."""
COARSE: Final = 5
"""Relative error under 1/32, for the many small histograms of a series."""


@attrs.frozen
class Distribution:
    """What a histogram held: count, sum and extremes exactly, the rest within a bucket.

    Attributes:
        count: how many values.
        total: their sum.
        minimum: the least; 0 where there is none.
        maximum: the greatest; 0 where there is none.
        buckets: of each bucket that holds something its number, how many values it holds, and
            their sum, in ascending order.
        bits: how fine the buckets are.
    """

    count: int = 0
    total: int = 0
    minimum: int = 0
    maximum: int = 0
    buckets: tuple[tuple[int, int, int], ...] = ()
    bits: int = FINE

    @property
    def mean(self) -> float:
        """The mean, exactly but for rounding; 0 where there is no value."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> int:
        """Return the least value that at least *share* of all values do not exceed.

        The result is less than one part in `2**bits` off, and 0 where there is no value. For 0 it
        is the least value and for 1 the greatest, exactly.

        Args:
            share: from 0 to 1.
        """
        if not self.count or share <= 0:
            return self.minimum
        rank = min(math.ceil(round(share * self.count, 9)), self.count)
        if rank == self.count:
            return self.maximum
        counts = accumulate(count for _, count, _ in self.buckets)
        found = next(
            bucket
            for (bucket, *_), up_to in zip(self.buckets, counts, strict=True)
            if up_to >= rank
        )
        return min(max(middle_of(found, self.bits), self.minimum), self.maximum)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values: the figures that people ask for, and the buckets.

        A bucket is told as how many values it holds, and their sum.
        """
        return {
            "count": self.count,
            "sumNs": self.total,
            "minNs": self.minimum,
            "p50Ns": self.quantile(0.5),
            "p90Ns": self.quantile(0.9),
            "p99Ns": self.quantile(0.99),
            "p999Ns": self.quantile(0.999),
            "maxNs": self.maximum,
            "buckets": [[count, total] for _, count, total in self.buckets],
        }


class Histogram:
    """Counts whole numbers, also negative ones.

    Args:
        bits: how fine the buckets are: the relative error is under `2**-bits`.
    """

    __slots__ = ("_bits", "_held", "_maximum", "_minimum")

    def __init__(self, bits: int = FINE) -> None:
        self._bits = bits
        self._held = dict[int, list[int]]()
        self._minimum = self._maximum = 0

    def add(self, value: int) -> None:
        """Count *value*."""
        held = self._held
        if not held:
            self._minimum = self._maximum = value
        elif value > self._maximum:
            self._maximum = value
        elif value < self._minimum:
            self._minimum = value
        # As `bucket_of`, which would cost as much as all the rest.
        shift = value.bit_length() - self._bits - 1
        if value < 0:
            bucket = bucket_of(value, self._bits)
        elif shift <= 0:
            bucket = value
        else:
            bucket = (shift << self._bits) + (value >> shift)
        found = held.get(bucket)
        if found is None:
            held[bucket] = [1, value]
        else:
            found[0] += 1
            found[1] += value

    def merge(self, held: Distribution) -> None:
        """Count all that another histogram has counted, too.

        Raises:
            ValueError: its buckets are finer, or not as fine.
        """
        if held.bits != self._bits:
            message = f"buckets of {held.bits} bits do not fit those of {self._bits}"
            raise ValueError(message)
        if not held.count:
            return
        if not self._held:
            self._minimum, self._maximum = held.minimum, held.maximum
        self._minimum = min(self._minimum, held.minimum)
        self._maximum = max(self._maximum, held.maximum)
        for bucket, count, total in held.buckets:
            found = self._held.setdefault(bucket, [0, 0])
            found[0] += count
            found[1] += total

    def distribution(self) -> Distribution:
        """Return what it holds now."""
        return Distribution(
            count=sum(count for count, _ in self._held.values()),
            total=sum(total for _, total in self._held.values()),
            minimum=self._minimum,
            maximum=self._maximum,
            buckets=tuple(
                (bucket, count, total) for bucket, (count, total) in sorted(self._held.items())
            ),
            bits=self._bits,
        )


def distribution_of(values: Iterable[int], bits: int = FINE) -> Distribution:
    """Return the distribution of *values*.

    >>> distribution_of([3, 1, 2]).quantile(0.5)
    2
    """
    histogram = Histogram(bits)
    for value in values:
        histogram.add(value)
    return histogram.distribution()


def bucket_of(value: int, bits: int = FINE) -> int:
    """Return the number of the bucket that holds *value*; it grows with the value.

    Values below `2**(bits + 1)` have a bucket each. From there on each power of two is parted
    into `2**bits` buckets of one width. Negative values mirror positive ones.
    """
    if value < 0:
        return -bucket_of(-value, bits)
    shift = value.bit_length() - bits - 1
    return value if shift <= 0 else (shift << bits) + (value >> shift)


def bounds_of(bucket: int, bits: int = FINE) -> tuple[int, int]:
    """Return the least and the greatest value of a bucket."""
    if bucket < 0:
        least, greatest = bounds_of(-bucket, bits)
        return -greatest, -least
    shift = max((bucket >> bits) - 1, 0)
    least = (bucket - (shift << bits)) << shift
    return least, least + (1 << shift) - 1


def middle_of(bucket: int, bits: int = FINE) -> int:
    """Return the value that stands for all of a bucket."""
    least, greatest = bounds_of(bucket, bits)
    return (least + greatest) // 2
