"""A replay into a session of one's own is compared with what its configuration declares."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, or_raise
from otlp_capture.sessions import SessionAlreadyExists, load_session
from otlp_capture.storage import S3Storage
from otlp_replay import ReplayConfig, ReplayStatus
from otlp_replay.round_trip import RoundTrip, replay_and_verify
from tests.captures import opened_capture
from tests.clocks import HANGS_AFTER_S
from tests.replays import SESSION, interleaved, opened_service
from tests.sessions import arriving, opened_memory, write_session

pytestmark = pytest.mark.anyio

MILLISECOND = 1_000_000
AS_IT_IS = ReplayConfig(session_id=SESSION, speed_multiplier="max")
HTTP = ("http/protobuf", "http/json")


@pytest.fixture
async def storage() -> AsyncIterator[S3Storage]:
    async with opened_memory() as opened:
        await write_session(opened, SESSION, arriving(interleaved(5), every=MILLISECOND))
        yield opened


async def round_trip(storage: S3Storage, into: str = "copy", /, **settings: Any) -> Any:
    clock = SYSTEM_CLOCK
    async with opened_capture(storage, clock) as capture, opened_service(storage, clock) as replay:
        with anyio.fail_after(HANGS_AFTER_S):
            return await replay_and_verify(
                storage, capture, replay, attrs.evolve(AS_IT_IS, **settings), into
            )


@pytest.mark.parametrize("protocol", HTTP)
@pytest.mark.parametrize("timestamps", ["none", "relative", "current"])
async def test_what_arrived_equals_what_was_sent(
    storage: S3Storage, protocol: str, timestamps: str
) -> None:
    found: RoundTrip = or_raise(
        await round_trip(storage, protocol=protocol, timestamp_adjustment=timestamps)
    )

    assert found.is_faithful
    assert found.captured == or_raise(await load_session(storage, "copy")).metadata
    assert (found.captured.status, found.status.delivery.delivered) == ("completed", 15)
    assert (found.comparison.requests_a, found.comparison.requests_b) == (15, 15)
    assert (found.comparison.shift.ns == 0) == (timestamps == "none")


async def test_a_given_offset_is_what_is_declared(storage: S3Storage) -> None:
    offset: dict[str, Any] = {"timestamp_adjustment": "relative", "base_time_offset": 5}

    found: RoundTrip = or_raise(await round_trip(storage, **offset))

    assert found.is_faithful
    assert found.comparison.shift.ns == 5


@pytest.mark.parametrize("signal", SIGNALS)
async def test_signals_that_are_not_sent_are_not_missed(storage: S3Storage, signal: Signal) -> None:
    settings: dict[str, Any] = {f"replay_{other}": other == signal for other in SIGNALS}

    found: RoundTrip = or_raise(await round_trip(storage, **settings))

    assert found.is_faithful
    assert {row.signal for row in found.comparison.by_service} == {signal}


async def test_a_request_that_is_not_sent_is_missing(storage: S3Storage) -> None:
    found: RoundTrip = or_raise(await round_trip(storage, max_request_bytes=1))

    assert not found.is_faithful
    assert found.status.delivery.not_sent == found.comparison.missing == 15
    document = found.to_json()
    assert (document["faithful"], document["session"]) == (False, "copy")
    assert document["replay"] == found.status.to_json()
    assert document["comparison"] == found.comparison.to_json()


async def test_a_session_that_is_there_is_left_as_it_is(storage: S3Storage) -> None:
    before = await load_session(storage, SESSION)

    found = await round_trip(storage, SESSION)

    assert found == Failure(SessionAlreadyExists(SESSION, "completed"))
    assert await load_session(storage, SESSION) == before


async def test_a_session_to_replay_has_to_be_there(storage: S3Storage) -> None:
    found = await round_trip(storage, session_id="gone")

    assert type(found.failure()).__name__ == "SessionNotFound"


async def test_one_is_told_how_the_replay_stands(storage: S3Storage) -> None:
    clock = SYSTEM_CLOCK
    told: list[ReplayStatus] = []
    async with opened_capture(storage, clock) as capture, opened_service(storage, clock) as replay:
        with anyio.fail_after(HANGS_AFTER_S):
            done = or_raise(
                await replay_and_verify(
                    storage, capture, replay, AS_IT_IS, "copy", watch=told.append
                )
            )

    assert told[-1] == done.status
    assert not told[0].is_over
