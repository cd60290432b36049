"""The receiver as raw HTTP finds it, line by line of what OTLP asks of a server.

Past 400 lines because the specification is a list, and each of its lines is a test.
"""

import gzip
import json
from collections import Counter
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otlp_capture.capture import CaptureConfig
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.receiver import HttpReceiverSettings
from otlp_capture.result import or_raise
from tests.export_requests import (
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    JSON,
    NOT_FOUND,
    PROTOBUF,
    REQUESTS,
    RESOURCE_EXHAUSTED,
    TRACES,
    UNAVAILABLE,
    UNIMPLEMENTED,
    logs,
    told,
    traces,
)
from tests.raw_http import Answer, ask, chunked, head, post, raw_connection
from tests.receiving import SESSION, Receiving, receiving, receiving_little

pytestmark = pytest.mark.anyio

PATHS: dict[Signal, str] = {signal: f"/v1/{signal}" for signal in SIGNALS}
RESPONSES: dict[Signal, Any] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}


class TestContentEncoding:
    """S1: identity and gzip; anything else, or stacked encodings: 415."""

    @pytest.mark.parametrize("signal", SIGNALS)
    @pytest.mark.parametrize(
        "headers",
        [
            (),
            ("Content-Encoding: identity",),
            ("Content-Encoding:",),
            ("Content-Encoding: gzip",),
            ("content-encoding: GZIP",),
            ("Content-Encoding: , gzip ,",),
        ],
    )
    async def test_a_request_is_kept_byte_for_byte(
        self, signal: Signal, headers: tuple[str, ...]
    ) -> None:
        request = REQUESTS[signal] + b"\xfa\x3e\x01x"  # a field that nobody knows
        is_gzip = any("gzip" in header.lower() for header in headers)
        body = gzip.compress(request) if is_gzip else request
        async with receiving() as opened:
            answer = await ask(opened.port, post(PATHS[signal], body, PROTOBUF, *headers))

            assert answer.status == 200
            assert await opened.kept() == Counter([(signal, request)])

    async def test_the_members_of_a_gzip_file_are_one_request(self) -> None:
        first, second = traces("a"), traces("b")
        body = gzip.compress(first) + gzip.compress(second)
        async with receiving() as opened:
            answer = await ask(
                opened.port, post("/v1/traces", body, PROTOBUF, "Content-Encoding: gzip")
            )

            assert answer.status == 200
            assert await opened.kept() == Counter([("traces", first + second)])

    @pytest.mark.parametrize(
        "headers",
        [
            ("Content-Encoding: deflate",),
            ("Content-Encoding: br",),
            ("Content-Encoding: zstd",),
            ("Content-Encoding: gzip, gzip",),
            ("Content-Encoding: gzip", "Content-Encoding: gzip"),
            ("Content-Encoding: identity, gzip",),
            ("Content-Encoding: gzip;q=1",),
        ],
    )
    @pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
    async def test_other_encodings_are_unsupported(
        self, headers: tuple[str, ...], content_type: str
    ) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post("/v1/logs", b"", content_type, *headers))

            assert told(answer) == (415, INVALID_ARGUMENT)
            assert answer.headers["content-type"] == content_type
            assert answer.headers["accept-encoding"] == "gzip, identity"
            assert await opened.kept() == Counter()


class TestLimits:
    """S2: the request is limited on the wire, decompressed, and in its elements: 413."""

    async def test_a_length_over_the_limit_is_refused_before_the_body_comes(self) -> None:
        length = head("POST", "/v1/logs", [f"Content-Type: {PROTOBUF}", "Content-Length: 100001"])
        async with receiving_little() as opened:
            assert told(await ask(opened.port, length)) == (413, RESOURCE_EXHAUSTED)

    async def test_a_body_without_length_is_refused_once_it_is_over_the_limit(self) -> None:
        start = head("POST", "/v1/logs", [f"Content-Type: {JSON}", "Transfer-Encoding: chunked"])
        async with receiving_little() as opened:
            answer = await ask(opened.port, start + chunked(bytes(100_001)))

            assert told(answer) == (413, RESOURCE_EXHAUSTED)
            assert opened.counts == ({}, {"RequestTooLarge": 1})

    async def test_a_body_of_just_the_limit_is_kept(self) -> None:
        body = logs("x" * 99_960)
        body = logs("x" * (99_960 + 100_000 - len(body)))
        async with receiving_little() as opened:
            assert len(body) == 100_000
            assert (await ask(opened.port, post("/v1/logs", body, PROTOBUF))).status == 200
            packed = post("/v1/logs", gzip.compress(body), PROTOBUF, "Content-Encoding: gzip")
            assert (await ask(opened.port, packed)).status == 200
            assert await opened.kept() == Counter([("logs", body)] * 2)

    async def test_a_body_that_inflates_over_the_limit_is_refused(self) -> None:
        body = gzip.compress(bytes(100_001))
        async with receiving_little() as opened:
            answer = await ask(
                opened.port, post("/v1/logs", body, PROTOBUF, "Content-Encoding: gzip")
            )

            assert told(answer) == (413, RESOURCE_EXHAUSTED)

    @pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
    async def test_too_many_elements_are_refused(self, content_type: str) -> None:
        body = b"\x0a\x00" * 1001
        if content_type == JSON:
            body = json.dumps({"resourceSpans": [{}] * 1001}).encode()
        async with receiving_little(max_elements=1000) as opened:
            answer = await ask(opened.port, post("/v1/traces", body, content_type))

            assert told(answer) == (413, RESOURCE_EXHAUSTED)
            assert await opened.kept() == Counter()


