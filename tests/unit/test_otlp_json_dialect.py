"""OTLP/JSON: what the receiver's dialect and the import dialect take and refuse."""

import base64
import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # no types
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.otlp import Dialect, InvalidRequest, Signal
from otlp_capture.otlp.json_scalars import READINGS, Rejected
from otlp_capture.otlp.messages import request_table
from otlp_capture.result import or_raise
from tests.walks import parse

SPAN = "resourceSpans[0].scopeSpans[0].spans[0]"
POINT = "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints[0]"


def span_body(span: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def read_span(span: dict[str, Any], dialect: Dialect = "otlp") -> Any:
    request = or_raise(otlp.decode(span_body(span), "traces", "json", dialect=dialect))
    return parse(request, "traces").resource_spans[0].scope_spans[0].spans[0]


def refusal(body: bytes, signal: Signal = "traces", dialect: Dialect = "otlp") -> InvalidRequest:
    match otlp.decode(body, signal, "json", dialect=dialect):
        case Failure(InvalidRequest() as error):
            return error
        case other:
            pytest.fail(f"not refused: {other}")


def span_refusal(span: dict[str, Any], dialect: Dialect = "otlp") -> InvalidRequest:
    return refusal(span_body(span), "traces", dialect)


def point_body(point: dict[str, Any]) -> bytes:
    metric = {"sum": {"dataPoints": [point]}}
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()


def read_point(point: dict[str, Any], text: str = "null") -> Any:
    """Read a data point; *text* stands for null in it."""
    body = point_body(point).replace(b"null", text.encode())
    request = or_raise(otlp.decode(body, "metrics", "json"))
    metric = parse(request, "metrics").resource_metrics[0].scope_metrics[0].metrics[0]
    return metric.sum.data_points[0]


TRACE_ID = bytes.fromhex("5b8efff798038103d269b633813fc60c")
SPAN_ID = bytes.fromhex("eee19b7ec3c1b174")


class TestIds:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("5b8efff798038103d269b633813fc60c", TRACE_ID),
            ("5B8EFFF798038103d269b633813FC60C", TRACE_ID),
            (base64.b64encode(TRACE_ID).decode(), TRACE_ID),
            (base64.b64encode(SPAN_ID).decode(), SPAN_ID),
            ("abcd", b"\xab\xcd"),
            ("00000000000000000000000000000000", bytes(16)),
            ("", b""),
        ],
    )
    @pytest.mark.parametrize("dialect", ["otlp", "import"])
    def test_they_are_hex_or_the_base64_of_older_exporters(
        self, text: str, expected: bytes, dialect: Dialect
    ) -> None:
        assert read_span({"traceId": text}, dialect).trace_id == expected
        assert read_span({"parentSpanId": text}, dialect).parent_span_id == expected
        assert read_span({"links": [{"spanId": text}]}, dialect).links[0].span_id == expected

    @pytest.mark.parametrize(
        "text",
        ["zzz", "abc", "!!!INVALID_BASE64!!!", "INVALID==", "AAAA AAAAAA=", "q" * 23, "\u0663" * 2],
    )
    @pytest.mark.parametrize("dialect", ["otlp", "import"])
    def test_anything_else_is_refused(self, text: str, dialect: Dialect) -> None:
        error = span_refusal({"traceId": text}, dialect)

        assert error.where == f"{SPAN}.traceId"
        assert error.found == json.dumps(text)
        assert error.allowed.startswith("hex digits (32 for a trace id, 16 for a span id)")

    @pytest.mark.parametrize("length", [14, 5, 18, 20])
    def test_import_takes_base64_of_any_length(self, length: int) -> None:
        value = bytes(range(200, 200 + length))
        text = base64.b64encode(value).decode()

        assert read_span({"spanId": text}, "import").span_id == value
        assert span_refusal({"spanId": text}).where == f"{SPAN}.spanId"

    def test_the_refusal_names_the_path_the_value_and_what_is_allowed(self) -> None:
        spans: list[dict[str, Any]] = [{}, {}, {}, {"traceId": "zzz"}]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()

        assert refusal(body).message == (
            "Invalid OTLP request at resourceSpans[0].scopeSpans[0].spans[3].traceId: "
            'found "zzz"; allowed: hex digits (32 for a trace id, 16 for a span id).'
        )

    @pytest.mark.parametrize("value", [1, True, [], {}])
    def test_an_id_is_a_string(self, value: object) -> None:
        assert span_refusal({"spanId": value}).where == f"{SPAN}.spanId"


