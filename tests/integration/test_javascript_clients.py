"""The official JavaScript exporters record into a session: all that they say is in it."""

import json
from collections import Counter

import anyio
import pytest

from otlp_capture.capture import CaptureConfig
from otlp_capture.result import or_raise
from tests.javascript import Export, JavaScript
from tests.javascript import javascript as javascript
from tests.javascript_records import canonical, described
from tests.receiving import SESSION, Receiving, receiving, until

pytestmark = pytest.mark.anyio

PROTOCOLS = ["http/json", "http/protobuf"]
RECORDS = {"traces": 24, "metrics": 44, "logs": 24}
"""What the program makes: everything twice, once for each compression."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_all_that_javascript_exports_is_held_field_by_field(
    javascript: JavaScript, protocol: str
) -> None:
    async with receiving() as opened:
        exports = await javascript.export_to(opened.receiver.url, protocol)
        stored = await stored_in(opened)

    assert_all_arrived(exports, stored)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_javascript_exporters_come_again_until_the_server_has_room(
    javascript: JavaScript, protocol: str
) -> None:
    exports: list[Export] = []
    async with receiving(config=None) as opened:

        async def export() -> None:
            exports.extend(await javascript.export_to(opened.receiver.url, protocol))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(export)
            await until(lambda: opened.receiver.refused["SessionNotFound"] >= 6)
            or_raise(await opened.capture.start_capture(CaptureConfig(session_id=SESSION)))
        stored = await stored_in(opened)

    assert_all_arrived(exports, stored)


async def stored_in(opened: Receiving) -> Counter[str]:
    kept = await opened.kept()
    return Counter(
        record for signal, request in kept.elements() for record in described(signal, request)
    )


def assert_all_arrived(exports: list[Export], stored: Counter[str]) -> None:
    """Say that no exporter dropped anything, and that what arrived is what was exported."""
    assert {each.error for each in exports} == {None}
    assert stored == Counter(
        canonical(each.signal, record) for each in exports for record in each.records
    )
    assert Counter(json.loads(record)[0] for record in stored.elements()) == RECORDS