class TestAnswerSize:
    """S3: the answer is small, whatever the request."""

    @pytest.mark.parametrize(
        "request_",
        [
            head("POST", "/" + "x" * 8_000),
            head("x" * 8_000, "/v1/traces"),
            post("/v1/traces", b"", "text/" + "x" * 8_000),
            post("/v1/traces", b"", PROTOBUF, "Content-Encoding: " + "x" * 8_000),
            post("/v1/traces", b'{"resourceSpans":"' + b"\xc3\xa9" * 500_000 + b'"}', JSON),
            post(
                "/v1/traces",
                b'{"resourceSpans":[{"' + b"y" * 900_000 + b'":1,"schemaUrl":1}]}',
                JSON,
            ),
            b"\x16\x03\x01" + b"\x00" * 5_000 + b"\r\n\r\n",
        ],
    )
    async def test_an_error_stays_within_some_kilobytes(self, request_: bytes) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, request_)

            assert told(answer)[0] in {400, 404, 405, 415}
            assert len(answer.body) < 8_192


class TestEmptyRequests:
    """S4: an empty request succeeds, and is kept like any other."""

    @pytest.mark.parametrize("signal", SIGNALS)
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"", (PROTOBUF,)),
            (gzip.compress(b""), (PROTOBUF, "Content-Encoding: gzip")),
            (b"{}", (JSON,)),
            (gzip.compress(b" {} "), (JSON, "Content-Encoding: gzip")),
        ],
    )
    async def test_it_is_a_frame(
        self, signal: Signal, body: bytes, headers: tuple[str, ...]
    ) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post(PATHS[signal], body, *headers))

            assert answer.status == 200
            assert await opened.kept() == Counter([(signal, b"")])
            assert opened.counts == ({signal: 1}, {})

    async def test_a_post_without_a_length_is_empty(self) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, head("POST", "/v1/logs", [f"Content-Type: {PROTOBUF}"]))

            assert answer.status == 200
            assert await opened.kept() == Counter([("logs", b"")])


class TestFullSuccess:
    """S5 and S9: full success is 200 with the signal's answer, partial_success unset."""

    @pytest.mark.parametrize("signal", SIGNALS)
    async def test_in_protobuf(self, signal: Signal) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post(PATHS[signal], REQUESTS[signal], PROTOBUF))

            response = RESPONSES[signal].FromString(answer.body)
            assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
            assert response == RESPONSES[signal]()
            assert not response.HasField("partial_success")

    @pytest.mark.parametrize("signal", SIGNALS)
    async def test_in_json(self, signal: Signal) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post(PATHS[signal], b"{}", JSON))

            assert (answer.status, answer.headers["content-type"]) == (200, JSON)
            assert json.loads(answer.body) == {}