class TestKeys:
    def test_they_are_lower_camel_case_and_all_others_are_ignored(self) -> None:
        span = {"trace_id": "00", "start_time_unix_nano": 5, "name": "a", "colour": {"x": [1]}}

        assert read_span(span) == Span(name="a")

    def test_import_takes_the_names_of_the_proto_files_too(self) -> None:
        span = {"trace_id": "00ff", "start_time_unix_nano": "5", "endTimeUnixNano": 6}

        assert read_span(span, "import") == Span(
            trace_id=b"\x00\xff", start_time_unix_nano=5, end_time_unix_nano=6
        )

    @pytest.mark.parametrize(
        "body", [b"{}", b'{"resourceLogs":[{}],"x":1}', b'{"resourceSpans":null}']
    )
    def test_a_body_without_the_signals_key_is_an_empty_request(self, body: bytes) -> None:
        assert otlp.decode(body, "traces", "json") == Success(b"")

    def test_null_is_unset(self) -> None:
        assert read_span({"name": None, "attributes": None, "status": None, "kind": None}) == Span()

    def test_of_two_equal_keys_the_last_wins(self) -> None:
        body = b'{"resourceSpans":[{"schemaUrl":"a","schemaUrl":"b"}]}'

        assert otlp.decode(body, "traces", "json") == Success(b"\n\x03\x1a\x01b")

    def test_null_is_no_item_of_an_array(self) -> None:
        assert span_refusal({"attributes": [{}, None]}).message == (
            f"Invalid OTLP request at {SPAN}.attributes[1]: found null; allowed: an object."
        )


class TestEnums:
    @pytest.mark.parametrize("number", [0, 2, 99, -1, 2**31 - 1, -(2**31)])
    def test_every_integer_of_32_bits_is_kept(self, number: int) -> None:
        assert read_span({"kind": number}).kind == number

    @pytest.mark.parametrize("value", ["SPAN_KIND_SERVER", "2", 2**31, 1.5, True])
    def test_the_receiver_takes_no_names(self, value: object) -> None:
        assert span_refusal({"kind": value}).where == f"{SPAN}.kind"

    @pytest.mark.parametrize("value", ["SPAN_KIND_SERVER", "2", 2])
    def test_import_takes_names_and_numbers_as_text(self, value: object) -> None:
        assert read_span({"kind": value}, "import").kind == Span.SPAN_KIND_SERVER

    def test_import_refuses_a_name_that_is_none(self) -> None:
        assert span_refusal({"kind": "SPAN_KIND_INVALID_TYPE"}, "import") == InvalidRequest(
            f"{SPAN}.kind",
            '"SPAN_KIND_INVALID_TYPE"',
            "an integer, or a name such as SPAN_KIND_UNSPECIFIED, SPAN_KIND_INTERNAL, "
            "SPAN_KIND_SERVER, SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER, SPAN_KIND_CONSUMER",
        )


