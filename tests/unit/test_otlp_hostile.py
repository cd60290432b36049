"""Requests that are made to hurt: small on the wire, large or deep inside."""

import subprocess
import sys
from typing import Literal

import pytest
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.otlp import Encoding, InvalidRequest, Limits, RequestTooLarge
from tests.memory import mebibytes_for
from tests.strategies import any_value_bytes, length_delimited

MIB = 1024 * 1024
SIZE = 20 * MIB

MEASURE = """
import time
from otlp_capture import otlp

def peak():
    # The high-water mark, reset by writing 5 to clear_refs: building the body must not hide it.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

body = {body}
open("/proc/self/clear_refs", "w").write("5")
before = peak()
began = time.process_time()
outcome = otlp.decode(body, {signal!r}, {encoding!r})
took = time.process_time() - began
print(type(outcome.failure()).__name__, (peak() - before) // 1024, took)
"""


def in_a_process(body: str, encoding: Encoding, signal: str = "traces") -> tuple[str, int, float]:
    """Decode in a process of its own; say how it failed, the MiB it took and its CPU seconds."""
    script = MEASURE.format(body=body, encoding=encoding, signal=signal)
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=120
    )
    name, mebibytes, seconds = run.stdout.split()
    return name, int(mebibytes), float(seconds)


def wrapped(expression: str, *numbers: int) -> str:
    """Put what *expression* makes inside messages with these field numbers."""
    code = expression
    for number in numbers:
        prefix = f"bytes([{number << 3 | 2}])"
        code = f"(lambda b: {prefix} + varint(len(b)) + b)({code})"
    varint = "lambda n: bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])"
    return f"(lambda: (globals().__setitem__('varint', {varint}), {code})[1])()"


class TestMemory:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(wrapped(f"b'\\x12\\0' * {SIZE // 2 - 8}", 2, 1), id="empty spans"),
            pytest.param(f"b'\\n\\0' * {SIZE // 2}", id="empty resources"),
            pytest.param(wrapped(f"b'\\x4a\\0' * {SIZE // 2 - 9}", 2, 2, 1), id="attributes"),
            pytest.param(wrapped(f"b'\\x1a\\0' * {SIZE // 2 - 9}", 3, 1, 1), id="repeated strings"),
        ],
    )
    def test_20_mib_of_elements_in_protobuf_are_refused_unparsed(self, body: str) -> None:
        name, mebibytes, seconds = in_a_process(body, "protobuf")

        assert name == "RequestTooLarge"
        assert mebibytes < 10
        assert seconds < 20

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(
                'b\'{"resourceSpans":[{"scopeSpans":[{"spans":[\''
                " + b'{},' * 6990000 + b'{}]}]}]}'",
                id="empty spans",
            ),
            pytest.param(
                "b'{\"a\":[' + b'[],' * 6990000 + b'[]]}'", id="arrays under an unknown key"
            ),
        ],
    )
    def test_20_mib_of_elements_in_json_are_refused_unparsed(self, body: str) -> None:
        name, mebibytes, seconds = in_a_process(body, "json")

        assert name == "RequestTooLarge"
        assert mebibytes < 10
        assert seconds < 20

    def test_large_json_that_is_read_slowly_is_read_one_by_one(self) -> None:
        """A key that occurs twice is one that only the slow road reads."""
        before = """
from threading import Thread
from otlp_capture import otlp
record = b'{"body":{"stringValue":"x"},"traceId":"","traceId":""}'
body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + b",".join([record] * 40_000) + b"]}]}]}"
def decode():
    assert len(otlp.decode(body, "logs", "json").unwrap()) > 0
otlp.decode(body[:100], "logs", "json")
"""
        at_once = """
threads = [Thread(target=decode) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
"""

        one, four = (mebibytes_for(measured, before=before) for measured in ("decode()", at_once))

        assert one > 10
        assert four < 2 * one

    @pytest.mark.parametrize(
        ("body", "most"),
        [
            pytest.param(f"b'[' * {SIZE}", 10, id="brackets"),
            pytest.param(
                f"b'\"' + b'\\\\\"' * {SIZE // 2 - 1}", 100, id="an open string of quotes"
            ),
            pytest.param(f"b'{{' + b'\"' * {SIZE - 1}", 100, id="quotes"),
            pytest.param(f"b'{{\"a\":\"' + b'{{' * {SIZE - 7}", 100, id="an open string of braces"),
            pytest.param(f"b'{{\"a\":' * {SIZE // 5}", 10, id="nested objects"),
            pytest.param(f"b' ' * {SIZE}", 100, id="blanks"),
        ],
    )
    def test_20_mib_of_broken_json_cost_little_more_than_their_text(
        self, body: str, most: int
    ) -> None:
        name, mebibytes, seconds = in_a_process(body, "json")

        assert name in ("InvalidRequest", "RequestTooLarge")
        assert mebibytes < most
        assert seconds < 20

    def test_json_that_grows_beyond_the_limit_as_protobuf_is_refused(self) -> None:
        counts = b"1," * 100 + b"1"
        body = (
            b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":['
            b'{"bucketCounts":[' + counts + b"]}]}}]}]}]}"
        )

        outcome = otlp.decode(body, "metrics", "json", limits=Limits(max_bytes=len(body)))

        assert len(body) < 8 * 101
        assert outcome == Failure(RequestTooLarge("bytes", len(body)))

    def test_braces_inside_strings_are_no_elements(self) -> None:
        body = b'{"resourceSpans":[{"schemaUrl":"' + b'{[\\"' * 1_100_000 + b'"}]}'

        request = otlp.decode(body, "traces", "json").unwrap()

        assert len(request) > 3_300_000

    def test_a_million_elements_are_allowed_and_one_more_is_not(self) -> None:
        limits = Limits(max_elements=1000)
        most = length_delimited(1, length_delimited(2, b"\x12\0" * 998))
        more = length_delimited(1, length_delimited(2, b"\x12\0" * 999))

        assert otlp.scan(most, "traces", limits).unwrap().record_count == 998
        assert otlp.scan(more, "traces", limits) == Failure(RequestTooLarge("elements", 1000))

    @pytest.mark.parametrize("encoding", ["protobuf", "json"])
    def test_the_size_is_held_against_its_limit_first(self, encoding: Encoding) -> None:
        outcome = otlp.decode(b"\xff" * 101, "logs", encoding, limits=Limits(max_bytes=100))

        assert outcome == Failure(RequestTooLarge("bytes", 100))
        assert outcome.failure().message == (
            "The request holds more than 100 bytes. Send it in smaller batches, or raise the limit."
        )


