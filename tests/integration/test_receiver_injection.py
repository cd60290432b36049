"""What clients send steers nothing: no key, no session, no line of a log."""

import json
import logging
import re

import pytest

from otlp_capture.capture import CaptureConfig
from otlp_capture.result import or_raise
from tests.export_requests import JSON, PROTOBUF, logs
from tests.raw_http import ask, post
from tests.receiving import SESSION, receiving

pytestmark = pytest.mark.anyio

EVIL = ("../../other/metadata.json", "/etc/passwd", "a\0b", "sessions/other/raw", "%2e%2e/x", "..")
KEY = re.compile(
    rf"sessions/{SESSION}/"
    r"(metadata\.json|manifest/\d{4}-\d\d-\d\d-\d\d\.json\.gz"
    r"|raw/\d{4}-\d\d-\d\d/\d\d/(traces|metrics|logs)-[0-9a-f-]+\.otlp\.gz)"
)


def named(evil: str) -> dict[str, object]:
    """Spell a span whose every text, id and attribute is *evil*, as far as OTLP has it."""
    attributes = [
        {"key": key, "value": {"stringValue": evil}}
        for key in ("service.name", "session.id", "sessionId", "otlp.session", evil)
    ]
    span = {"name": evil, "traceState": evil, "attributes": attributes}
    scope = {"name": evil, "version": evil, "attributes": attributes}
    spans = {"schemaUrl": evil, "scope": scope, "spans": [span]}
    resource = {"attributes": attributes}
    return {"resourceSpans": [{"schemaUrl": evil, "resource": resource, "scopeSpans": [spans]}]}


class TestKeys:
    async def test_nothing_that_a_client_sends_is_in_a_key(self) -> None:
        async with receiving() as opened:
            for evil in EVIL:
                body = json.dumps(named(evil)).encode()
                answer = await ask(opened.port, post("/v1/traces", body, JSON))
                assert answer.status == 200
            or_raise(await opened.capture.stop_capture(SESSION))
            keys = [or_raise(each).key async for each in opened.store.list_objects("")]

            assert len(keys) > len(EVIL)
            assert [key for key in keys if not KEY.fullmatch(key)] == []

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/traces/../logs",
            "/v1/logs/../../sessions/other",
            "/v1/%2e%2e/v1/logs",
            "//v1/logs",
            "/v1/logs%00",
            "/v1/logs;session=other",
        ],
    )
    async def test_a_path_is_one_of_three_or_none(self, path: str) -> None:
        async with receiving() as opened:
            assert (await ask(opened.port, post(path, b"{}", JSON))).status == 404


class TestSessions:
    async def test_no_header_query_or_attribute_chooses_one(self) -> None:
        other = CaptureConfig(session_id="other")
        names = ("X-Session", "X-Otlp-Session", "Session-Id", "Cookie")
        headers = [f"{name}: other" for name in names]
        async with receiving() as opened:
            or_raise(await opened.capture.start_capture(other))
            body = json.dumps(named("other")).encode()
            request = post("/v1/traces?session=other&session_id=other", body, JSON, *headers)
            assert (await ask(opened.port, request)).status == 200

            assert or_raise(await opened.capture.stop_capture("other")).captured_requests == 0
            assert or_raise(await opened.capture.stop_capture(SESSION)).captured_requests == 1


class TestLog:
    @pytest.mark.parametrize("evil", ["x\x1b[31m", "x\x07\x9b", "x\u2028y", "x\rINFO y"])
    async def test_no_control_characters_of_the_wire_are_in_it(
        self, evil: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        wire = evil.encode()
        requests = [
            b"POST /%b HTTP/1.1\r\n\r\n" % wire,
            b"%b /v1/logs HTTP/1.1\r\n\r\n" % wire,
            b"POST /v1/logs HTTP/1.1\r\nAuthorization: Bearer %b\r\n\r\n" % wire,
            b"POST /v1/logs HTTP/1.1\r\nContent-Type: %b\r\n\r\n" % wire,
            post("/v1/logs", logs(f"{evil}\n2026-01-01 CRITICAL all is lost"), PROTOBUF),
            post("/v1/logs", wire, JSON),
            post("/v1/traces", wire, PROTOBUF),
            b"%b\r\n\r\n" % wire,
        ]
        async with receiving() as opened:
            for request in requests:
                await ask(opened.port, request)
            opened.store.refuses = True
            assert (await ask(opened.port, requests[4])).status == 503
            opened.store.refuses = False

        assert not [each for each in caplog.messages if not each.isprintable()]