class TestCompressedAnswers:
    """S12: the answer is compressed when the client asks for it."""

    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (("/v1/logs", b"{}", JSON), 200),
            (("/v1/logs", b"{", JSON), 400),
            (("/v1/logs", b"x", PROTOBUF), 400),
            (("/", b"", PROTOBUF), 404),
        ],
    )
    @pytest.mark.parametrize(
        ("header", "is_asked"),
        [
            ("Accept-Encoding: gzip, deflate", True),
            ("accept-encoding: GZIP;q=0.1", True),
            ("Accept-Encoding: gzip;q=0, *", False),
            ("Accept-Encoding: br", False),
        ],
    )
    async def test_as_the_client_weighs_it(
        self,
        request_: tuple[str, bytes, str],
        status: int,
        header: str,
        is_asked: bool,  # noqa: FBT001 - it is a column of the table
    ) -> None:
        async with receiving() as opened:
            plain = await ask(opened.port, post(*request_))
            answer = await ask(opened.port, post(*request_, header))

            assert (plain.status, answer.status) == (status, status)
            assert answer.headers.get("content-encoding") == ("gzip" if is_asked else None)
            body = gzip.decompress(answer.body) if is_asked else answer.body
            assert body == plain.body

    async def test_an_empty_answer_stays_empty(self) -> None:
        async with receiving() as opened:
            answer = await ask(
                opened.port, post("/v1/logs", b"", PROTOBUF, "Accept-Encoding: gzip")
            )

            assert (answer.status, answer.body) == (200, b"")
            assert "content-encoding" not in answer.headers


class TestKeptHeaders:
    async def test_only_those_that_were_chosen(self) -> None:
        settings = HttpReceiverSettings(port=0, keep_headers=("X-Tenant", "User-Agent"))
        headers = ("x-tenant: a", "Authorization: Bearer secret", "User-agent: u", "X-TENANT: b")
        async with receiving(settings=settings) as opened:
            request = post("/v1/logs", logs(), PROTOBUF, *headers)
            assert (await ask(opened.port, request)).status == 200
            assert (await ask(opened.port, TRACES)).status == 200

            kept = (("x-tenant", "a"), ("user-agent", "u"), ("x-tenant", "b"))
            assert await opened.kept_headers() == [kept, ()]

    async def test_those_that_no_frame_holds_are_too_large(self) -> None:
        settings = HttpReceiverSettings(port=0, keep_headers=("x-large",))
        headers = ["X-Large: " + "x" * 8_000] * 3
        async with receiving(settings=settings) as opened:
            answer = await ask(opened.port, post("/v1/logs", logs(), PROTOBUF, *headers))

            assert told(answer) == (413, RESOURCE_EXHAUSTED)
            assert opened.counts == ({}, {"RequestTooLarge": 1})


class TestDurability:
    async def test_only_a_success_names_it(self) -> None:
        async with receiving() as opened:
            kept = await ask(opened.port, TRACES)
            refused = await ask(opened.port, post("/v1/traces", b"{", JSON))

            assert kept.headers["x-durability"] == "object"
            assert "x-durability" not in refused.headers


class TestWholeOrNotAtAll:
    """S6: nothing is taken in part, so there is never a partial success."""

    async def test_one_bad_record_refuses_all_of_json(self) -> None:
        def span(trace_id: str) -> dict[str, str]:
            return {"traceId": trace_id, "spanId": "12" * 8}

        spans = [span("ab" * 16), span("no hex"), span("cd" * 16)]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        async with receiving() as opened:
            answer = await ask(opened.port, post("/v1/traces", body, JSON))

            assert told(answer) == (400, INVALID_ARGUMENT)
            assert (
                "resourceSpans[0].scopeSpans[0].spans[1].traceId"
                in json.loads(answer.body)["message"]
            )
            assert await opened.kept() == Counter()

    async def test_one_bad_record_refuses_all_of_protobuf(self) -> None:
        body = traces("good") + traces("torn")[:-3]
        async with receiving() as opened:
            answer = await ask(opened.port, post("/v1/traces", body, PROTOBUF))

            assert told(answer) == (400, INVALID_ARGUMENT)
            assert await opened.kept() == Counter()


