"""What is taken out of a request before it is stored is not sent on either."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest

from otlp_capture import otlp
from otlp_capture.capture import CaptureSettings
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.forward import Answering, ForwardSettings, open_forwarding, parse_destination
from otlp_capture.receiver import GrpcReceiverSettings, HttpReceiverSettings, open_receiver
from otlp_capture.result import or_raise
from tests.captures import CONFIG, held, opened_capture
from tests.export_requests import JSON, PROTOBUF
from tests.raw_http import ask, post
from tests.redactions import redactor, with_attributes
from tests.servers.target import Target, open_target
from tests.sessions import opened_memory

pytestmark = pytest.mark.anyio

SECRET = "S3CRET-canary"
REQUEST = with_attributes("logs", ("password", SECRET), ("shop", "berlin"))
TEXT = or_raise(otlp.encode(REQUEST, "logs", "json"))
BODIES = [
    post("/v1/logs", REQUEST, PROTOBUF),
    post("/v1/logs", gzip.compress(REQUEST), PROTOBUF, "Content-Encoding: gzip"),
    post("/v1/logs", TEXT, JSON),
]


@asynccontextmanager
async def redacting(settings: ForwardSettings) -> AsyncIterator[tuple[Target, list[bytes]]]:
    """Send each of the bodies through a receiver that redacts; yield what a target got, and what
    is stored."""
    rules = redactor({"on": "attributes", "key": "password", "action": "drop"})
    capturing = CaptureSettings(linger_s=0.0, redaction=rules)
    async with (
        open_target() as target,
        opened_memory() as storage,
        opened_capture(storage, SYSTEM_CLOCK, capturing) as capture,
    ):
        or_raise(await capture.start_capture(CONFIG))
        async with (
            open_forwarding([or_raise(parse_destination(target.url))], settings) as opened,
            open_receiver(
                capture,
                "s",
                http=HttpReceiverSettings(port=0),
                grpc=GrpcReceiverSettings(port=0),
                forwarding=or_raise(opened),
            ) as receiver,
        ):
            http = or_raise(receiver).http
            assert http is not None
            for body in BODIES:
                assert (await ask(http.port, body)).status == 200
        yield target, [each.request for each in await held(storage)]


@pytest.mark.parametrize("answer", ["capture", "target"])
class TestRedactedForwarding:
    async def test_a_target_gets_what_is_stored(self, answer: Answering) -> None:
        async with redacting(ForwardSettings(answer=answer, concurrency=1)) as (target, stored):
            assert target.bodies == stored
            assert len(stored) == 3
            assert all(b"berlin" in body and SECRET.encode() not in body for body in stored)

    async def test_it_gets_what_came_where_that_is_asked_for(self, answer: Answering) -> None:
        settings = attrs.evolve(ForwardSettings(answer=answer, concurrency=1), is_raw=True)
        async with redacting(settings) as (target, stored):
            assert target.bodies == [REQUEST, REQUEST, TEXT]
            assert all(SECRET.encode() not in body for body in stored)
