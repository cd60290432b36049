"""Both ways to send, in one vocabulary: what a target does, and what opens it."""

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import attrs

from otlp_capture import otlp
from otlp_capture.clock import Clock
from otlp_capture.otlp import PartialSuccess
from otlp_capture.sending import Endpoint, SendingProtocol, Transport, open_transport
from tests.clocks import HANGS_AFTER_S, VirtualClock
from tests.servers import raw_grpc_target as raw
from tests.servers import target as plain

Action = Any
Script = Callable[[Any], Action]
"""What to do with what came: its `number`, `attempt`, `connection` and `body` are known."""


@attrs.frozen(kw_only=True)
class Side:
    """A protocol, and what a target can do in it.

    Attributes:
        protocol: what is spoken.
        target: opens one, by its script.
        taken: the status of what was taken.
        busy_status: the status of a target that has no time.
        taking: take a request.
        silence: never answer.
        reset: cut the connection.
        partly: take all but so many logs.
        busy: have no time now; with so many seconds to wait.
        refusing: refuse it for good.
    """

    protocol: SendingProtocol
    target: Callable[[Script], AbstractAsyncContextManager[Any]]
    taken: str
    busy_status: str
    taking: Action
    silence: Action
    reset: Action
    partly: Callable[[int], Action]
    busy: Callable[[int | None], Action]
    refusing: Action

    def __str__(self) -> str:
        return self.protocol


def _part(rejected: int) -> bytes:
    return otlp.encode_response("logs", "protobuf", PartialSuccess(rejected, "too old"))


def _busy_http(wait_s: int | None) -> Action:
    return (
        plain.refusal(503, "busy")
        if wait_s is None
        else plain.refusal(503, "busy", Retry_After=str(wait_s))
    )


def _busy_grpc(wait_s: int | None) -> Action:
    said = [("grpc-status", "14"), ("grpc-message", "busy")]
    if wait_s is not None:
        details = base64.b64encode(otlp.encode_retry_status(14, "busy", wait_s)).decode()
        said.append(("grpc-status-details-bin", details))
    return raw.refusing(*said)


HTTP: Final = Side(
    protocol="http/protobuf",
    target=plain.open_target,
    taken="200",
    busy_status="503",
    taking=plain.OK,
    silence=plain.Silence(),
    reset=plain.HangUp(),
    partly=lambda rejected: plain.Reply(body=_part(rejected)),
    busy=_busy_http,
    refusing=plain.refusal(400, "no"),
)
GRPC: Final = Side(
    protocol="grpc",
    target=raw.open_raw_grpc_target,
    taken="OK",
    busy_status="UNAVAILABLE",
    taking=raw.taking(),
    silence=raw.Mute(),
    reset=raw.Reset(),
    partly=lambda rejected: raw.taking(_part(rejected)),
    busy=_busy_grpc,
    refusing=raw.refusing(("grpc-status", "3"), ("grpc-message", "no")),
)
SIDES: Final = (HTTP, GRPC)


@asynccontextmanager
async def sending(side: Side, url: str, clock: Clock | None = None, **settings: Any) -> Any:
    """Open a transport to a target; an attempt takes as long as it wants."""
    endpoint = Endpoint(url=url, **{"request_timeout_s": HANGS_AFTER_S, **settings})
    async with open_transport(endpoint, clock or VirtualClock(), side.protocol) as transport:
        opened: Transport = transport
        yield opened
