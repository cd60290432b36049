"""How far the reading of two recordings is."""

from collections.abc import Callable
from typing import TypeAlias

Watch: TypeAlias = Callable[[int, int], None]
"""Is told how many requests were read, and of how many as far as is known."""


def _ignore(_done: int, _expected: int) -> None:
    """Nobody looks."""


class Progress:
    """Counts what is read; what is read again adds to what there is to read."""

    def __init__(self, expected: int = 0, watch: Watch | None = None) -> None:
        self._expected, self._watch, self._done = expected, watch or _ignore, 0

    def begin(self, count: int) -> None:
        """So many requests are read next."""
        self._expected = max(self._expected, self._done + count)

    def advance(self, count: int) -> None:
        """So many more were read."""
        self._done += count
        self._watch(self._done, self._expected)
