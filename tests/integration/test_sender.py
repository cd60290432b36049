"""What OTLP asks of a client, line by line, over HTTP and gRPC. docs/otlp.md names each test."""

import gzip
from collections.abc import Sequence
from typing import Any

import anyio
import attrs
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.otlp import PartialSuccess, RequestTooLarge
from otlp_capture.result import or_raise
from otlp_capture.sending import (
    Accepted,
    Answer,
    Courier,
    Delivery,
    NoAnswer,
    Parcel,
    RetryPolicy,
    Transport,
    Unreadable,
    kept_back,
)
from otlp_capture.storage import S3Storage
from otlp_replay import DeliveryCounts
from tests.clocks import HANGS_AFTER_S, VirtualClock
from tests.replays import SESSION, at_once, numbered, opened_service, over, replayed
from tests.senders import HTTP, SIDES, Action, Side, sending
from tests.servers.grpc_target import open_grpc_target
from tests.servers.raw_grpc_target import taking
from tests.servers.target import open_target
from tests.sessions import SECOND, arriving, write_session

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("side", SIDES, ids=str)]

REQUEST = Parcel("logs", b"request", 7)
NO_BACKOFF = RetryPolicy(max_elapsed_s=600, initial_backoff_s=0)
PERSISTENT = RetryPolicy(max_attempts=100_000, max_elapsed_s=600, initial_backoff_s=0)


async def attempt(transport: Transport, parcel: Parcel = REQUEST) -> Answer:
    with anyio.fail_after(HANGS_AFTER_S):
        return await transport.attempt(parcel, lambda: None)


async def delivered(
    side: Side, actions: Sequence[Action], policy: RetryPolicy = NO_BACKOFF
) -> tuple[Delivery, int]:
    """Deliver a request to a target that does *actions*, and tell how often it came."""
    async with (
        side.target(lambda came: actions[came.attempt]) as target,
        sending(side, target.url) as transport,
    ):
        courier = Courier(transport, VirtualClock(), policy, REQUEST, lambda _: None)
        with anyio.fail_after(HANGS_AFTER_S):
            return await courier.deliver(), len(target.received)


class TestC16:
    @pytest.mark.parametrize("compression", ["identity", "gzip"])
    async def test_c16_a_request_over_the_cap_is_not_sent(
        self, side: Side, compression: str
    ) -> None:
        async with (
            side.target(lambda _: side.taking) as target,
            sending(
                side, target.url, max_request_bytes=1_000, compression=compression
            ) as transport,
        ):
            over_it = await attempt(transport, Parcel("logs", bytes(1_001), 1))
            at_it = await attempt(transport, Parcel("logs", bytes(1_000), 1))

        assert over_it == kept_back(RequestTooLarge("bytes", 1_000))
        assert at_it == Accepted(status=side.taken)
        assert len(target.received) == 1

    async def test_c16_it_is_counted(self, side: Side, memory: S3Storage) -> None:
        requests = arriving([*numbered(1, size=5_000), *numbered(1)])
        async with side.target(lambda _: side.taking) as target:
            config = at_once(target.url, protocol=side.protocol, max_request_bytes=5_000)
            status = await replayed(memory, SYSTEM_CLOCK, requests, config)

        assert status.delivery == DeliveryCounts(delivered=1, not_sent=1)
        assert status.delivery_records == DeliveryCounts(delivered=1, not_sent=1)
        assert status.not_sent_reasons == {"RequestTooLarge": 1}

    async def test_c16_nothing_is_tried_again(self, side: Side) -> None:
        async with sending(side, "http://127.0.0.1:1", max_request_bytes=3) as transport:
            courier = Courier(transport, VirtualClock(), NO_BACKOFF, REQUEST, lambda _: None)
            delivery = await courier.deliver()

        cause = RequestTooLarge("bytes", 3)
        assert delivery == Delivery(
            outcome="failed", attempts=1, reason=cause.message, is_given_up=True, obstacle=cause
        )


