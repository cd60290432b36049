"""What requests that are under way may take of memory, whatever brings them."""

from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

import anyio

from otlp_capture.receiver.answers import BodyTooSlow, TooManyReads
from otlp_capture.result import Failure, Outcome, Success

_T = TypeVar("_T")


class Budget:
    """Bytes of bodies that may still come into memory, for a whole receiver."""

    def __init__(self, limit_bytes: int) -> None:
        self.left_bytes = self.limit_bytes = limit_bytes


class Reservation:
    """What one body takes of the budget, until the block ends."""

    def __init__(self, budget: Budget) -> None:
        self.limit_bytes = budget.limit_bytes
        self._budget, self._size_bytes = budget, 0

    def grow(self, size_bytes: int) -> bool:
        """Take *size_bytes* more; False where the budget does not have them."""
        if size_bytes > self._budget.left_bytes:
            return False
        self._budget.left_bytes -= size_bytes
        self._size_bytes += size_bytes
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.left_bytes += self._size_bytes


class Reads:
    """Messages that are coming in: so many at once, and a slow one gives way to one that waits.

    It is for what cannot tell how much of a message is there already.

    Args:
        limit: how many at once.
        patience_s: how long each may take in any case, in seconds.
        timeout_s: how long each may wait, and then how long it may take, in seconds.
    """

    def __init__(self, limit: int, *, patience_s: float, timeout_s: float) -> None:
        self._limit, self._patience_s, self._timeout_s = limit, patience_s, timeout_s
        self._slots, self._waiting = anyio.Semaphore(limit), 0
        self._began = dict[anyio.CancelScope, float]()

    async def run(
        self, read: Callable[[], Awaitable[_T]]
    ) -> Outcome[_T, TooManyReads | BodyTooSlow]:
        """Read when it is this one's turn.

        Fails with:
            TooManyReads: its turn did not come in time.
            BodyTooSlow: it took too long, also because others waited.
        """
        if not await self._has_turn():
            return Failure(TooManyReads(self._limit))
        scope = anyio.CancelScope()
        began = self._began[scope] = anyio.current_time()
        self._press()
        try:
            with scope:
                return Success(await read())
            return Failure(BodyTooSlow(round(anyio.current_time() - began, 1)))
        finally:
            self._began.pop(scope, None)
            self._slots.release()

    async def _has_turn(self) -> bool:
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            return await self._waits()
        return True

    async def _waits(self) -> bool:
        self._waiting += 1
        self._press()
        try:
            with anyio.move_on_after(self._timeout_s) as waiting:
                await self._slots.acquire()
        finally:
            self._waiting -= 1
            self._press()
        return not waiting.cancelled_caught

    def _press(self) -> None:
        """See to it that the oldest, as many as others wait, have their patience and no more."""
        for number, (scope, began) in enumerate(self._began.items()):
            is_pressed = number < self._waiting
            scope.deadline = began + (self._patience_s if is_pressed else self._timeout_s)