class TestIntegers:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("1700000000000000001", 1_700_000_000_000_000_001),
            (1_700_000_000_000_000_001, 1_700_000_000_000_000_001),
            ("18446744073709551615", 2**64 - 1),
            (1e3, 1000),
            (5.0, 5),
            ("5.0", 5),
            ("1e3", 1000),
            ("007", 7),
            (0, 0),
        ],
    )
    def test_64_bits_are_strings_or_numbers(self, value: object, expected: int) -> None:
        assert read_span({"startTimeUnixNano": value}).start_time_unix_nano == expected

    @pytest.mark.parametrize(
        "value",
        [
            *("", " 5", "5 ", "5.5", "-1", "18446744073709551616", "1e999999999", "1e-5"),
            *("0x10", "1_000", "٣", "9" * 100, 5.5, -1, 2**64, 1e30, True, [], {}),
        ],
    )
    def test_what_is_no_unsigned_integer_of_64_bits_is_refused(self, value: object) -> None:
        error = span_refusal({"startTimeUnixNano": value})

        assert error.where == f"{SPAN}.startTimeUnixNano"
        assert error.allowed == "an unsigned integer of 64 bits, as a string or a number"

    @pytest.mark.parametrize("value", [-(2**63), str(-(2**63)), 2**63 - 1, str(2**63 - 1)])
    def test_signed_ones_reach_both_ends(self, value: int | str) -> None:
        assert read_point({"asInt": value}).as_int == int(value)

    @pytest.mark.parametrize(("value", "expected"), [("7", 7), (7, 7), (7.0, 7), (2**32 - 1,) * 2])
    def test_32_bits_are_read_alike(self, value: object, expected: int) -> None:
        assert read_span({"droppedEventsCount": value}).dropped_events_count == expected

    @pytest.mark.parametrize("value", [2**32, -1, "", 0.5, False])
    def test_32_bits_are_bounded(self, value: object) -> None:
        assert span_refusal({"flags": value}).allowed == "an unsigned integer of 32 bits"

    def test_a_number_of_thousands_of_digits_is_refused_at_once(self) -> None:
        body = b'{"resourceSpans":' + b"9" * 1_000_000 + b"}"

        assert refusal(body).found == "a number of over 4,000 digits"


class TestDoubles:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1.5, "1.5"),
            (3, "3.0"),
            ("1.5", "1.5"),
            ("-0.0", "-0.0"),
            (-0.0, "-0.0"),
            ("NaN", "nan"),
            ("Infinity", "inf"),
            ("-Infinity", "-inf"),
        ],
    )
    def test_they_are_numbers_or_strings(self, value: object, expected: str) -> None:
        assert repr(read_point({"asDouble": value}).as_double) == expected

    @pytest.mark.parametrize("text", ["-0", "-0.0", "-0e0", '"-0"'])
    def test_a_zero_keeps_its_sign_however_it_is_written(self, text: str) -> None:
        assert repr(read_point({"asDouble": None}, text).as_double) == "-0.0"
        assert read_point({"asInt": None}, text).as_int == 0

    @pytest.mark.parametrize(
        "value", ["", "nan", "inf", "1e999", "1.", "+1", " 1", True, [], 10**400]
    )
    def test_anything_else_is_refused(self, value: object) -> None:
        assert refusal(point_body({"asDouble": value}), "metrics").where == f"{POINT}.asDouble"

    @pytest.mark.parametrize("text", ["1e999", "-1e999"])
    def test_a_number_beyond_a_double_is_refused(self, text: str) -> None:
        body = point_body({"asDouble": 7.5}).replace(b"7.5", text.encode())

        assert refusal(body, "metrics").found == "a number beyond the range of a double"

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
    def test_bare_constants_are_no_json_wherever_they_stand(self, text: str) -> None:
        body = b'{"resourceMetrics":[],"unknown":' + text.encode() + b"}"

        assert refusal(body, "metrics").found == f"a bare {text}"

    def test_floats_of_32_bits_are_bounded_should_otlp_ever_have_one(self) -> None:
        read, field = READINGS["otlp"].read["float"], request_table("traces").by_number[1]

        assert read("1.5", field) == 1.5
        with pytest.raises(Rejected, match="within the range of a float"):
            read(1e39, field)


