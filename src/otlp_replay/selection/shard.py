"""A part of a session's traces, so that several machines can replay it together."""

import re
from typing import ClassVar, Final

import attrs

from otlp_capture.result import Failure, Outcome, Success

_SHARD: Final = re.compile(r"\s*([0-9]{1,10})\s*/\s*([0-9]{1,10})\s*")
_MOST: Final = 1 << 31


@attrs.frozen
class Shard:
    """One of *count* disjoint parts; together they are the whole.

    Attributes:
        index: which part, from 0.
        count: how many parts there are.
    """

    index: int = 0
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether there is one part only."""
        return self.count == 1

    def part_of(self, width: int) -> tuple[int, int]:
        """Return this part of the numbers below *width*, half open; parts differ by 1 at most.

        >>> [Shard(index, 3).part_of(10) for index in range(3)]
        [(0, 3), (3, 6), (6, 10)]
        """
        return width * self.index // self.count, width * (self.index + 1) // self.count

    def __str__(self) -> str:
        """Write it as people do.

        >>> str(Shard(0, 4))
        '1/4'
        """
        return f"{self.index + 1}/{self.count}"


@attrs.frozen
class ShardUnclear:
    """A text names no part."""

    text: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was written, and what is allowed."""
        counted = _SHARD.fullmatch(self.text)
        count = int(counted[2]) if counted else 0
        if count < 1 or count > _MOST:
            return (
                f"{self.text[:100]!r} is no part of a replay: write it as 1/4, the first of four; "
                f"the others are 2/4, 3/4 and 4/4."
            )
        return (
            f"{self.text[:100]!r} is no part of a replay: parts are counted from 1, so those of "
            f"{count} are 1/{count} to {count}/{count}."
        )


def parse_shard(text: str) -> Outcome[Shard, ShardUnclear]:
    """Read a part as people write it: counted from 1, as test runners count their shards.

    Fails with:
        ShardUnclear: it names none.

    >>> parse_shard("1/4").unwrap()
    Shard(index=0, count=4)
    >>> parse_shard("0/4").failure().message
    "'0/4' is no part of a replay: parts are counted from 1, so those of 4 are 1/4 to 4/4."
    """
    match = _SHARD.fullmatch(text)
    if match is None:
        return Failure(ShardUnclear(text))
    number, count = int(match[1]), int(match[2])
    if not 1 <= number <= count <= _MOST:
        return Failure(ShardUnclear(text))
    return Success(Shard(number - 1, count))