def resource_attribute(value: bytes) -> bytes:
    return length_delimited(1, length_delimited(1, length_delimited(1, length_delimited(2, value))))


def json_value(depth: int, kind: str) -> str:
    opening, closing = {
        "array": ('{"arrayValue":{"values":[', "]}}"),
        "kvlist": ('{"kvlistValue":{"values":[{"key":"k","value":', "}]}}"),
    }[kind]
    return opening * (depth - 1) + '{"intValue":"1"}' + closing * (depth - 1)


def json_body(value: str) -> bytes:
    attribute = '{"key":"a","value":' + value + "}"
    return f'{{"resourceSpans":[{{"resource":{{"attributes":[{attribute}]}}}}]}}'.encode()


Kind = Literal["array", "kvlist"]


@pytest.mark.parametrize("kind", ["array", "kvlist"])
class TestDepth:
    def test_32_levels_are_allowed_in_both_encodings(self, kind: Kind) -> None:
        request = resource_attribute(any_value_bytes(32, kind))

        text = otlp.encode(request, "traces", "json").unwrap()

        assert otlp.scan(request, "traces").unwrap().record_count == 0
        assert otlp.decode(json_body(json_value(32, kind)), "traces", "json").unwrap()
        assert isinstance(otlp.decode(text, "traces", "json"), Success)

    def test_33_levels_are_refused_in_both_encodings(self, kind: Kind) -> None:
        request = resource_attribute(any_value_bytes(33, kind))

        outcomes = [
            otlp.scan(request, "traces"),
            otlp.decode(request, "traces", "protobuf"),
            otlp.encode(request, "traces", "json"),
            otlp.decode(json_body(json_value(33, kind)), "traces", "json"),
        ]

        for outcome in outcomes:
            error = outcome.failure()
            assert isinstance(error, InvalidRequest)
            assert error.where.startswith("resourceSpans[0].resource.attributes[0].value")
            assert error.found == "an AnyValue nested 33 deep"
            assert error.allowed == "at most 32 levels"

    @pytest.mark.parametrize("depth", [100, 10_000, 100_000])
    def test_any_depth_is_refused_without_a_recursion_error(self, kind: Kind, depth: int) -> None:
        shallow = any_value_bytes(min(depth, 3000), kind)
        outcomes = [
            otlp.scan(resource_attribute(shallow), "traces"),
            otlp.decode(json_body(json_value(depth, kind)), "traces", "json"),
            otlp.decode_export_line(json_body(json_value(depth, kind))),
        ]

        assert all(isinstance(each.failure(), InvalidRequest) for each in outcomes)

    def test_json_takes_nothing_that_protobuf_could_not_read_again(self, kind: Kind) -> None:
        attribute = '{"key":"a","value":' + json_value(32, kind) + "}"
        point = f'{{"exemplars":[{{"filteredAttributes":[{attribute}]}}]}}'
        body = (
            '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":['
            + point
            + "]}}]}]}]}"
        )

        decoded = otlp.decode(body.encode(), "metrics", "json")

        if kind == "array":
            assert isinstance(otlp.scan(decoded.unwrap(), "metrics"), Success)
        else:
            assert decoded.failure().message.endswith(
                "found messages nested deeper than 100 levels; allowed: at most 100 levels."
            )