class TestPaths:
    """S7: POST to three paths, which are settable."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
    async def test_other_methods_are_not_allowed(self, method: str) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, head(method, "/v1/traces"))

            assert (answer.status, answer.headers["allow"]) == (405, "POST")
            assert method == "HEAD" or told(answer) == (405, UNIMPLEMENTED)
            assert opened.counts == ({}, {"MethodNotAllowed": 1})

    @pytest.mark.parametrize(
        "path", ["/", "/v1/traces/", "/v1", "/V1/TRACES", "/v1development/profiles", "/v1/%74"]
    )
    @pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
    async def test_other_paths_are_not_found(self, path: str, content_type: str) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post(path, b"{}", content_type))

            assert told(answer) == (404, NOT_FOUND)
            assert answer.headers["content-type"] == content_type

    @pytest.mark.parametrize("path", ["/v1/traces?tenant=1", "http://elsewhere/v1/traces"])
    async def test_query_and_authority_do_not_matter(self, path: str) -> None:
        async with receiving() as opened:
            assert (await ask(opened.port, post(path, b"", PROTOBUF))).status == 200

    async def test_paths_are_settable(self) -> None:
        paths: dict[str, Signal] = {"/otel/api/v1/traces": "traces", "/logs": "logs"}
        async with receiving(settings=HttpReceiverSettings(port=0, paths=paths)) as opened:
            statuses = [
                (await ask(opened.port, post(path, b"", PROTOBUF))).status
                for path in (*paths, "/v1/traces")
            ]

            assert statuses == [200, 200, 404]
            assert opened.counts == ({"traces": 1, "logs": 1}, {"UnknownPath": 1})


class TestContentType:
    """S8: both encodings on one port, and each is answered in its own."""

    @pytest.mark.parametrize(
        ("content_type", "answered"),
        [
            (PROTOBUF, PROTOBUF),
            ("APPLICATION/X-Protobuf", PROTOBUF),
            ("application/x-protobuf; proto=opentelemetry", PROTOBUF),
            (JSON, JSON),
            ("application/json; charset=utf-8", JSON),
            ("Application/JSON;charset=UTF-8", JSON),
        ],
    )
    async def test_the_answer_has_the_type_of_the_request(
        self, content_type: str, answered: str
    ) -> None:
        async with receiving() as opened:
            body = b"{}" if answered == JSON else b""
            answer = await ask(opened.port, post("/v1/metrics", body, content_type))

            assert (answer.status, answer.headers["content-type"]) == (200, answered)

    async def test_json_is_kept_as_protobuf(self) -> None:
        span = {"name": "a", "traceId": "AB" * 16, "spanId": "cd" * 8, "startTimeUnixNano": "7"}
        document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}], "unknown": 1}
        request = ExportTraceServiceRequest()
        request.resource_spans.add().scope_spans.add().spans.add(
            name="a", trace_id=b"\xab" * 16, span_id=b"\xcd" * 8, start_time_unix_nano=7
        )
        async with receiving() as opened:
            body = json.dumps(document).encode()
            assert (await ask(opened.port, post("/v1/traces", body, JSON))).status == 200

            ((signal, kept),) = await opened.kept()
            assert (signal, ExportTraceServiceRequest.FromString(kept)) == ("traces", request)

    @pytest.mark.parametrize(
        "content_type",
        ["text/plain", "application/protobuf", "application/grpc", "nonsense", "application/jsonl"],
    )
    async def test_other_types_are_unsupported(self, content_type: str) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post("/v1/traces", b"", content_type))

            assert told(answer) == (415, INVALID_ARGUMENT)
            assert opened.counts == ({}, {"UnsupportedContentType": 1})

    async def test_no_type_is_unsupported(self) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, head("POST", "/v1/traces", ["Content-Length: 0"]))

            assert told(answer) == (415, INVALID_ARGUMENT)


class TestUndecodable:
    """S9 and S10: what cannot be decoded is 400 with a Status in the request's encoding."""

    @pytest.mark.parametrize(
        "body",
        [b"\x0a\xff", b"\x0a\x05abc", b"\xff" * 40, b"\x0b", b'{"resourceSpans":[]}'],
    )
    async def test_protobuf(self, body: bytes) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post("/v1/traces", body, PROTOBUF))

            assert told(answer) == (400, INVALID_ARGUMENT)
            assert answer.headers["content-type"] == PROTOBUF
            assert opened.counts == ({}, {"InvalidRequest": 1})

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"\xff\xfe{}",
            b'{"resourceSpans":1}',
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":NaN}]}]}]}',
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_SERVER"}]}]}]}',
            b"[" * 100_000,
        ],
    )
    async def test_json(self, body: bytes) -> None:
        async with receiving() as opened:
            answer = await ask(opened.port, post("/v1/traces", body, JSON))

            assert told(answer) == (400, INVALID_ARGUMENT)
            assert answer.headers["content-type"] == JSON

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"no gzip",
            gzip.compress(logs())[:-1],
            gzip.compress(logs())[:-9] + bytes(9),
            gzip.compress(logs()) + b"rest",
        ],
    )
    @pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
    async def test_gzip(self, body: bytes, content_type: str) -> None:
        async with receiving() as opened:
            answer = await ask(
                opened.port, post("/v1/logs", body, content_type, "Content-Encoding: gzip")
            )

            assert told(answer) == (400, INVALID_ARGUMENT)
            assert answer.headers["content-type"] == content_type
            assert opened.counts == ({}, {"CompressionFailure": 1})
            assert await opened.kept() == Counter()

    @settings(max_examples=25)
    @given(body=st.binary(max_size=200), content_type=st.sampled_from([PROTOBUF, JSON]))
    def test_any_bytes_are_kept_or_refused(self, body: bytes, content_type: str) -> None:
        async def check() -> None:
            async with receiving() as opened:
                answer = await ask(opened.port, post("/v1/logs", body, content_type))
                if answer.status != 200:
                    assert told(answer) == (400, INVALID_ARGUMENT)
                    assert await opened.kept() == Counter()
                elif content_type == PROTOBUF:
                    assert await opened.kept() == Counter([("logs", body)])

        anyio.run(check)