class TestOtherValues:
    @pytest.mark.parametrize(("value", "expected"), [(-1, -1), ("5", 5)])
    def test_signed_integers_of_32_bits_are_read(self, value: object, expected: int) -> None:
        read = read_span({"attributes": [{"keyStrindex": value}]})

        assert read.attributes[0].key_strindex == expected

    @pytest.mark.parametrize("value", [0, 1, "true", [], {}])
    def test_a_bool_is_true_or_false(self, value: object) -> None:
        error = span_refusal({"attributes": [{"key": "a", "value": {"boolValue": value}}]})

        assert error.where == f"{SPAN}.attributes[0].value.boolValue"
        assert error.allowed == "true or false"

    @pytest.mark.parametrize("text", ["AAE=", "AAE", "_-8=", "/+8"])
    def test_bytes_are_base64_of_either_alphabet_padded_or_not(self, text: str) -> None:
        value = {"key": "a", "value": {"bytesValue": text}}
        standard = text.replace("_", "/").replace("-", "+").rstrip("=")

        read = read_span({"attributes": [value]}).attributes[0].value.bytes_value

        assert read == base64.b64decode(standard + "=" * (-len(standard) % 4))

    @pytest.mark.parametrize("text", ["A", "A~", "AA==AA==", "é", "A B=", 1])
    def test_bytes_that_are_no_base64_are_refused(self, text: object) -> None:
        error = span_refusal({"attributes": [{"value": {"bytesValue": text}}]})

        assert error.allowed == "a string in base64"

    def test_a_number_is_no_string_but_on_import(self) -> None:
        assert span_refusal({"name": 1}).message == (
            f"Invalid OTLP request at {SPAN}.name: found 1; allowed: a string."
        )
        assert read_span({"name": 1}, "import").name == "1"
        assert span_refusal({"name": True}, "import").allowed == "a string"

    def test_lone_surrogates_are_refused_in_ascii(self) -> None:
        body = b'{"resourceSpans":[{"schemaUrl":"\\ud800"}]}'

        error = refusal(body)

        assert error.found == '"\\ud800"'
        assert error.message.isascii()

    def test_surrogate_pairs_are_characters(self) -> None:
        assert read_span({"name": "🙂"}).name == "🙂"

    @pytest.mark.parametrize(
        ("members", "names"),
        [
            ({"asInt": 1, "asDouble": 1}, "both asInt and asDouble"),
            ({"asDouble": 1, "asInt": 0}, "both asDouble and asInt"),
        ],
    )
    def test_of_a_oneof_only_one_may_be_set(self, members: dict[str, int], names: str) -> None:
        error = refusal(point_body(members), "metrics")

        assert error == InvalidRequest(POINT, names, "one of them")

    def test_a_oneof_member_that_is_null_is_not_set(self) -> None:
        assert read_point({"asInt": 4, "asDouble": None}).as_int == 4

    @pytest.mark.parametrize("value", [{}, "a", 1, None])
    def test_an_array_is_an_array(self, value: object) -> None:
        if value is None:
            assert read_span({"attributes": None}) == Span()
            return
        assert span_refusal({"attributes": value}).allowed == "an array"

    def test_a_long_value_is_shortened(self) -> None:
        error = span_refusal({"traceId": "x" * 100_000})

        assert error.found == f'"{"x" * 40}"... (100000 characters)'


class TestDocuments:
    @pytest.mark.parametrize("body", [b"[]", b"null", b'"a"', b"1", b"true"])
    def test_the_top_level_is_an_object(self, body: bytes) -> None:
        assert refusal(body).allowed == "one JSON object"

    @pytest.mark.parametrize(
        "body", [b"", b" ", b"{", b"{} {}", b"{}x", b"{'a':1}", b'{"a":"\x00"}']
    )
    def test_what_is_no_json_is_refused(self, body: bytes) -> None:
        assert refusal(body).where.startswith("line 1 column ")

    def test_bad_utf8_is_refused_with_its_place(self) -> None:
        assert refusal(b'{"a":"\xff"}') == InvalidRequest(
            "byte 6", "the byte 0xff", "JSON in UTF-8"
        )

    def test_other_encodings_are_not_guessed(self) -> None:
        assert isinstance(otlp.decode("{}".encode("utf-16"), "traces", "json"), Failure)

    def test_a_byte_order_mark_is_for_files(self) -> None:
        body = b'\xef\xbb\xbf{"resourceLogs":[]}'

        assert isinstance(otlp.decode(body, "logs", "json"), Failure)
        assert otlp.decode(body, "logs", "json", dialect="import") == Success(b"")
        assert otlp.decode_export_line(body) == Success((("logs", b""),))


