"""Which traces are chosen: a range of the places that a hash gives their ids."""

from hashlib import blake2b
from typing import Final

import attrs

TRACE_KEY: Final = b"otlp-capture trace place"
"""The key of the hash. It never changes: replays of different machines and years choose alike."""

TRACE_PLACES: Final = 1 << 64
"""How many places there are."""


def trace_place(trace_id: bytes) -> int:
    """Return the place of a trace, 0 to 2^64 - 1: the same one always, and evenly spread.

    It is the keyed BLAKE2b of the id, 8 bytes read as one number, the highest first. Ids that were
    made by counting, or sampled by their last bytes, spread as evenly as random ones.

    Args:
        trace_id: of any length.

    Source: RFC 7693.
    """
    return int.from_bytes(blake2b(trace_id, digest_size=8, key=TRACE_KEY).digest(), "big")


@attrs.frozen
class TraceChoice:
    """The traces whose places are in `[low, high)`.

    Attributes:
        low: the first place that is chosen.
        high: the first one behind that is not; at least *low* (which chooses none), at most 2^64.
        keeps_untraced: whether records without a trace id, or with one of zeros, are kept.
    """

    low: int = attrs.field(default=0)
    high: int = attrs.field(default=TRACE_PLACES)
    keeps_untraced: bool = True

    def __attrs_post_init__(self) -> None:
        """Refuse what is no range: choices are computed, so this is an error of the program."""
        if not 0 <= self.low <= self.high <= TRACE_PLACES:
            raise ValueError(f"[{self.low}, {self.high}) is no range of places within 2^64")

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is left out."""
        return self.keeps_untraced and self.high - self.low == TRACE_PLACES

    def keeps(self, trace_id: bytes) -> bool:
        """Whether the records of a trace are kept; empty or all-zero ids are no trace."""
        if not any(trace_id):
            return self.keeps_untraced
        return self.low <= trace_place(trace_id) < self.high


@attrs.frozen
class ChosenRecords:
    """What is left of a request.

    Attributes:
        request: its bytes; the same object where nothing was left out.
        kept: how many records it holds.
        left_out: how many it held besides.
    """

    request: bytes
    kept: int
    left_out: int
