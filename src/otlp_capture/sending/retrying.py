"""How long a request is tried. Source: OTLP specification 1.11, OTLP/HTTP Throttling."""

import random
from typing import Final

import attrs

_MOST_DOUBLINGS: Final = 30


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How long a request is tried.

    Where the target asks for a longer wait than the backoff, it gets it; one that ends after
    *max_elapsed_s* is not begun.

    Attributes:
        max_attempts: how often it is sent at the most.
        max_elapsed_s: after this time no further attempt begins, in seconds.
        initial_backoff_s: the wait before the second attempt, in seconds; it doubles each time.
        max_backoff_s: the longest wait that this side chooses, in seconds.
    """

    max_attempts: int = 5
    max_elapsed_s: float = 60.0
    initial_backoff_s: float = 1.0
    max_backoff_s: float = 30.0

    def backoff_s(self, attempts: int) -> float:
        """Return an exponentially growing wait, of which the upper half is left to chance.

        Args:
            attempts: how many there have been, from 1.
        """
        doublings = min(attempts - 1, _MOST_DOUBLINGS)
        longest = min(self.initial_backoff_s * 2.0**doublings, self.max_backoff_s)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