class TestExportLines:
    def test_each_signal_becomes_a_request_in_the_order_of_the_keys(self) -> None:
        line = (
            b'{"resource_logs":[{"schemaUrl":"l"}],"other":1,'
            b'"resourceSpans":[{"schema_url":"t"}],"resourceMetrics":[]}\n'
        )

        assert otlp.decode_export_line(line) == Success(
            (("logs", b"\n\x03\x1a\x01l"), ("traces", b"\n\x03\x1a\x01t"), ("metrics", b""))
        )

    @pytest.mark.parametrize(
        ("line", "found"),
        [
            (b"{}", "an empty object"),
            (b'{"resourceProfiles":[],"a":1}', 'the keys "resourceProfiles", "a"'),
            (b'{"resourceSpans":null}', 'the keys "resourceSpans"'),
        ],
    )
    def test_a_line_without_a_signal_says_so(self, line: bytes, found: str) -> None:
        assert otlp.decode_export_line(line) == Failure(
            InvalidRequest(
                "the document",
                found,
                "at least one of resourceSpans, resourceMetrics, resourceLogs",
            )
        )

    def test_a_line_over_the_limit_is_refused(self) -> None:
        line = b" " * (otlp.DEFAULT_LIMITS.max_bytes + 1)

        assert otlp.decode_export_line(line) == Failure(
            InvalidRequest("the document", "more than 20,971,520 bytes", "smaller requests")
        )

    def test_a_broken_value_fails_the_line(self) -> None:
        line = b'{"resourceLogs":[],"resourceSpans":[{"scopeSpans":7}]}'

        assert otlp.decode_export_line(line) == Failure(
            InvalidRequest("resourceSpans[0].scopeSpans", "7", "an array")
        )


class TestWriting:
    def test_it_follows_the_specification(self) -> None:
        span = {
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174",
            "startTimeUnixNano": "1700000000000000001",
            "kind": 2,
            "name": "größe",
            "attributes": [
                {"key": "b", "value": {"boolValue": False}},
                {"key": "i", "value": {"intValue": "0"}},
                {"key": "d", "value": {"doubleValue": "NaN"}},
                {"key": "y", "value": {"bytesValue": "AAE="}},
                {"key": "n", "value": {}},
                {"key": "l", "value": {"arrayValue": {"values": [{}, {"stringValue": ""}]}}},
            ],
        }
        request = or_raise(otlp.decode(span_body(span), "traces", "json"))

        written = json.loads(or_raise(otlp.encode(request, "traces", "json")))

        assert written == json.loads(span_body(span))

    def test_presence_survives(self) -> None:
        point = {
            "count": "1",
            "sum": 0.0,
            "min": -0.0,
            "max": "-Infinity",
            "bucketCounts": ["1", "0"],
        }
        metric = {"histogram": {"dataPoints": [point], "aggregationTemporality": 1}}
        document = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
        request = or_raise(otlp.decode(json.dumps(document).encode(), "metrics", "json"))

        written = or_raise(otlp.encode(request, "metrics", "json"))

        assert json.loads(written) == document
        read = parse(request, "metrics").resource_metrics[0].scope_metrics[0].metrics[0]
        assert MessageToDict(read)["histogram"]["dataPoints"][0]["sum"] == 0.0
        assert b'"min":-0.0' in written