class TestDepthElsewhere:
    def test_nesting_under_unknown_keys_never_raises(self) -> None:
        for depth in (100, 100_000):
            body = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
            outcome = otlp.decode(body, "traces", "json")
            assert isinstance(outcome, Success if depth == 100 else Failure)

    def test_the_body_of_a_log_record_counts_as_any_value(self) -> None:
        record = length_delimited(5, any_value_bytes(33, "array"))
        request = length_delimited(1, length_delimited(2, length_delimited(2, record)))

        error = otlp.scan(request, "logs").failure()

        assert error.message.startswith(
            "Invalid OTLP request at resourceLogs[0].scopeLogs[0].logRecords[0].body.arrayValue"
        )


class TestMalformedProtobuf:
    @pytest.mark.parametrize(
        ("body", "where", "found"),
        [
            (b"\n\x05ab", "byte 1", "a value of 5 bytes where 2 are left"),
            (b"\x80", "byte 0", "a number that does not end"),
            (b"\x08" + b"\xff" * 10, "byte 1", "a number that does not end"),
            (b"\x00", "byte 0", "the field number 0"),
            (b"\x0f", "byte 0", "the wire type 7"),
            (b"\x0c", "byte 0", "the end of a group 1 that was not begun"),
            (b"\xc3\x3e", "byte 2", "a number that does not end"),
            (b"\x09\0\0", "byte 1", "a value of 8 bytes where 2 are left"),
            (b"\n\x04\x1a\x02\xc3\x28", "byte 4", "bytes in schemaUrl that are not UTF-8"),
            (b"\n" + b"\xff" * 4 + b"\x0f", "byte 1", "a value of 4294967295 bytes"),
            (b"\n" + b"\x80" * 5 + b"\0", "byte 1", "a number that does not end"),
        ],
    )
    def test_the_refusal_says_where_and_what(self, body: bytes, where: str, found: str) -> None:
        error = otlp.scan(body, "traces").failure()

        assert isinstance(error, InvalidRequest)
        assert (error.where, error.found[: len(found)]) == (where, found)
        assert error.allowed == "well-formed protobuf of this signal"

    @pytest.mark.parametrize(
        ("data", "point", "found"),
        [
            (9, length_delimited(6, bytes(9)), "a packed bucketCounts that ends inside a value"),
            (10, length_delimited(8, length_delimited(2, b"\1\x80")), "a number that does not end"),
        ],
    )
    def test_a_packed_field_that_ends_inside_a_value_is_found(
        self, data: int, point: bytes, found: str
    ) -> None:
        metric = length_delimited(data, length_delimited(1, point))
        request = length_delimited(1, length_delimited(2, length_delimited(2, metric)))

        error = otlp.scan(request, "metrics").failure()

        assert isinstance(error, InvalidRequest)
        assert error.found == found

    def test_a_count_over_malformed_bytes_fails_too(self) -> None:
        request = b"\n\0" * 10 + b"\n\x7f"

        error = otlp.scan(request, "traces", Limits(max_elements=10)).failure()

        assert error == InvalidRequest(
            "byte 21",
            "a value of 127 bytes where 0 are left",
            "well-formed protobuf of this signal",
        )
