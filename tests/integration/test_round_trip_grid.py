"""Replays of all kinds into a receiver: what arrives is what was declared, or it is told how not.

Engine, receivers and comparison are the real ones; only time may be a clock that jumps.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest

from otlp_capture import otlp
from otlp_capture.capture import CaptureConfig, CaptureSettings, InvalidConfig
from otlp_capture.clock import SYSTEM_CLOCK, Clock
from otlp_capture.otlp import SIGNALS, Limits, SetText, Signal
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sessions import (
    InvalidSessionId,
    SessionAlreadyExists,
    SessionNotFound,
    load_session,
)
from otlp_capture.storage import S3Storage
from otlp_replay import After, ReplayConfig, ReplayStatus
from otlp_replay.errors import DataCorrupted, DecompressionFailure
from otlp_replay.round_trip import RoundTrip, replay_and_verify
from otlp_replay.selection import NothingSelected, Shard
from otlp_replay.verify import RemappedIds, verify
from tests.captures import AT_ONCE, opened_capture
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.redactions import redactor
from tests.replays import SESSION, damage_last_segment, opened_service
from tests.sessions import SECOND, START, arriving, opened_memory, write_session

pytestmark = pytest.mark.anyio

SECOND_SESSION = "recorded-too"
SERVICES = ("web", "db")
TRACES = 5
EVERY = SECOND // 4


def request(number: int) -> tuple[Signal, bytes]:
    """Return a request of two services and several traces, some of its times and ids unset."""
    signal = SIGNALS[number % 3]
    resources = [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": service}}]
            },
            **_scopes(signal, number, place),
        }
        for place, service in enumerate(SERVICES)
    ]
    name = {"traces": "resourceSpans", "metrics": "resourceMetrics", "logs": "resourceLogs"}
    document = json.dumps({name[signal]: resources}).encode()
    return signal, or_raise(otlp.decode(document, signal, "json"))


def _scopes(signal: Signal, number: int, place: int) -> dict[str, Any]:
    trace_id = f"{(number % TRACES + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"
    time = str(START - SECOND + number * EVERY)
    span = {
        "traceId": trace_id,
        "spanId": f"{number * 2 + place + 1:016x}",
        "parentSpanId": f"{number:016x}" if number else "",
        "name": f"work {number % 4}",
        "startTimeUnixNano": time,
        "endTimeUnixNano": str(int(time) + 5),
    }
    point = {"timeUnixNano": time, "asInt": str(number)}
    logs = [
        {"timeUnixNano": time, "traceId": trace_id, "body": {"intValue": number}},
        {"body": {"stringValue": "without a time, again and again"}},
    ]
    metric = {"name": "load", "gauge": {"dataPoints": [point]}}
    scopes: dict[Signal, dict[str, Any]] = {
        "traces": {"scopeSpans": [{"spans": [span]}]},
        "metrics": {"scopeMetrics": [{"metrics": [metric]}]},
        "logs": {"scopeLogs": [{"logRecords": logs}]},
    }
    return scopes[signal]


@pytest.fixture
async def storage() -> AsyncIterator[S3Storage]:
    """Open a store with two sessions; some requests of the first are alike."""
    async with opened_memory() as opened:
        first = [request(number) for number in (*range(9), 3, 4, 5)]
        await write_session(opened, SESSION, arriving(first, every=EVERY))
        second = [request(number) for number in range(20, 26)]
        arrivals = arriving(second, start=START + 7, every=EVERY)
        await write_session(opened, SECOND_SESSION, arrivals)
        yield opened


@asynccontextmanager
async def jumping() -> AsyncIterator[Clock]:
    """Give a clock that is always at the next deadline."""
    clock = VirtualClock()

    async def jump() -> None:
        while True:
            await settled()
            for deadline_ns in clock.deadlines_ns[:1]:
                clock.step((deadline_ns - clock.monotonic_ns()) / 1e9)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(jump)
        yield clock
        tasks.cancel_scope.cancel()


async def round_trip(
    storage: S3Storage,
    clock: Clock,
    into: str,
    /,
    settings: CaptureSettings = AT_ONCE,
    **asked: Any,
) -> Any:
    """Replay into a session by *clock*; what arrives is recorded by the system's."""
    config = attrs.evolve(ReplayConfig(session_id=SESSION), **asked)
    async with (
        opened_capture(storage, SYSTEM_CLOCK, settings) as capture,
        opened_service(storage, clock) as replay,
    ):
        with anyio.fail_after(HANGS_AFTER_S):
            return await replay_and_verify(storage, capture, replay, config, into)


