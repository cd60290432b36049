"""Spans that a replay sends without their parents are counted, where it may cut traces."""

from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp_capture.otlp import Signal
from otlp_capture.storage import S3Storage
from otlp_replay import After
from otlp_replay.selection import OrphanCounts
from tests.replays import SESSION
from tests.sessions import SECOND, arriving, write_session
from tests.virtual_replays import virtual_replay

pytestmark = pytest.mark.anyio


def request(*resources: tuple[str, str, str]) -> tuple[Signal, bytes]:
    """Return spans of one trace: each with its service, its letter and that of its parent."""
    made = ExportTraceServiceRequest()
    for service, name, parent in resources:
        resource = made.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        resource.scope_spans.add().spans.add(
            trace_id=b"t" * 16,
            span_id=name.encode() * 8,
            parent_span_id=parent.encode() * 8,
            start_time_unix_nano=1,
            end_time_unix_nano=2,
        )
    return "traces", made.SerializeToString()


REQUESTS = [
    request(("shop", "a", "")),
    request(("cart", "b", "a"), ("shop", "c", "b")),
    request(("shop", "d", "c"), ("shop", "e", "x")),
]


@pytest.mark.parametrize("repeated", [{}, {"loops": 2, "copies": 3}])
@pytest.mark.parametrize(
    ("settings", "orphans"),
    [
        ({}, None),
        ({"trace_share": 0.5}, None),
        ({"replay_from": After(0)}, OrphanCounts(0, 1)),
        ({"replay_from": After(SECOND)}, OrphanCounts(0, 2)),
        ({"filter_services": ("shop",)}, OrphanCounts(1, 1)),
        ({"filter_services": ("cart",)}, OrphanCounts(1, 0)),
    ],
)
async def test_they_are_told_when_it_is_over(
    memory: S3Storage,
    settings: dict[str, Any],
    orphans: OrphanCounts | None,
    repeated: dict[str, Any],
) -> None:
    await write_session(memory, SESSION, arriving(REQUESTS))
    async with virtual_replay(memory, **settings, **repeated) as replay:
        status = await replay.run_out()

    assert status.orphans == orphans
    told = None if orphans is None else {"leftOut": orphans.left_out, "unseen": orphans.unseen}
    assert status.to_json().get("orphans") == told


async def test_what_is_read_again_is_counted_once(memory: S3Storage) -> None:
    await write_session(memory, SESSION, arriving(REQUESTS))
    async with virtual_replay(memory, filter_services=("shop",)) as replay:
        await replay.until(1.5)
        await replay.service.seek(SESSION, After(0))
        status = await replay.run_out()

    assert status.total_records == 5
    assert status.orphans == OrphanCounts(1, 1)