class TestC17:
    async def test_c17_an_answer_over_the_cap_is_not_read(self, side: Side) -> None:
        async with (
            side.target(lambda _: side.partly(3)) as target,
            sending(side, target.url, max_response_bytes=4) as transport,
        ):
            answer = await attempt(transport)

        status = side.taken if side is HTTP else ""
        assert answer == Unreadable(
            "the answer holds more than 4 bytes", is_too_long=True, status=status
        )

    async def test_c17_it_is_not_tried_again(self, side: Side) -> None:
        async with (
            side.target(lambda _: side.partly(3)) as target,
            sending(side, target.url, max_response_bytes=4) as transport,
        ):
            courier = Courier(transport, VirtualClock(), NO_BACKOFF, REQUEST, lambda _: None)
            delivery = await courier.deliver()

        assert (delivery.outcome, delivery.attempts) == ("unknown", 1)
        assert len(target.received) == 1


class TestC18:
    async def test_c18_what_is_compressed_says_so(self, side: Side) -> None:
        parcel = Parcel("logs", b"request " * 999, 1)
        if side is HTTP:
            async with (
                open_target() as target,
                sending(side, target.url, compression="gzip") as transport,
            ):
                assert await attempt(transport, parcel) == Accepted(status="200")
            said = target.received[0].headers["content-encoding"]
            body = gzip.decompress(target.received[0].body)
        else:
            # It is inflated by a server that goes by what the metadata says.
            async with (
                open_grpc_target() as grpc_target,
                sending(side, grpc_target.url, compression="gzip") as transport,
            ):
                assert await attempt(transport, parcel) == Accepted(status="OK")
            said, body = "gzip", grpc_target.received[0].body

        assert (said, body) == ("gzip", parcel.body)


class TestC19AndC20:
    async def test_c19_c20_a_target_that_is_busy_sees_the_request_again(self, side: Side) -> None:
        delivery, came = await delivered(side, [side.busy(None), side.busy(0), side.taking])

        assert delivery == Delivery(outcome="delivered", attempts=3, status=side.taken)
        assert came == 3

    async def test_c19_c20_a_refusal_for_good_is_final(self, side: Side) -> None:
        delivery, came = await delivered(side, [side.refusing])

        status = "400" if side is HTTP else "INVALID_ARGUMENT"
        assert delivery == Delivery(
            outcome="rejected",
            attempts=1,
            rejected_records=7,
            reason=f"{status}: no",
            status=status,
        )
        assert came == 1


class TestC21:
    @pytest.mark.parametrize(("rejected", "counted"), [(1, 1), (7, 7), (8, 7), (1 << 62, 7)])
    async def test_c21_a_partial_success_is_never_tried_again(
        self, side: Side, rejected: int, counted: int
    ) -> None:
        delivery, came = await delivered(side, [side.partly(rejected)])

        assert delivery == Delivery(
            outcome="rejected",
            attempts=1,
            rejected_records=counted,
            reason=f"partial success, {rejected:,} records rejected: too old",
            status=side.taken,
        )
        assert came == 1

    async def test_c21_one_that_rejects_nothing_is_a_warning(self, side: Side) -> None:
        async with (
            side.target(lambda _: side.partly(0)) as target,
            sending(side, target.url) as transport,
        ):
            answer = await attempt(transport)

        assert answer == Accepted(PartialSuccess(0, "too old"), status=side.taken)

    async def test_c21_one_that_rejects_less_than_nothing_is_no_answer(self, side: Side) -> None:
        negative = b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01"
        is_http = side is HTTP
        action = attrs.evolve(side.taking, body=negative) if is_http else taking(negative)
        delivery, came = await delivered(side, [action])

        assert (delivery.outcome, delivery.status, came) == ("unknown", side.taken, 1)
        assert "it rejects -1 records" in delivery.reason


