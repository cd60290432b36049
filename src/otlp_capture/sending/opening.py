"""What sends to an endpoint, by the protocol that is spoken there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from otlp_capture.clock import Clock
from otlp_capture.sending.endpoint import Endpoint, SendingProtocol
from otlp_capture.sending.grpc import open_grpc_transport
from otlp_capture.sending.http import open_http_transport
from otlp_capture.sending.transport import Transport


@asynccontextmanager
async def open_transport(
    endpoint: Endpoint, clock: Clock, protocol: SendingProtocol
) -> AsyncGenerator[Transport]:
    """Open what sends to an endpoint, and close it when the block ends.

    Args:
        endpoint: where it sends to, and how.
        clock: what dates what a target says of time.
        protocol: what is spoken there. How a request is written is the parcel's.
    """
    if protocol == "grpc":
        async with open_grpc_transport(endpoint) as transport:
            yield transport
        return
    async with open_http_transport(endpoint, clock) as transport:
        yield transport
