"""Replays of all kinds into a receiver: what arrives equals what was declared, or it is told how not.

The engine, the receivers and the comparison are the real ones; only time may be a clock that jumps.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest

from otlp_capture import otlp
from otlp_capture.capture import CaptureSettings
from otlp_capture.clock import SYSTEM_CLOCK, Clock
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage
from otlp_replay import After, ReplayConfig
from otlp_replay.round_trip import RoundTrip, replay_and_verify
from otlp_replay.selection import Shard
from otlp_replay.verify import verify
from tests.captures import AT_ONCE, opened_capture
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
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