CHOICES: dict[str, dict[str, Any]] = {
    "all": {},
    "renamed": {"remap_ids": True, "seed": 7},
    "loops and copies": {"loops": 3, "copies": 2, "seed": 5},
    "loops and copies as they are": {"loops": 2, "copies": 2, "remap_ids": False},
    "window": {"replay_from": After(SECOND), "replay_until": After(-SECOND // 2)},
    "services": {"filter_services": ("w*",)},
    "share": {"trace_share": 0.5},
    "shard": {"shard": Shard(1, 2)},
    "limit": {"limit": 5},
    "merged": {"merged_session_ids": (SECOND_SESSION,)},
    "without metrics": {"replay_metrics": False},
    "all of these": {
        "merged_session_ids": (SECOND_SESSION,),
        "replay_metrics": False,
        "replay_from": After(SECOND // 2),
        "filter_services": ("web", "d?"),
        "trace_share": 0.9,
        "shard": Shard(0, 2),
        "limit": 9,
        "loops": 2,
        "copies": 2,
        "seed": 3,
    },
}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("timestamps", ["none", "relative", "current"])
@pytest.mark.parametrize("speed", ["max", 2.0])
async def test_what_arrives_equals_what_was_declared(
    storage: S3Storage, protocol: str, timestamps: str, speed: Any
) -> None:
    asked = {"protocol": protocol, "timestamp_adjustment": timestamps, "speed_multiplier": speed}
    for name, choice in CHOICES.items():
        async with jumping() as clock:
            into = name.replace(" ", "-")
            found: RoundTrip = or_raise(await round_trip(storage, clock, into, **asked, **choice))

        assert found.comparison.differences == (), name
        assert found.is_faithful, name
        assert found.comparison.records_b > 0, name
        assert found.captured.status == "completed", name


class TestWhatIsLostOrChanged:
    async def test_what_the_receiver_masks_is_changed_and_nothing_else(
        self, storage: S3Storage
    ) -> None:
        rule = {"on": "span_name", "pattern": "work [0-9]", "action": "mask"}
        settings = attrs.evolve(AT_ONCE, redaction=redactor(rule))
        spans = 2 * 4

        found: RoundTrip = or_raise(
            await round_trip(storage, SYSTEM_CLOCK, "copy", settings, speed_multiplier="max")
        )

        assert (found.status.status, found.is_faithful) == ("completed", False)
        assert counts(found) == {"missing": 0, "extra": 0, "duplicated": 0, "changed": spans}
        assert {(row.signal, row.service, row.field) for row in found.comparison.by_field} == {
            ("traces", service, "spans.name") for service in SERVICES
        }
        (masked,) = {each.field.b for each in found.comparison.differences if each.field}
        declared = SetText("span_name", masked)
        again = await verify(storage, SESSION, "copy", shift="none", mutations=[declared])
        assert or_raise(again).equal

    @pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
    async def test_what_the_receiver_refuses_is_missing_and_nothing_else(
        self, storage: S3Storage, protocol: str
    ) -> None:
        limits = Limits(max_elements=17)
        settings = attrs.evolve(AT_ONCE, limits=limits)
        refused = {"logs": 4 * 4}

        found: RoundTrip = or_raise(
            await round_trip(
                storage,
                SYSTEM_CLOCK,
                "copy",
                settings,
                protocol=protocol,
                speed_multiplier="max",
                timestamp_adjustment="relative",
            )
        )

        missing = sum(refused.values())
        assert not found.is_faithful
        assert found.status.delivery_records.rejected == missing
        assert counts(found) == {"missing": missing, "extra": 0, "duplicated": 0, "changed": 0}
        by_signal = dict.fromkeys(SIGNALS, 0)
        for row in found.comparison.by_service:
            by_signal[row.signal] += row.missing
        assert {signal: count for signal, count in by_signal.items() if count} == refused

    async def test_what_somebody_else_sends_meanwhile_is_extra(self, storage: S3Storage) -> None:
        found = await with_a_stranger(storage, request(40))

        assert counts(found) == {"missing": 0, "extra": 2, "duplicated": 0, "changed": 0}

    async def test_what_arrives_twice_is_duplicated(self, storage: S3Storage) -> None:
        found = await with_a_stranger(storage, request(0))

        assert counts(found) == {"missing": 0, "extra": 0, "duplicated": 2, "changed": 0}


def counts(found: RoundTrip) -> dict[str, int]:
    names = ("missing", "extra", "duplicated", "changed")
    return {name: getattr(found.comparison, name) for name in names}


async def with_a_stranger(storage: S3Storage, stranger: tuple[Signal, bytes]) -> RoundTrip:
    """Replay into a session that takes one request more."""
    signal, payload = stranger
    config = ReplayConfig(session_id=SESSION, speed_multiplier="max")
    async with (
        opened_capture(storage, SYSTEM_CLOCK) as capture,
        opened_service(storage, SYSTEM_CLOCK) as replay,
    ):
        taken = False

        async def intrude() -> None:
            nonlocal taken
            while not taken:
                kept = await capture.capture_otlp_data("copy", payload, signal)
                taken = isinstance(kept, Success)
                await settled()

        with anyio.fail_after(HANGS_AFTER_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(intrude)
                found = await replay_and_verify(storage, capture, replay, config, "copy")
                assert taken
    return or_raise(found)


class TestWhereItCannotGo:
    async def test_a_session_that_is_being_recorded_goes_on(self, storage: S3Storage) -> None:
        async with opened_capture(storage, SYSTEM_CLOCK) as capture:
            or_raise(await capture.start_capture(CaptureConfig(session_id="copy")))

            found = await round_trip(storage, SYSTEM_CLOCK, "copy")

            assert found == Failure(SessionAlreadyExists("copy", "active"))
            assert or_raise(await capture.stop_capture("copy")).status == "completed"

    async def test_a_session_whose_metadata_are_damaged_is_left_as_it_is(
        self, storage: S3Storage
    ) -> None:
        key = "sessions/copy/metadata.json"
        or_raise(await storage.store_raw_data(b"{", key))

        found = await round_trip(storage, SYSTEM_CLOCK, "copy")

        assert isinstance(found.failure(), DataCorrupted)
        assert or_raise(await storage.retrieve_raw_data(key)) == b"{"

    @pytest.mark.parametrize("into", ["", "../up", "a/b"])
    async def test_a_name_that_no_session_can_have_is_refused(
        self, storage: S3Storage, into: str
    ) -> None:
        found = await round_trip(storage, SYSTEM_CLOCK, into)

        assert isinstance(found.failure(), InvalidSessionId)

    async def test_of_a_damaged_session_nothing_is_said_and_what_arrived_is_kept(
        self, storage: S3Storage
    ) -> None:
        await damage_last_segment(storage)

        found = await round_trip(storage, SYSTEM_CLOCK, "copy", speed_multiplier="max")

        assert isinstance(found.failure(), DecompressionFailure)
        assert or_raise(await load_session(storage, "copy")).metadata.status == "completed"

    async def test_what_cannot_be_asked_for_leaves_no_session(self, storage: S3Storage) -> None:
        found = await round_trip(storage, SYSTEM_CLOCK, "copy", speed_multiplier=-1)

        assert isinstance(found.failure(), InvalidConfig)
        assert isinstance((await load_session(storage, "copy")).failure(), SessionNotFound)

    async def test_a_session_that_is_not_there_leaves_none(self, storage: S3Storage) -> None:
        found = await round_trip(storage, SYSTEM_CLOCK, "copy", session_id="gone")

        assert isinstance(found.failure(), SessionNotFound)
        assert isinstance((await load_session(storage, "copy")).failure(), SessionNotFound)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("again", [{}, {"loops": 2, "copies": 2, "seed": 9}])
async def test_all_shards_together_are_the_session(
    storage: S3Storage, count: int, again: dict[str, Any]
) -> None:
    into = [f"part-{index}" for index in range(count)]
    sizes = list[int]()
    for index, session_id in enumerate(into):
        asked = {"shard": Shard(index, count), "speed_multiplier": "max", **again}
        found = await round_trip(storage, SYSTEM_CLOCK, session_id, **asked)
        if isinstance(found, Failure):
            assert isinstance(found.failure(), NothingSelected)
            continue
        assert or_raise(found).is_faithful
        sizes.append(or_raise(found).comparison.records_b)

    resent = RemappedIds(9, 2, 2) if again else None
    whole = or_raise(await verify(storage, SESSION, into, shift="none", remapped=resent))
    assert whole.differences == ()
    assert whole.records_a == whole.records_b == sum(sizes)
    if count > 1:
        others = or_raise(await verify(storage, SESSION, into[1:], shift="none", remapped=resent))
        assert others.missing == sizes[0] > 0


async def test_replays_of_one_session_at_once_are_told_apart(storage: S3Storage) -> None:
    found = list[RoundTrip]()
    async with (
        opened_capture(storage, SYSTEM_CLOCK) as capture,
        opened_service(storage, SYSTEM_CLOCK) as replay,
    ):

        async def go(into: str, limit: int) -> None:
            config = ReplayConfig(session_id=SESSION, speed_multiplier="max", limit=limit)
            trip = await replay_and_verify(storage, capture, replay, config, into)
            found.append(or_raise(trip))

        with anyio.fail_after(HANGS_AFTER_S):
            async with anyio.create_task_group() as tasks:
                for limit in range(1, 6):
                    tasks.start_soon(go, f"copy-{limit}", limit)

    assert all(trip.is_faithful for trip in found)
    assert sorted(trip.status.delivery.delivered for trip in found) == [1, 2, 3, 4, 5]


async def test_where_it_is_cancelled_the_replay_ends_too(storage: S3Storage) -> None:
    config = ReplayConfig(session_id=SESSION, speed_multiplier=0.01)
    told = list[ReplayStatus]()
    async with (
        opened_capture(storage, SYSTEM_CLOCK) as capture,
        opened_service(storage, SYSTEM_CLOCK) as replay,
    ):
        with anyio.fail_after(HANGS_AFTER_S), anyio.CancelScope() as scope:

            def watch(status: ReplayStatus) -> None:
                told.append(status)
                scope.cancel()

            await replay_and_verify(storage, capture, replay, config, "copy", watch=watch)

        ended = or_raise(await replay.get_replay_status(told[0].replay_id))

    assert ended.is_over
    assert or_raise(await load_session(storage, "copy")).metadata.status == "completed"