class TestC22:
    async def test_c22_the_time_that_a_target_asks_for_is_kept(
        self, side: Side, memory: S3Storage
    ) -> None:
        clock = VirtualClock()
        await write_session(memory, SESSION, arriving(numbered(1)))

        def script(came: Any) -> Action:
            return side.taking if came.attempt else side.busy(7)

        async with side.target(script) as target, opened_service(memory, clock) as service:
            or_raise(await service.start_replay(at_once(target.url, protocol=side.protocol)))
            await clock.has_sleepers()
            deadlines_ns = clock.deadlines_ns
            await clock.advance(7)
            status = await over(service)

        assert deadlines_ns == [7 * SECOND]
        assert (status.delivery, status.retries) == (DeliveryCounts(delivered=1), 1)

    async def test_c22_a_wait_that_ends_too_late_is_not_begun(self, side: Side) -> None:
        delivery, came = await delivered(side, [side.busy(601)])

        assert delivery == Delivery(
            outcome="failed",
            attempts=1,
            reason=f"{side.busy_status}: busy",
            is_given_up=True,
            status=side.busy_status,
        )
        assert came == 1

    async def test_c22_a_lost_connection_is_tried_again(self, side: Side) -> None:
        delivery, came = await delivered(side, [side.reset, side.reset, side.taking], PERSISTENT)

        assert (delivery.outcome, delivery.status) == ("delivered", side.taken)
        assert came == 3

    async def test_c22_one_that_is_always_lost_leaves_it_unknown(self, side: Side) -> None:
        policy = RetryPolicy(max_elapsed_s=600, initial_backoff_s=0, max_attempts=3)
        delivery, came = await delivered(side, [side.reset] * 3, policy)

        assert (delivery.outcome, delivery.attempts, delivery.status) == ("unknown", 3, "")
        # gRPC fails a call at once while it connects again.
        assert came == 3 if side is HTTP else 1 <= came <= 3

    async def test_c22_the_last_answer_is_remembered(self, side: Side) -> None:
        policy = RetryPolicy(max_elapsed_s=600, initial_backoff_s=0, max_attempts=2)
        delivery, _ = await delivered(side, [side.busy(None), side.reset], policy)

        assert (delivery.outcome, delivery.status) == ("unknown", side.busy_status)


class TestC23:
    async def test_c23_one_connection_is_used_again_and_again(self, side: Side) -> None:
        async with (
            side.target(lambda _: side.taking) as target,
            sending(side, target.url) as transport,
        ):
            for _ in range(20):
                assert await attempt(transport) == Accepted(status=side.taken)

        assert target.connections == 1

    async def test_c23_so_many_requests_are_under_way_at_once(
        self, side: Side, memory: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_replay.service._LAST_ANSWERS_S", 0)
        await write_session(memory, SESSION, arriving(numbered(30), every=0))
        async with (
            side.target(lambda _: side.silence) as target,
            opened_service(memory, SYSTEM_CLOCK) as service,
        ):
            config = at_once(target.url, protocol=side.protocol, max_in_flight=7)
            or_raise(await service.start_replay(config))
            with anyio.fail_after(HANGS_AFTER_S):
                await target.has_received(7)
            status = or_raise(await service.get_replay_status(SESSION))

        assert len(target.received) == 7
        assert status.delivery == DeliveryCounts()
        assert target.connections == (7 if side is HTTP else 1)


class TestC24:
    async def test_c24_what_is_not_answered_by_the_deadline_is_reported(
        self, side: Side, memory: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_replay.service._LAST_ANSWERS_S", 0.2)
        await write_session(memory, SESSION, arriving(numbered(30), every=0))
        async with side.target(lambda _: side.silence) as target:
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                config = at_once(target.url, protocol=side.protocol, max_in_flight=5)
                or_raise(await service.start_replay(config))
                with anyio.fail_after(HANGS_AFTER_S):
                    await target.has_received(5)
            status = or_raise(await service.get_replay_status(SESSION))

        assert status.delivery == DeliveryCounts(unknown=5, not_sent=25)
        assert status.not_sent_reasons == {"ReplayInterrupted": 25}


class TestSilence:
    async def test_a_connection_that_is_silently_dead_is_left(self, side: Side) -> None:
        """What comes next goes over another, whoever is told so by a deadline."""
        first: list[int] = []

        def script(came: Any) -> Action:
            first.append(came.connection)
            return side.silence if came.connection == first[0] else side.taking

        answers: list[Answer] = []
        async with (
            side.target(script) as target,
            sending(side, target.url, request_timeout_s=0.3) as transport,
        ):
            with anyio.fail_after(HANGS_AFTER_S):
                while Accepted(status=side.taken) not in answers:
                    answers.append(await attempt(transport))

        assert all(isinstance(answer, NoAnswer) for answer in answers[:-1])
        assert len(set(first)) == len(first)
