"""What becomes of a request that is late."""

from typing import Literal, TypeAlias

import attrs

LatePolicy: TypeAlias = Literal["catch_up", "stretch", "skip", "fail"]


@attrs.frozen
class Lateness:
    """Which policy a replay has, and from when on it acts.

    Attributes:
        policy: what is done with a request that is later than that.
        max_ns: how late it may be, in nanoseconds.

    >>> Lateness("skip", 1_000).verdict(1_001), Lateness("skip", 1_000).verdict(1_000)
    ('skip', 'catch_up')
    """

    policy: LatePolicy
    max_ns: int

    def verdict(self, lateness_ns: int) -> LatePolicy:
        """Say what is done with a request that is so late; `catch_up`: it is sent at once."""
        return self.policy if lateness_ns > self.max_ns else "catch_up"
