"""Stored requests go on to real servers, over HTTP and gRPC, whatever these do."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import grpc
import pytest
from aiohttp import web

from otlp_capture import otlp
from otlp_capture.forward import (
    FORWARDED_HEADER,
    Destination,
    Forwarding,
    ForwardSettings,
    KeptRequest,
    TargetBusy,
    TargetRefused,
    open_forwarding,
    parse_destination,
)
from otlp_capture.otlp import SIGNALS, PartialSuccess
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sending import RetryPolicy
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import REQUESTS
from tests.forwards import assert_accounted, counted
from tests.servers.grpc_target import Response, open_grpc_target, partly_taken
from tests.servers.processes import free_port
from tests.servers.self_signed import self_signed
from tests.servers.target import HangUp, Reply, always, at_first, open_target, partly, refusal

pytestmark = pytest.mark.anyio

SOON = RetryPolicy(
    max_attempts=1_000, max_elapsed_s=600, initial_backoff_s=0.001, max_backoff_s=0.01
)
CAPTURE = ForwardSettings(retry=SOON, shutdown_timeout_s=HANGS_AFTER_S)
TARGET = attrs.evolve(CAPTURE, answer="target")


def destination(url: str, **settings: Any) -> Destination:
    return or_raise(parse_destination(url, request_timeout_s=HANGS_AFTER_S, **settings))


@asynccontextmanager
async def forwarding_to(
    *destinations: Destination, settings: ForwardSettings
) -> AsyncIterator[Forwarding]:
    with anyio.fail_after(2 * HANGS_AFTER_S):
        async with open_forwarding(destinations, settings) as opened:
            forwarding = or_raise(opened)
            yield forwarding
    for status in forwarding.statuses:
        assert_accounted(status)


def kept(**changes: Any) -> KeptRequest:
    request = KeptRequest(
        signal="logs", record_count=1, stored=REQUESTS["logs"], came=REQUESTS["logs"]
    )
    return attrs.evolve(request, **changes)


def all_signals() -> list[KeptRequest]:
    return [
        kept(signal=signal, stored=REQUESTS[signal], came=REQUESTS[signal]) for signal in SIGNALS
    ]


class TestCaptureAnswers:
    async def test_all_that_is_stored_arrives_over_both_protocols(self) -> None:
        async with open_target() as over_http, open_grpc_target() as over_grpc:
            http = destination(f"{over_http.url}/in", headers=[("api-key", "ours")])
            async with forwarding_to(
                http, destination(over_grpc.url), settings=CAPTURE
            ) as forwarding:
                for request in all_signals():
                    assert await forwarding.pass_on(request) == Success(None)

        assert [status.requests for status in forwarding.statuses] == [counted(delivered=3)] * 2
        assert {(each.path, each.body) for each in over_http.received} == {
            (f"/in/v1/{signal}", REQUESTS[signal]) for signal in SIGNALS
        }
        assert {(each.signal, each.body) for each in over_grpc.received} == set(REQUESTS.items())
        assert {each.headers["api-key"] for each in over_http.received} == {"ours"}
        marks = {each.headers[FORWARDED_HEADER] for each in over_http.received}
        assert marks == {forwarding.name}
        assert {each.metadata[FORWARDED_HEADER] for each in over_grpc.received} == marks

    async def test_a_busy_destination_gets_it_when_it_is_ready(self) -> None:
        script = at_first(refusal(503), refusal(429), HangUp())
        busy = [Response(status="UNAVAILABLE"), Response(status="RESOURCE_EXHAUSTED")]
        busy[1] = attrs.evolve(busy[1], retry_after_s=0.001)
        async with (
            open_target(script) as over_http,
            open_grpc_target(
                lambda called: busy[called.number] if called.number < 2 else Response()
            ) as over_grpc,
            forwarding_to(
                destination(over_http.url), destination(over_grpc.url), settings=CAPTURE
            ) as forwarding,
        ):
            await forwarding.pass_on(kept())

        assert [status.requests for status in forwarding.statuses] == [counted(delivered=1)] * 2
        assert [status.retries for status in forwarding.statuses] == [3, 2]

    @pytest.mark.parametrize("protocol", ["http", "grpc"])
    async def test_one_that_is_killed_and_comes_back_gets_all_of_it(self, protocol: str) -> None:
        opened: Any = open_target if protocol == "http" else open_grpc_target
        async with (
            opened() as target,
            forwarding_to(destination(target.url), settings=CAPTURE) as forwarding,
        ):
            await forwarding.pass_on(kept())
            await target.has_received(1)
            await target.kill()
            for request in all_signals():
                await forwarding.pass_on(request)
            await target.start()

        assert forwarding.statuses[0].requests == counted(delivered=4)
        assert set(target.bodies) == set(REQUESTS.values())

    async def test_one_that_is_down_is_given_up_at_the_end(self) -> None:
        settings = attrs.evolve(CAPTURE, shutdown_timeout_s=0.05)
        async with open_grpc_target(lambda _: Response(after=asyncio.Event())) as silent:
            nowhere = destination(f"http://127.0.0.1:{free_port()}")
            async with forwarding_to(
                nowhere, destination(silent.url), settings=settings
            ) as forwarding:
                await forwarding.pass_on(kept())
                await silent.has_received(1)

        assert [status.requests for status in forwarding.statuses] == [
            counted(queued=1),
            counted(unknown=1),
        ]

    async def test_json_becomes_protobuf_where_the_destination_has_no_json(self) -> None:
        text = or_raise(otlp.encode(REQUESTS["logs"], "logs", "json"))
        settings = attrs.evolve(CAPTURE, is_raw=True)
        async with (
            open_target() as over_http,
            open_grpc_target() as over_grpc,
            forwarding_to(
                destination(over_http.url), destination(over_grpc.url), settings=settings
            ) as forwarding,
        ):
            await forwarding.pass_on(kept(came=text, encoding="json"))

        (received,) = over_http.received
        assert (received.headers["content-type"], received.body) == ("application/json", text)
        assert over_grpc.bodies == [REQUESTS["logs"]]

    async def test_what_comes_after_the_end_is_left_out_and_counted(self) -> None:
        async with open_target() as target:
            async with forwarding_to(destination(target.url), settings=CAPTURE) as forwarding:
                pass
            await forwarding.pass_on(kept())

        assert forwarding.statuses[0].requests == counted(dropped=1)


class TestTargetAnswers:
    @pytest.mark.parametrize(
        ("reply", "verdict"),
        [
            (Reply(), Success(None)),
            (partly("logs", 1), Success(PartialSuccess(1, "too old"))),
            (refusal(400, "no logs"), Failure(TargetRefused("400", "no logs"))),
            (refusal(429, "busy", Retry_After="7"), Failure(TargetBusy("429", "busy", 7.0))),
        ],
    )
    async def test_the_answer_comes_from_http(self, reply: Reply, verdict: object) -> None:
        async with (
            open_target(always(reply)) as target,
            forwarding_to(destination(target.url), settings=TARGET) as forwarding,
        ):
            assert await forwarding.pass_on(kept()) == verdict

    @pytest.mark.parametrize(
        ("response", "verdict"),
        [
            (Response(), Success(None)),
            (partly_taken("logs", 1), Success(PartialSuccess(1, "too old"))),
            (
                Response(status="INVALID_ARGUMENT", message="no logs"),
                Failure(TargetRefused("INVALID_ARGUMENT", "no logs")),
            ),
            (
                Response(status="UNAVAILABLE", message="busy", retry_after_s=7),
                Failure(TargetBusy("UNAVAILABLE", "busy", 7.0)),
            ),
        ],
    )
    async def test_the_answer_comes_from_grpc(self, response: Response, verdict: object) -> None:
        async with (
            open_grpc_target(lambda _: response) as target,
            forwarding_to(destination(target.url), settings=TARGET) as forwarding,
        ):
            assert await forwarding.pass_on(kept()) == verdict

    async def test_one_that_dies_before_it_answers_gets_it_when_it_is_back(self) -> None:
        async with (
            open_target(at_first(HangUp())) as target,
            forwarding_to(destination(target.url), settings=TARGET) as forwarding,
        ):
            assert await forwarding.pass_on(kept()) == Success(None)

        assert forwarding.statuses[0].requests == counted(delivered=1)
        assert target.bodies == [REQUESTS["logs"]] * 2


class TestTls:
    @asynccontextmanager
    async def https_target(self, folder: Path) -> AsyncIterator[str]:
        signed = self_signed(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed.certificate, signed.key)

        async def take(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response()

        runner = web.ServerRunner(web.Server(take))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://localhost:{runner.addresses[0][1]}"
        await runner.cleanup()

    @asynccontextmanager
    async def grpcs_target(self, folder: Path) -> AsyncIterator[str]:
        signed = self_signed(folder)
        credentials = grpc.ssl_server_credentials(
            [(signed.key.read_bytes(), signed.certificate.read_bytes())]
        )
        async with open_grpc_target(credentials=credentials) as target:
            yield f"grpcs://localhost:{target.port}"

    @pytest.mark.parametrize("is_trusted", [True, False])
    @pytest.mark.parametrize("kind", ["https", "grpcs"])
    async def test_a_destination_is_believed_by_its_certificate_alone(
        self, tmp_path: Path, kind: str, *, is_trusted: bool
    ) -> None:
        opened = self.https_target if kind == "https" else self.grpcs_target
        settings = attrs.evolve(CAPTURE, retry=RetryPolicy(max_attempts=1))
        async with opened(tmp_path) as url:
            trusted = tmp_path / "server.pem" if is_trusted else None
            async with forwarding_to(
                destination(url, ca_file=trusted), settings=settings
            ) as forwarding:
                await forwarding.pass_on(kept())

        expected = counted(delivered=1) if is_trusted else counted(failed=1)
        assert forwarding.statuses[0].requests == expected


class TestOpening:
    @pytest.mark.parametrize(
        ("urls", "settings", "field"),
        [
            ([], ForwardSettings(), "destinations"),
            (["http://a"], ForwardSettings(concurrency=0), "concurrency"),
        ],
    )
    async def test_what_cannot_be_is_named(
        self, urls: list[str], settings: ForwardSettings, field: str
    ) -> None:
        async with open_forwarding([destination(url) for url in urls], settings) as opened:
            assert isinstance(opened, Failure)
            assert opened.failure().field == field
