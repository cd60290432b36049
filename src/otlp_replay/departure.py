"""A transport that notes when a request begins to leave."""

from collections.abc import Callable

from otlp_capture.clock import Clock
from otlp_capture.sending import Answer, Parcel, Transport


class Departure:
    """The way of one request. A `Transport`.

    Args:
        transport: what sends it.
        clock: what tells when.

    Attributes:
        at_ns: when its first attempt began to leave, on the monotonic clock; None: it has not.
    """

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self.at_ns: int | None = None
        self._transport, self._clock = transport, clock

    @property
    def target(self) -> str:
        """Where the request goes, for people."""
        return self._transport.target

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        """Send it once; see `Transport`."""
        if self.at_ns is not None:
            return await self._transport.attempt(parcel, depart)

        def leave() -> None:
            if self.at_ns is None:
                self.at_ns = self._clock.monotonic_ns()
            depart()

        return await self._transport.attempt(parcel, leave)
