"""A clock that wakes to within a fraction of a millisecond, by a thread of its own.

An event loop waits for sockets, and rounds its timers up to whole milliseconds. A thread does not.
"""

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

from otlp_capture.clock import SYSTEM_CLOCK, Clock

Precision: TypeAlias = Literal["normal", "high"]

_SPIN_NS: Final[dict[Precision, int]] = {"normal": 0, "high": 200_000}


class AlarmClock:
    """The machine's clock; its sleepers are woken by a thread. A `Clock`, for one event loop.

    Args:
        loop: the event loop of those that sleep.
        spin_ns: how long before a deadline a sleeper wakes, and looks at the clock until it has
            come, in nanoseconds. Nothing else runs meanwhile.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, spin_ns: int) -> None:
        self._loop, self._spin_ns = loop, spin_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._next_ns: int | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._watch, name="otlp-replay-alarm", daemon=True)

    def time_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds on the monotonic clock."""
        return time.monotonic_ns()

    async def sleep_until(self, deadline_ns: int) -> None:
        """Wait until `monotonic_ns` has reached *deadline_ns*; at once where it has."""
        wake_ns = deadline_ns - self._spin_ns
        if wake_ns <= time.monotonic_ns():
            await asyncio.sleep(0)
        else:
            await self._wait_until(wake_ns)
        while time.monotonic_ns() < deadline_ns:
            pass

    async def _wait_until(self, wake_ns: int) -> None:
        sleeper = (wake_ns, next(self._numbers), self._loop.create_future())
        heapq.heappush(self._sleepers, sleeper)
        self._set()
        try:
            await sleeper[-1]
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)
                self._set()

    def start(self) -> None:
        """Begin to watch the clock."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; nobody sleeps any more. It takes less than a millisecond."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _set(self) -> None:
        """Tell the thread of the earliest deadline, where it is another one."""
        earliest_ns = self._sleepers[0][0] if self._sleepers else None
        if earliest_ns == self._next_ns:
            return
        with self._changed:
            self._next_ns = earliest_ns
            self._changed.notify()

    def _ring(self) -> None:
        """Wake those whose time has come."""
        now_ns = time.monotonic_ns()
        while self._sleepers and self._sleepers[0][0] <= now_ns:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        self._set()

    def _watch(self) -> None:
        with self._changed:
            while not self._is_closed:
                next_ns = self._next_ns
                left_ns = None if next_ns is None else next_ns - time.monotonic_ns()
                if left_ns is None or left_ns > 0:
                    self._changed.wait(None if left_ns is None else _wait_s(left_ns))
                else:
                    self._next_ns = None
                    self._loop.call_soon_threadsafe(self._ring)


def _wait_s(left_ns: int) -> float:
    """Return how long to wait at once: a thread can wait for no more than some hundred years."""
    return min(left_ns / 1e9, threading.TIMEOUT_MAX)


@contextmanager
def precise(clock: Clock, precision: Precision) -> Generator[Clock]:
    """Yield a clock that wakes precisely; its thread ends with the block.

    Args:
        clock: the time. One that is not the machine's, such as a test's, wakes as it is used to.
        precision: `high` spends processor time for the last 200 microseconds.
    """
    if clock is not SYSTEM_CLOCK:
        yield clock
        return
    alarm = AlarmClock(asyncio.get_running_loop(), _SPIN_NS[precision])
    alarm.start()
    try:
        yield alarm
    finally:
        alarm.close()
