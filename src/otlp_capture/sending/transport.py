"""What sends a request once, whatever the wire."""

from collections.abc import Callable
from typing import Protocol

from otlp_capture.sending.answers import Answer
from otlp_capture.sending.parcel import Parcel


class Transport(Protocol):
    """Sends requests to one target, each once."""

    @property
    def target(self) -> str:
        """Where the requests go, for people."""
        ...

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        """Send a request once, and return what came back.

        It is bounded in time. Cancelling it leaves no connection behind.

        Args:
            parcel: the request.
            depart: called when the first byte is handed to the connection; after that the request
                may have arrived.
        """
        ...
