"""The official JavaScript exporters record into a session: all that they say is in it."""

import json
from collections import Counter
from collections.abc import Iterable

import anyio
import pytest

from otlp_capture.capture import CaptureConfig
from otlp_capture.receiver import GrpcReceiverSettings
from otlp_capture.result import or_raise
from tests.javascript import Export, JavaScript
from tests.javascript import javascript as javascript
from tests.javascript_records import canonical, described
from tests.receiving import SESSION, Receiving, receiving, until

pytestmark = pytest.mark.anyio

HTTP = ["http/json", "http/protobuf"]
RECORDS = {"traces": 24, "metrics": 44, "logs": 24}
"""What the program makes: everything twice, once for each compression."""

REFUSED = 6
"""So many requests at least come at first, one for each signal and compression."""


@pytest.mark.parametrize("protocol", [*HTTP, "grpc"])
async def test_all_that_javascript_exports_is_held_field_by_field(
    javascript: JavaScript, protocol: str
) -> None:
    async with receiving(grpc=GrpcReceiverSettings(port=0)) as opened:
        exports = await javascript.export_to(url_of(opened, protocol), protocol)
        stored = await stored_in(opened)

    assert_all_arrived(exports, stored)


@pytest.mark.parametrize("protocol", HTTP)
async def test_javascript_exporters_come_again_until_the_server_has_room(
    javascript: JavaScript, protocol: str
) -> None:
    exports, stored = await export_before_the_session_begins(javascript, protocol)

    assert_all_arrived(exports, stored)


async def test_over_grpc_javascript_exporters_never_come_again_but_say_what_they_gave_up(
    javascript: JavaScript,
) -> None:
    exports, stored = await export_before_the_session_begins(javascript, "grpc")

    # The answer says UNAVAILABLE and when to come again; these exporters retry HTTP only.
    failed = [each.error or "" for each in exports if not each.succeeded]
    assert len(failed) >= REFUSED
    assert all(error.startswith("14 UNAVAILABLE: There is no session") for error in failed)
    assert stored == records_of(each for each in exports if each.succeeded)


async def export_before_the_session_begins(
    javascript: JavaScript, protocol: str
) -> tuple[list[Export], Counter[str]]:
    """Begin the session when requests have been refused; return what was exported and stored."""
    exports: list[Export] = []
    async with receiving(config=None, grpc=GrpcReceiverSettings(port=0)) as opened:

        async def export() -> None:
            exports.extend(await javascript.export_to(url_of(opened, protocol), protocol))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(export)
            await until(lambda: opened.tally.refused["SessionNotFound"] >= REFUSED)
            or_raise(await opened.capture.start_capture(CaptureConfig(session_id=SESSION)))
        return exports, await stored_in(opened)


def url_of(opened: Receiving, protocol: str) -> str:
    if protocol != "grpc":
        return opened.receiver.url
    assert opened.grpc is not None
    return opened.grpc.url


async def stored_in(opened: Receiving) -> Counter[str]:
    kept = await opened.kept()
    return Counter(
        record for signal, request in kept.elements() for record in described(signal, request)
    )


def records_of(exports: Iterable[Export]) -> Counter[str]:
    return Counter(canonical(each.signal, record) for each in exports for record in each.records)


def assert_all_arrived(exports: list[Export], stored: Counter[str]) -> None:
    """Say that no exporter dropped anything, and that what arrived is what was exported."""
    assert {each.error for each in exports} == {None}
    assert stored == records_of(exports)
    assert Counter(json.loads(record)[0] for record in stored.elements()) == RECORDS
