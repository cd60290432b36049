"""Where a replay is on its line, and what it is told while it runs."""

import anyio

from otlp_capture.clock import Clock
from otlp_replay.pacing import Speed, Timeline


class Steering:
    """Lets requests go when it is their turn, and lets somebody change when that is.

    All changes take effect at once, also while a replay waits. A replay that is paused stands on
    its line; `step` lets single requests go, and it stands where the last of them was.

    Args:
        clock: what wakes it.
        speed: how fast the replay begins.

    Attributes:
        is_paused: whether it stands still.
        speed: how fast it is, or will be when it goes on.
    """

    def __init__(self, clock: Clock, speed: Speed) -> None:
        self.is_paused = False
        self.speed: Speed = speed
        self._clock, self._steps = clock, 0
        self._timeline: Timeline | None = None
        self._line_ns = 0
        self._told = anyio.Event()
        self._wait: anyio.CancelScope | None = None
        self._pass: anyio.CancelScope | None = None
        self._is_sought = False

    @property
    def has_begun(self) -> bool:
        """Whether its line is laid along the clock."""
        return self._timeline is not None

    @property
    def line_ns(self) -> int:
        """Where it is on the line; at full speed, where the latest request was."""
        if self._timeline is None or self.is_paused or self.speed == "max":
            return self._line_ns
        return self._timeline.line_at_ns(self._clock.monotonic_ns())

    @property
    def now_ns(self) -> int:
        """What its clock shows."""
        return self._clock.monotonic_ns()

    def begin(self, clock: Clock, line_ns: int | None = None) -> int:
        """Lay the line so that it begins at this moment of *clock*, and return that.

        Args:
            clock: the time from now on.
            line_ns: where it begins; None: at its beginning, or where it was moved to.
        """
        self._clock = clock
        self._line_ns = self._line_ns if line_ns is None else line_ns
        now_ns = clock.monotonic_ns()
        self._timeline = Timeline(self._line_ns, now_ns, self.speed)
        return now_ns

    def due_ns(self, line_ns: int, free_ns: int) -> int:
        """Return when a request would go, as things stand.

        Args:
            line_ns: its place on the line.
            free_ns: it does not go before.
        """
        if self._timeline is None or self.is_paused or self.speed == "max":
            return max(self._clock.monotonic_ns(), free_ns)
        return max(self._timeline.due_ns(line_ns), free_ns)

    def laid_ns(self, line_ns: int) -> int:
        """Return when a place on the line is due, whether or not anything is sent then."""
        return 0 if self._timeline is None else self._timeline.due_ns(line_ns)

    async def turn(self, line_ns: int, free_ns: int) -> int:
        """Wait until a request may go, and return when that was to be."""
        while True:
            if self.is_paused and not self._steps:
                await self._told.wait()
                continue
            due_ns = self.due_ns(line_ns, free_ns)
            if due_ns <= self._clock.monotonic_ns():
                break
            with anyio.CancelScope() as self._wait:
                await self._clock.sleep_until(due_ns)
            self._wait = None
        if self.is_paused:
            self._steps -= 1
        if self.is_paused or self.speed == "max":
            self._line_ns = line_ns
        return due_ns

    def pause(self) -> None:
        """Stand still."""
        if self.is_paused:
            return
        self._line_ns, self.is_paused, self._steps = self.line_ns, True, 0
        self._tell()

    def resume(self) -> None:
        """Go on from where it stands."""
        if not self.is_paused:
            return
        self.is_paused = False
        self._anchor(self._line_ns)

    def step(self, requests: int) -> None:
        """Let so many requests go, of a replay that stands."""
        self._steps += requests
        self._tell()

    def set_speed(self, speed: Speed) -> None:
        """Be as fast as that from now on."""
        line_ns, self.speed = self.line_ns, speed
        self._anchor(line_ns)

    def stretch(self, delay_ns: int) -> None:
        """Let all that follows be due so much later."""
        if self._timeline is not None:
            self._timeline = self._timeline.later_by(delay_ns)

    def seek(self, line_ns: int) -> None:
        """Go on elsewhere on the line; what goes through requests now is ended."""
        self._is_sought = True
        self._anchor(line_ns)
        if self._pass is not None:
            self._pass.cancel()

    def passing(self) -> anyio.CancelScope:
        """Return a scope for what goes through requests; a seek ends it."""
        self._is_sought = False
        self._pass = anyio.CancelScope()
        return self._pass

    def was_sought(self) -> bool:
        """Whether there was a seek since `passing`: it goes on elsewhere."""
        return self._is_sought

    def _anchor(self, line_ns: int) -> None:
        self._line_ns = line_ns
        if self._timeline is not None:
            self._timeline = Timeline(line_ns, self._clock.monotonic_ns(), self.speed)
        self._tell()

    def _tell(self) -> None:
        if self._wait is not None:
            self._wait.cancel()
        self._told.set()
        self._told = anyio.Event()
