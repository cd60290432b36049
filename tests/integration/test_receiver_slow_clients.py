"""Clients that are slow, many, or mean: each is told and left, and no other one waits for it."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from otlp_capture.receiver import HttpReceiverSettings
from tests.clocks import HANGS_AFTER_S, settled, skip
from tests.export_requests import (
    DEADLINE_EXCEEDED,
    INVALID_ARGUMENT,
    JSON,
    PROTOBUF,
    REQUESTS,
    RESOURCE_EXHAUSTED,
    TRACES,
    UNAVAILABLE,
    logs,
    told,
)
from tests.raw_http import RawConnection, ask, head, post, raw_connection
from tests.receiving import Receiving, receiving, until

pytestmark = pytest.mark.anyio

HALF_A_HEAD = head("POST", "/v1/traces", [f"Content-Type: {PROTOBUF}"])[:-2]
LONG = head("POST", "/v1/logs", [f"Content-Type: {PROTOBUF}", "Content-Length: 100000"])


def limited(**limits: float) -> HttpReceiverSettings:
    return HttpReceiverSettings(port=0, **limits)  # type: ignore[arg-type]  # whole numbers, too


async def arrived(port: int) -> None:
    """Return when all that was sent before has been read: who comes last is read last."""
    assert (await ask(port, TRACES)).status == 200


class TestSlowHeads:
    @pytest.mark.parametrize("begun", [b"", b"P", HALF_A_HEAD])
    async def test_a_head_that_does_not_end_is_given_up(self, begun: bytes) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(begun)
            await arrived(opened.port)
            skip(10.0)
            answer = await connection.answer()

            assert told(answer) == (408, DEADLINE_EXCEEDED)
            assert answer.headers["connection"] == "close"
            assert await connection.is_closed()
            assert opened.counts == ({"traces": 1}, {"HeaderTooSlow": 1})

    async def test_bytes_that_drip_do_not_earn_more_time(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            for byte in HALF_A_HEAD[:3]:
                await connection.write(bytes([byte]))
                await arrived(opened.port)
                skip(3.0)
            await arrived(opened.port)
            skip(1.0)

            assert told(await connection.answer()) == (408, DEADLINE_EXCEEDED)
            assert await connection.is_closed()

    async def test_a_head_that_comes_in_time_is_answered(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(TRACES[:20])
            await arrived(opened.port)
            skip(5.0)
            await connection.write(TRACES[20:])

            assert (await connection.answer()).status == 200

    async def test_a_second_head_has_its_own_time(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            for _ in range(2):
                await connection.write(TRACES)
                assert (await connection.answer()).status == 200
                skip(100.0)
            await connection.write(HALF_A_HEAD)
            await arrived(opened.port)
            skip(10.0)

            assert told(await connection.answer()) == (408, DEADLINE_EXCEEDED)
            assert await connection.is_closed()

    async def test_a_head_behind_a_request_ends_with_the_idle_time(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(TRACES + HALF_A_HEAD)
            assert (await connection.answer()).status == 200
            await arrived(opened.port)
            skip(120.0)

            assert await connection.is_closed()

    async def test_a_connection_without_requests_is_closed(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(TRACES)
            assert (await connection.answer()).status == 200
            await settled()
            skip(100.0)
            await connection.write(TRACES)
            assert (await connection.answer()).status == 200
            await settled()
            skip(120.0)

            assert await connection.is_closed()
            assert opened.counts == ({"traces": 2}, {})


class TestSlowBodies:
    async def test_a_body_below_the_rate_is_given_up(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(LONG + bytes(1_000))
            await arrived(opened.port)
            skip(12.0)

            answer = await connection.answer()
            assert told(answer) == (408, DEADLINE_EXCEEDED)
            assert answer.headers["connection"] == "close"
            assert opened.counts == ({"traces": 1}, {"BodyTooSlow": 1})

    @pytest.mark.parametrize("start", [LONG, LONG.replace(b"Content-Length: 100000", b"Expect: x")])
    async def test_a_body_that_never_begins_has_the_grace(self, start: bytes) -> None:
        start = start.replace(b"Expect: x", b"Transfer-Encoding: chunked")
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(start)
            await arrived(opened.port)
            skip(10.0)

            assert told(await connection.answer()) == (408, DEADLINE_EXCEEDED)

    async def test_a_body_above_the_rate_may_take_its_time(self) -> None:
        body = logs("x" * 20_000)
        request = post("/v1/logs", body, PROTOBUF)
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(request[:10_000])
            await arrived(opened.port)
            skip(25.0)
            await connection.write(request[10_000:])

            assert (await connection.answer()).status == 200
            assert await opened.kept() == Counter(
                {("traces", REQUESTS["traces"]): 1, ("logs", body): 1}
            )

    async def test_what_came_does_not_earn_time_past_the_last_moment(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(LONG + bytes(90_000))
            await arrived(opened.port)
            skip(60.0)

            assert told(await connection.answer()) == (408, DEADLINE_EXCEEDED)

    async def test_without_a_rate_there_is_the_last_moment_alone(self) -> None:
        settings = limited(min_body_rate_bytes_per_s=0)
        async with (
            receiving(settings=settings) as opened,
            raw_connection(opened.port) as connection,
        ):
            await connection.write(LONG)
            await arrived(opened.port)
            skip(50.0)
            await arrived(opened.port)
            assert opened.counts == ({"traces": 2}, {})
            skip(10.0)

            assert told(await connection.answer()) == (408, DEADLINE_EXCEEDED)


class TestUnreadAnswers:
    async def test_who_does_not_read_is_left(self, caplog: pytest.LogCaptureFixture) -> None:
        async with (
            receiving() as opened,
            raw_connection(opened.port) as mean,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(flooding, mean, GETS)
            await stalled(opened)
            skip(10.0)
            await until(lambda: "AnswersUnread" in caplog.text)

            assert (await ask(opened.port, TRACES)).status == 200

    async def test_who_reads_late_is_not(self, caplog: pytest.LogCaptureFixture) -> None:
        loop, answers = asyncio.get_running_loop(), b""
        with socket.socket() as late:
            late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            late.settimeout(0)
            async with receiving() as opened, anyio.create_task_group() as tasks:
                await loop.sock_connect(late, ("127.0.0.1", opened.port))
                tasks.start_soon(loop.sock_sendall, late, GETS * 200 + TRACES)
                await stalled(opened)
                assert opened.receiver.refused.total() < 20_000
                with anyio.fail_after(HANGS_AFTER_S):
                    while b" 200 OK" not in answers:
                        answers = answers[-100:] + await loop.sock_recv(late, 1 << 20)
                skip(10.0)
                await arrived(opened.port)

        assert caplog.messages == []
        assert opened.receiver.refused == Counter(UnknownPath=20_000)


GETS = head("GET", "/" + "x" * 100) * 100


async def stalled(opened: Receiving) -> None:
    """Return when the receiver answers others, and no longer who does not read."""
    seen = -1
    while opened.receiver.refused.total() != seen:
        seen = opened.receiver.refused.total()
        for _ in range(3):
            await arrived(opened.port)


async def flooding(connection: RawConnection, flood: bytes) -> None:
    """Send on, until nobody is there any more."""
    try:
        while True:
            await connection.write(flood)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


class TestManyConnections:
    async def test_stalled_ones_do_not_delay_the_others(self) -> None:
        stalled = [b"", b"P", HALF_A_HEAD, LONG, LONG + b"\x0a"] * 40
        async with receiving() as opened, AsyncExitStack() as connections:
            for begun in stalled:
                connection = await connections.enter_async_context(raw_connection(opened.port))
                await connection.write(begun)
            async with raw_connection(opened.port) as good:
                for _ in range(20):
                    await good.write(TRACES)
                    assert (await good.answer()).status == 200

            # No time has passed for the stalled ones: not one of them had to be given up first.
            assert opened.counts == ({"traces": 20}, {})

    async def test_one_too_many_is_told_to_come_again(self) -> None:
        async with receiving(settings=limited(max_connections=2)) as opened:
            async with raw_connection(opened.port) as first, raw_connection(opened.port):
                await first.write(TRACES)
                assert (await first.answer()).status == 200
                async with raw_connection(opened.port) as third:
                    answer = await third.answer()
                    assert told(answer) == (503, UNAVAILABLE)
                    assert answer.headers["retry-after"] == "1"
                    assert answer.headers["connection"] == "close"
                    assert await third.is_closed()
                await first.write(TRACES)
                assert (await first.answer()).status == 200
            assert opened.counts == ({"traces": 2}, {"TooManyConnections": 1})

    async def test_one_too_many_that_sends_at_once_reads_its_answer(self) -> None:
        async with full() as opened, raw_connection(opened.port) as connection:
            await connection.write(post("/v1/logs", logs("x" * 50_000), PROTOBUF))

            assert told(await connection.answer()) == (503, UNAVAILABLE)

    async def test_who_does_not_leave_is_cut_off(self) -> None:
        async with full() as opened, raw_connection(opened.port) as connection:
            assert (await connection.answer()).status == 503
            await settled()
            skip(1.0)
            await flooding(connection, b"x")

    async def test_nor_does_it_hold_the_end_up(self) -> None:
        async with AsyncExitStack() as connections:
            async with full() as opened:
                connection = await connections.enter_async_context(raw_connection(opened.port))
                assert (await connection.answer()).status == 503
            await flooding(connection, b"x")

    async def test_a_crowd_is_not_even_answered(self) -> None:
        async with full() as opened, AsyncExitStack() as connections:
            crowd = [
                await connections.enter_async_context(raw_connection(opened.port))
                for _ in range(80)
            ]
            await until(lambda: opened.receiver.refused.total() == 80)
            statuses: Counter[int | None] = Counter()
            for connection in crowd:
                try:
                    statuses[(await connection.answer()).status] += 1
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    statuses[None] += 1

            assert statuses == {503: 64, None: 16}
            assert opened.counts == ({}, {"TooManyConnections": 80})

    async def test_who_leaves_makes_room(self) -> None:
        settings = limited(max_connections=1)
        async with receiving(settings=settings) as opened:
            for begun in (b"", HALF_A_HEAD, LONG, TRACES, b"garbage\r\n\r\n") * 3:
                async with raw_connection(opened.port) as connection:
                    await connection.write(begun)
                await settled_room(opened.port)

    async def test_the_log_is_not_flooded(self, caplog: pytest.LogCaptureFixture) -> None:
        async with full() as opened:
            for _ in range(30):
                assert (await ask(opened.port, TRACES)).status == 503

        assert caplog.messages == [
            "Refused: TooManyConnections 1; the last from 127.0.0.1",
            "Refused: TooManyConnections 29; the last from 127.0.0.1",
        ]


@asynccontextmanager
async def full() -> AsyncGenerator[Receiving]:
    """Receive on one connection at once, which is there."""
    async with (
        receiving(settings=limited(max_connections=1)) as opened,
        raw_connection(opened.port),
    ):
        yield opened


async def settled_room(port: int) -> None:
    """Wait until there is room for a connection."""
    answer = await ask(port, TRACES)
    while answer.status == 503:
        answer = await ask(port, TRACES)
    assert answer.status == 200


class TestLargeHeads:
    @pytest.mark.parametrize(
        "large",
        [
            head("POST", "/v1/traces", ["X-Large: " + "x" * 20_000]),
            head("POST", "/v1/traces", ["X-" + "x" * 20_000 + ": large"]),
            head("POST", "/v1/traces", [f"X-{number}: x" for number in range(500)]),
            head("POST", "/" + "x" * 20_000),
        ],
    )
    async def test_it_is_told_and_the_connection_ends(self, large: bytes) -> None:
        async with receiving() as opened:
            async with raw_connection(opened.port) as connection:
                await connection.write(large)

                assert told(await connection.answer()) == (431, RESOURCE_EXHAUSTED)
                assert await connection.is_closed()
            assert opened.counts == ({}, {"HeadersTooLarge": 1})

    async def test_a_head_without_end_is_not_collected(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(b"POST /v1/traces HTTP/1.1\r\nX-Large: ")
            await flooding(connection, bytes(1_000_000).replace(b"\0", b"x"))
            await until(opened.receiver.refused.total)

            assert opened.counts == ({}, {"HeadersTooLarge": 1})

    async def test_how_large_is_settable(self) -> None:
        settings = limited(max_header_bytes=100, max_headers=4)
        async with receiving(settings=settings) as opened:
            long = post("/v1/logs", b"{}", JSON, "X-Long: " + "x" * 101)
            many = post("/v1/logs", b"{}", JSON, "A: 1", "B: 2")

            assert told(await ask(opened.port, long)) == (431, RESOURCE_EXHAUSTED)
            assert told(await ask(opened.port, many)) == (431, RESOURCE_EXHAUSTED)
            assert (await ask(opened.port, post("/v1/logs", b"{}", JSON, "A: 1"))).status == 200


class TestSmuggling:
    """What two readers may take for different requests is one request or none."""

    @pytest.mark.parametrize(
        "headers",
        [
            ["Content-Length: 5", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding: chunked", "Content-Length: 5"],
            ["Content-Length: 0", "Content-Length: 40"],
            ["Content-Length: 0, 40"],
            ["Content-Length: +0"],
            ["Content-Length: 0x0"],
            ["Content-Length: 0_0"],
            ["Content-Length: -0"],
            ["Transfer-Encoding: chunked, identity"],
            ["Transfer-Encoding: identity"],
            ["Transfer-Encoding: xchunked"],
            ["Transfer-Encoding: chunked, chunked"],
            ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding : chunked"],
            ["Transfer-Encoding\t: chunked"],
            ["Transfer-Encoding:\x0bchunked"],
            [" Transfer-Encoding: chunked"],
            ["X: y\rTransfer-Encoding: chunked"],
            ["X: y\nTransfer-Encoding: chunked\x00"],
        ],
    )
    async def test_a_body_of_two_lengths_is_refused(self, headers: list[str]) -> None:
        start = head("POST", "/v1/logs", [f"Content-Type: {PROTOBUF}", *headers])
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(start + b"0\r\n\r\n" + TRACES)

            assert told(await connection.answer()) == (400, INVALID_ARGUMENT)
            assert await connection.is_closed()
            assert opened.counts == ({}, {"MalformedHttp": 1})

    @pytest.mark.parametrize(
        "size", [b"0x0", b"-0", b"+0", b"0_0", b" 0", b"g", b"", b"10000000000000000000"]
    )
    async def test_a_chunk_of_no_clear_size_ends_the_connection(self, size: bytes) -> None:
        start = head(
            "POST", "/v1/logs", [f"Content-Type: {PROTOBUF}", *["Transfer-Encoding: chunked"]]
        )
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(start + size + b"\r\n\r\n" + TRACES)

            assert told(await connection.answer()) == (400, INVALID_ARGUMENT)
            assert await connection.is_closed()
            assert opened.receiver.accepted == Counter()

    async def test_a_refused_body_is_no_request(self) -> None:
        inner = TRACES + TRACES
        outer = [f"Content-Length: {len(inner)}", "Content-Type: text/plain"]
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(head("POST", "/v1/logs", outer) + inner + TRACES)
            answer = await connection.answer()

            assert told(answer) == (415, INVALID_ARGUMENT)
            assert opened.receiver.accepted in (Counter(), Counter(traces=1))
            assert opened.receiver.refused == Counter(UnsupportedContentType=1)


class TestPipelining:
    async def test_a_flood_is_read_no_faster_than_it_is_answered(self) -> None:
        async with (
            receiving() as opened,
            raw_connection(opened.port) as mean,
            anyio.create_task_group() as tasks,
        ):
            opened.store.hold()
            tasks.start_soon(flooding, mean, TRACES * 1_000)
            await opened.store.waiting.wait()
            for _ in range(20):
                assert told(await ask(opened.port, head("GET", "/v1/logs")))[0] == 405

            # One is being stored, and no other of that connection was begun.
            assert opened.counts == ({}, {"MethodNotAllowed": 20})
            tasks.cancel_scope.cancel()


class TestLingering:
    async def test_the_rest_of_a_refused_body_is_no_head(self) -> None:
        settings = limited(lingering_s=60.0, header_timeout_s=10.0)
        start = head("POST", "/v1/logs", ["Content-Type: text/plain", "Content-Length: 100000"])
        async with (
            receiving(settings=settings) as opened,
            raw_connection(opened.port) as connection,
        ):
            await connection.write(start)
            assert told(await connection.answer()) == (415, INVALID_ARGUMENT)
            await connection.write(bytes(1_000))
            await arrived(opened.port)
            skip(20.0)
            await arrived(opened.port)
            assert opened.counts == ({"traces": 2}, {"UnsupportedContentType": 1})
            skip(60.0)

            assert await connection.is_closed()
