"""How much may lie in the spool before clients are told to come again."""

from collections.abc import Callable
from typing import Final

DEFAULT_BUDGET_BYTES: Final = 1 << 30


class SpoolBudget:
    """Bytes that a spool may hold, for all sessions of a service.

    Args:
        limit_bytes: how many.
        look_again: called where there is no room: it may find that less is used than was thought.

    Attributes:
        used_bytes: how many it holds, frames that are on their way included.
    """

    def __init__(
        self,
        limit_bytes: int = DEFAULT_BUDGET_BYTES,
        look_again: Callable[[], object] = lambda: None,
    ) -> None:
        self.limit_bytes, self.used_bytes = limit_bytes, 0
        self._look_again = look_again

    def take(self, size_bytes: int) -> bool:
        """Take room for *size_bytes*; False where there is none left."""
        if self.used_bytes + size_bytes > self.limit_bytes:
            self._look_again()
            if self.used_bytes + size_bytes > self.limit_bytes:
                return False
        self.used_bytes += size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """Return the room of what has left the spool, or never came there."""
        self.used_bytes -= size_bytes