class TestOverload:
    """S11: overload and a failing store are 503 with Retry-After in seconds."""

    async def test_bodies_over_the_budget_are_told_to_come_again(self) -> None:
        body = logs("x" * 1_000)
        settings = HttpReceiverSettings(
            port=0, max_body_bytes=1_500, max_in_flight_bytes=1_500, retry_after_s=7
        )
        async with receiving(settings=settings) as opened:
            opened.store.hold()
            async with raw_connection(opened.port) as first:
                await first.write(post("/v1/logs", body, PROTOBUF))
                await opened.store.waiting.wait()

                refused = await ask(opened.port, post("/v1/logs", body, PROTOBUF))
                small = await ask_while_held(opened, post("/v1/logs", logs("y"), PROTOBUF))
                answer = await first.answer()

            assert told(refused) == (503, UNAVAILABLE)
            assert refused.headers["retry-after"] == "7"
            assert (small.status, answer.status) == (200, 200)
            assert (await ask(opened.port, post("/v1/logs", body, PROTOBUF))).status == 200
            assert opened.counts == ({"logs": 3}, {"Overloaded": 1})

    @pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
    async def test_a_failing_store_is_told_to_come_again(self, content_type: str) -> None:
        request = post("/v1/logs", b"{}" if content_type == JSON else b"", content_type)
        async with receiving() as opened:
            opened.store.refuses = True
            failed = await ask(opened.port, request)
            opened.store.refuses = False
            again = await ask(opened.port, request)

            assert told(failed) == (503, UNAVAILABLE)
            assert failed.headers["content-type"] == content_type
            assert failed.headers["retry-after"] == "1"
            assert again.status == 200
            assert opened.counts == ({"logs": 1}, {"StorageFailure": 1})
            assert await opened.kept() == Counter([("logs", b"")])

    async def test_until_the_session_begins_clients_are_told_to_come_again(self) -> None:
        async with receiving(config=None) as opened:
            early = await ask(opened.port, TRACES)
            or_raise(await opened.capture.start_capture(CaptureConfig(session_id=SESSION)))
            later = await ask(opened.port, TRACES)

            assert told(early) == (503, UNAVAILABLE)
            assert early.headers["retry-after"] == "1"
            assert later.status == 200


async def ask_while_held(opened: Receiving, request: bytes) -> Answer:
    """Send a request, then let the store go on."""
    async with raw_connection(opened.port) as connection:
        await connection.write(request)
        opened.store.is_open.set()
        return await connection.answer()


class TestSessions:
    """What a session does not take is refused for good."""

    @pytest.mark.parametrize("signal", SIGNALS)
    async def test_a_signal_that_is_not_recorded_is_not_found(self, signal: Signal) -> None:
        config = CaptureConfig(
            session_id=SESSION,
            capture_traces=signal != "traces",
            capture_metrics=signal != "metrics",
            capture_logs=signal != "logs",
        )
        async with receiving(config) as opened:
            answers = {
                each: await ask(opened.port, post(PATHS[each], REQUESTS[each], PROTOBUF))
                for each in SIGNALS
            }

            assert told(answers.pop(signal)) == (404, UNIMPLEMENTED)
            assert {answer.status for answer in answers.values()} == {200}
            assert opened.receiver.refused == Counter(SignalNotEnabled=1)

    async def test_an_ended_session_is_forbidden(self) -> None:
        async with receiving(CaptureConfig(session_id=SESSION, max_size_mb=0.000_01)) as opened:
            crossing = await ask(opened.port, TRACES)
            refused = [await ask(opened.port, TRACES) for _ in range(2)]

            assert crossing.status == 200
            assert [told(answer) for answer in refused] == [(403, FAILED_PRECONDITION)] * 2
            assert await opened.kept() == Counter([("traces", REQUESTS["traces"])])
            assert opened.counts == ({"traces": 1}, {"SessionEnded": 2})
