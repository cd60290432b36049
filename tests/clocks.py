"""Time that a test moves by hand."""

import asyncio
from typing import Any, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

START: Final = 1_763_861_000_000_000_000
"""Where a `VirtualClock` stands at first: 2025-11-23, 01:23:20 UTC, in Unix nanoseconds."""

HANGS_AFTER_S: Final = 120.0
"""Bounds a wait for what always comes, so that a fault does not wait for ever; says nothing of
speed."""

_QUIET_ROUNDS: Final = 3


class VirtualClock:
    """A `Clock` that stands still until a test moves it.

    >>> clock = VirtualClock()
    >>> clock.time_ns() - START, clock.monotonic_ns()
    (0, 0)

    Args:
        unix_nano: the wall time it stands at.
        monotonic_ns: the monotonic time it stands at.
    """

    def __init__(self, unix_nano: int = START, *, monotonic_ns: int = 0) -> None:
        self._offset_ns = unix_nano - monotonic_ns
        self._now_ns = monotonic_ns
        self._sleepers: list[tuple[int, anyio.Event]] = []

    def time_ns(self) -> int:
        return self._now_ns + self._offset_ns

    def monotonic_ns(self) -> int:
        return self._now_ns

    async def sleep_until(self, deadline_ns: int) -> None:
        if deadline_ns <= self._now_ns:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = deadline_ns, anyio.Event()
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    @property
    def deadlines_ns(self) -> list[int]:
        """What is slept for now, the earliest first, in monotonic nanoseconds."""
        return sorted(deadline for deadline, _ in self._sleepers)

    async def has_sleepers(self, count: int = 1) -> None:
        """Wait until so many sleep at once."""
        with anyio.fail_after(HANGS_AFTER_S):
            while len(self._sleepers) < count:
                await settled()

    async def advance(self, seconds: float) -> None:
        """Let time pass: each sleeper wakes at its own deadline, and what follows runs then.

        Returns when all other tasks wait for something again.
        """
        end_ns = self._now_ns + round(seconds * 1e9)
        await settled()
        while (due := self.deadlines_ns) and due[0] <= end_ns:
            self._move_to(due[0])
            await settled()
        self._move_to(end_ns)

    def step(self, seconds: float) -> None:
        """Let time pass at once: sleepers wake when it is their turn to run."""
        self._move_to(self._now_ns + round(seconds * 1e9))

    def step_wall_time(self, seconds: float) -> None:
        """Move wall time alone, as somebody who sets the clock does."""
        self._offset_ns += round(seconds * 1e9)

    def _move_to(self, now_ns: int) -> None:
        self._now_ns = now_ns
        for deadline_ns, event in self._sleepers:
            if deadline_ns <= now_ns:
                event.set()
        self._sleepers = [each for each in self._sleepers if each[0] > now_ns]


def skip(seconds: float) -> None:
    """Let the event loop's own clock jump, so that what times out within *seconds* does so now.

    On asyncio only. A test waits for what is to come first, and then lets time run out: how fast
    the machine is does not matter.
    """
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]  # it is how to set it


async def settled() -> None:
    """Return when every other task waits for more than its turn, and no worker thread works.

    On asyncio only. Tasks that wait for a socket or a timer count as waiting.
    """
    quiet = 0
    while quiet < _QUIET_ROUNDS:
        await asyncio.sleep(0)
        quiet = 0 if _is_something_running() else quiet + 1


def _is_something_running() -> bool:
    if anyio.to_thread.current_default_thread_limiter().borrowed_tokens:
        return True
    others: list[Any] = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    waits = (task._fut_waiter for task in others)
    return any(waited is None or waited.done() for waited in waits)
