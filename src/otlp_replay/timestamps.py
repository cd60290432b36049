"""How far the timestamps of a request are moved."""

from typing import Final

from otlp_replay.config import ReplayConfig
from otlp_replay.events import Event
from otlp_replay.steering import Steering

_SOON_NS: Final = 1_000_000


class Shifts:
    """Says by how much each request is moved; what belongs to one loop relatively by one constant.

    Args:
        config: which way.
        steering: when loops begin.
        window_start_unix_nano: the arrival at which each loop begins.
        period_ns: how far loops lie apart on the line.
    """

    def __init__(
        self,
        config: ReplayConfig,
        steering: Steering,
        window_start_unix_nano: int,
        period_ns: int,
    ) -> None:
        self._mode, self._constant = config.timestamp_adjustment, config.base_time_offset
        self._steering, self._window_start = steering, window_start_unix_nano
        self._period_ns = period_ns
        self._to_wall_ns = 0
        self._kept: tuple[int, int] | None = None

    def begin(self, clock_ns: int, unix_nano: int) -> None:
        """Take note of what the wall clock shows when the monotonic clock shows *clock_ns*."""
        self._to_wall_ns = unix_nano - clock_ns

    def known_ns(self, event: Event) -> int | None:
        """Return by how much a request will be moved; None: that depends on when it is sent."""
        if self._mode == "none":
            return 0
        if self._mode == "current":
            return None
        if self._constant is not None:
            return self._constant
        return self._kept[1] if self._kept and self._kept[0] == event.loop else None

    def at_ns(self, event: Event, due_ns: int) -> int:
        """Return by how much a request is moved that is due then."""
        known_ns = self.known_ns(event)
        if known_ns is not None:
            return known_ns
        if self._mode == "current":
            return due_ns + self._to_wall_ns - event.ref.frame.received_unix_nano
        begins_ns = self._steering.laid_ns(event.loop * self._period_ns)
        if self._steering.speed == "max" and event.loop:
            begins_ns = due_ns
        return begins_ns + self._to_wall_ns - self._window_start

    def is_stale(self, shift_ns: int, other_ns: int) -> bool:
        """Whether what was moved by *shift_ns* has to be by *other_ns*.

        At full speed each request is due when it can go; it keeps what was true just before.
        """
        if self._steering.speed == "max":
            return abs(other_ns - shift_ns) > _SOON_NS
        return shift_ns != other_ns

    def keep(self, event: Event, shift_ns: int) -> None:
        """Hold on to how far the first request of a loop was moved, for all of the loop."""
        if self._mode == "relative":
            self._kept = (event.loop, shift_ns)
