"""What sends a request once, whatever the wire."""

from collections.abc import Callable
from typing import Protocol

from otlp_capture.otlp import Encoding, Signal
from otlp_replay.transport.answers import Answer


class Transport(Protocol):
    """Sends requests to one target, each once."""

    @property
    def target(self) -> str:
        """Where the requests go, for people."""
        ...

    @property
    def encoding(self) -> Encoding:
        """How the bodies are to be written."""
        ...

    async def attempt(self, signal: Signal, body: bytes, depart: Callable[[], None]) -> Answer:
        """Send *body* once, and return what came back.

        It is bounded in time. Cancelling it leaves no connection behind.

        Args:
            signal: which endpoint takes it.
            body: the request, in this transport's encoding.
            depart: called when the first byte is handed to the connection; after that the request
                may have arrived.
        """
        ...
