"""Replays for tests: a service over a session in memory, carried out to its end."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs

from otlp_capture import otlp
from otlp_capture.clock import Clock, ClockTag
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay import (
    OtlpReplayService,
    OtlpReplayServiceLive,
    OtlpReplayServiceTag,
    ReplayConfig,
    ReplayStatus,
    RetryPolicy,
)
from tests.clocks import HANGS_AFTER_S
from tests.sessions import Recorded, write_session

SESSION = "recorded"
IMPATIENT = RetryPolicy(max_elapsed_s=600, initial_backoff_s=0.001, max_backoff_s=0.01)
"""The usual number of attempts, hardly any time between them, and no hurry."""


def numbered(count: int, signal: Signal = "logs", *, size: int = 0) -> list[tuple[Signal, bytes]]:
    """Return requests of one record each; all of them differ."""
    return [(signal, _request(signal, number, "x" * size)) for number in range(count)]


def _request(signal: Signal, number: int, text: str) -> bytes:
    start = 1_763_861_000_000_000_000 + number
    times = f'"startTimeUnixNano":"{start}","endTimeUnixNano":"{start + 1}"'
    records = {
        "traces": f'"scopeSpans":[{{"spans":[{{"name":"{number}{text}",{times}}}]}}]',
        "logs": f'"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{start}",'
        f'"body":{{"stringValue":"{number}{text}"}}}}]}}]',
        "metrics": f'"scopeMetrics":[{{"metrics":[{{"name":"{number}{text}",'
        f'"gauge":{{"dataPoints":[{{"timeUnixNano":"{start}","asInt":"1"}}]}}}}]}}]',
    }
    name = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}
    document = f'{{"{name[signal]}":[{{{records[signal]}}}]}}'
    return or_raise(otlp.decode(document.encode(), signal, "json"))


@asynccontextmanager
async def opened_service(storage: S3Storage, clock: Clock) -> AsyncIterator[OtlpReplayService]:
    """Open a replay service over a store that is open already."""
    layer = wire(OtlpReplayServiceLive, succeed(S3StorageTag, storage), succeed(ClockTag, clock))
    async with open_runtime(layer, OtlpReplayServiceTag) as opened:
        (service,) = or_raise(opened)
        yield service


async def over(service: OtlpReplayService, replay_id: str = SESSION) -> ReplayStatus:
    """Wait for the end of a replay, named by itself or by its session."""
    *_, last = [status async for status in service.watch(replay_id)]
    return last


async def replayed(
    storage: S3Storage, clock: Clock, requests: Sequence[Recorded], config: ReplayConfig
) -> ReplayStatus:
    """Record *requests*, replay them by *config*, and return how it ended."""
    await write_session(storage, config.session_id, requests)
    async with opened_service(storage, clock) as service:
        or_raise(await service.start_replay(config))
        with anyio.fail_after(HANGS_AFTER_S):
            return await over(service, config.session_id)


def at_once(url: str, **settings: Any) -> ReplayConfig:
    """Send as fast as may be, retry soon, and wait long for an answer."""
    config = ReplayConfig(
        session_id=SESSION,
        target_endpoint=url,
        speed_multiplier="max",
        retry=IMPATIENT,
        request_timeout_s=HANGS_AFTER_S,
    )
    return attrs.evolve(config, **settings)


def assert_closed(status: ReplayStatus, requests: int, records: int) -> None:
    """Assert that both ledgers account for all that was planned."""
    assert status.is_over
    assert status.total_records == requests
    assert status.delivery.total == requests
    assert status.delivery_records.total == records
    assert sum(status.not_sent_reasons.values()) == status.delivery.not_sent


def interleaved(count: int) -> list[tuple[Signal, bytes]]:
    """Return *count* requests of each signal, in turn."""
    return [
        request
        for three in zip(*(numbered(count, signal) for signal in SIGNALS), strict=True)
        for request in three
    ]


async def segment_keys(storage: S3Storage, session_id: str = SESSION) -> list[str]:
    listed = storage.list_objects(f"sessions/{session_id}/raw/")
    return [or_raise(found).key async for found in listed]


async def damage_last_segment(storage: S3Storage, session_id: str = SESSION) -> str:
    """Change a byte of the last segment's content, behind the back of the manifest."""
    key = (await segment_keys(storage, session_id))[-1]
    content = bytearray(or_raise(await storage.retrieve_raw_data(key)))
    content[-12] ^= 0xFF
    or_raise(await storage.store_raw_data(bytes(content), key))
    return key
