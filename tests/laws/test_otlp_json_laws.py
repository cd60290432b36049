"""OTLP/JSON by the compiled road is the same function as through the standard library's `json`."""

import json
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.otlp import DEFAULT_LIMITS, Dialect, Limits, RequestTooLarge, Signal
from otlp_capture.otlp.json_decode import decode_by_parsing, parse_text, request_from_json
from otlp_capture.otlp.json_encode import encode_by_parsing
from otlp_capture.otlp.messages import request_table
from tests.memory import mebibytes_for
from tests.roads import compiled_walk
from tests.strategies import (
    any_times,
    any_value_bytes,
    length_delimited,
    mutations,
    otlp_requests,
    varint,
)

Case: TypeAlias = tuple[Signal, bytes]
Text: TypeAlias = tuple[Signal, str]

MAX_DEPTH: Final = DEFAULT_LIMITS.max_any_value_depth
DIALECTS: Final[tuple[Dialect, ...]] = ("otlp", "import")

requests = otlp_requests(times=any_times)
known_requests = otlp_requests(times=any_times, unknown=st.just(b""))
limits = st.builds(Limits, st.integers(0, 40), st.integers(0, 4), st.integers(0, 4000))

KEYS: Final = (
    *("name", "traceId", "trace_id", "attributes", "key", "value", "stringValue", "intValue"),
    *("arrayValue", "values", "scopeSpans", "resource", "schemaUrl", "kind", "unknown", "größe"),
    *("asInt", "asDouble", "bucketCounts", "explicitBounds", "timeUnixNano", "na\\u006de", ""),
)
SCALARS: Final = (
    *("0", "-0", "1", "-1", "-0.0", "0.1", "5.0", "1e3", "1E+2", "1e-7", "5e-324", "1.7e308"),
    *("1e999", "-1e999", "2147483648", "4294967296", "9223372036854775808", "0.30000000000000004"),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775808", "123456789012345678"),
    *("9007199254740993", "1" * 30, "9" * 700, "9" * 5000, "0." + "3" * 700, "1" * 400 + "e0"),
    *("true", "false", "null", '""', '"0"', '"-0"', '"-0.0"', '"007"', '"5.0"', '"1e3"', '"-1"'),
    *('"NaN"', '"Infinity"', '"-Infinity"', '"nan"', '"1e999"', '"18446744073709551616"', '" 5"'),
    *('"00ff"', '"00FF00ff00ff00ff"', '"abc"', '"AAE="', '"_-8"', '"q83vASNFZ4k="', '"é"', '"+1"'),
    *('"\\ud83d\\ude42"', '"\\ud800"', '"\\udc00a"', '"\\ud800\\u0041"', '"\\u0041\\n\\/\\""'),
    *('"SPAN_KIND_SERVER"', '"2"', '"\u2028\U0001f642"', '"\\u0000"', "[]", "{}", "[null]", "[1]"),
)
FAULTS: Final = (
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "0x1",
        "tru",
        "nul",
        "'a'",
    ),
    *('"\\x"', '"\\u12"', '"\x00"', '"\n"', '"', "{", "[", "]", "[1,]", '{"a":1,}', "{1:2}", "1 2"),
    *("[1 2]", '{"a" 1}', "\x00", "\ufeff{}", ",", '"a"', '"a":', '"a":1,', "NaN,", '"a":{},,'),
)


class Raw(str):
    """JSON text, or what is none, that stands for itself."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object whose keys stand in any order, and may come twice."""


def render(value: Any, blank: str = "") -> str:
    """Write a document; *blank* stands wherever blanks may."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        members = [f'"{key}"{blank}:{blank}{render(each, blank)}' for key, each in value]
        return f"{{{blank}{f'{blank},{blank}'.join(members)}{blank}}}"
    if isinstance(value, list):
        items = [render(each, blank) for each in value]
        return f"[{blank}{f'{blank},{blank}'.join(items)}{blank}]"
    return json.dumps(value, ensure_ascii=False)


def document_of(case: Case) -> Any:
    signal, request = case
    text = encode_by_parsing(request, signal, MAX_DEPTH).unwrap()
    return json.loads(text, object_pairs_hook=Pairs)


def containers_in(document: Any) -> list[Any]:
    """Every object and array of a document, the outermost first."""
    found = [document]
    for container in found:
        items = [each for _, each in container] if isinstance(container, Pairs) else container
        found += [each for each in items if isinstance(each, list)]
    return found


scalars = st.sampled_from(SCALARS).map(Raw)
odd_values = st.one_of(
    scalars,
    scalars,
    st.lists(scalars, max_size=3),
    st.lists(st.tuples(st.sampled_from(KEYS), scalars), max_size=2).map(Pairs),
)


def snake_case(key: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in key)


def change(draw: st.DrawFn, document: Any) -> None:
    """Put one thing into a document that its writer would not have written."""
    container = draw(st.sampled_from(containers_in(document)))
    value = draw(odd_values)
    place = draw(st.integers(0, len(container)))
    is_object = isinstance(container, Pairs)
    match draw(st.sampled_from(["replace", "replace", "insert", "repeat", "turn", "snake"])):
        case "replace" if place < len(container):
            container[place] = (container[place][0], value) if is_object else value
        case "repeat" if place < len(container):
            key_and_new = (container[place][0], value) if is_object else value
            container.insert(draw(st.integers(0, len(container))), key_and_new)
        case "turn":
            container.reverse()
        case "snake" if is_object:
            container[:] = [(snake_case(key), each) for key, each in container]
        case _:
            container.insert(place, (draw(st.sampled_from(KEYS)), value) if is_object else value)


@st.composite
def changed_texts(draw: st.DrawFn) -> Text:
    """The text of a request with other values, keys and orders than its writer's."""
    case = draw(known_requests)
    document = document_of(case)
    for _ in range(draw(st.integers(0, 3))):
        change(draw, document)
    blank = draw(st.sampled_from(["", "", " ", "\n\t", "\r\n  "]))
    return case[0], blank + render(document, blank) + blank


@st.composite
def broken_texts(draw: st.DrawFn) -> Case:
    """A text after flips, cuts and splices, some of which leave it JSON."""
    signal, text = draw(changed_texts())
    body = text.encode()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(["flip", "cut", "splice", "fault", "noise"])):
            case "flip" if at < len(body):
                body = body[:at] + bytes([body[at] ^ 1 << draw(st.integers(0, 7))]) + body[at + 1 :]
            case "cut":
                body = body[:at] + body[at + draw(st.integers(0, 9)) :]
            case "splice":
                start = draw(st.integers(0, len(body)))
                body = body[:at] + body[start : start + draw(st.integers(0, 40))] + body[at:]
            case "fault":
                body = body[:at] + draw(st.sampled_from(FAULTS)).encode() + body[at:]
            case _:
                body = body[:at] + draw(st.binary(max_size=4)) + body[at:]
    return signal, body


@pytest.fixture(scope="module")
def kernel() -> Any:
    return compiled_walk()


def decodes_alike(
    kernel: Any, body: bytes, signal: Signal, limits: Limits = DEFAULT_LIMITS
) -> bool:
    """Hold both roads against each other in both dialects; say whether none handed over."""
    answers = [kernel.decode_json(body, signal, dialect, limits) for dialect in DIALECTS]
    for dialect, answer in zip(DIALECTS, answers, strict=True):
        if answer is not None:
            assert answer == decode_by_parsing(body, signal, dialect, limits)
    return None not in answers


def encodes_alike(kernel: Any, request: bytes, signal: Signal) -> bool:
    """Hold both roads against each other; say whether the compiled one did it."""
    text = kernel.encode_json(request, signal, MAX_DEPTH)
    if text is not None:
        assert Success(text) == encode_by_parsing(request, signal, MAX_DEPTH)
    return text is not None


def read_line_by_parsing(line: bytes, limits: Limits) -> Any:
    parsed = parse_text(line, "import", limits)
    if isinstance(parsed, Failure):
        return parsed
    requests = []
    for key, value in parsed.unwrap().items():
        for signal in otlp.SIGNALS:
            if key in request_table(signal).by_any_name and value is not None:
                request = request_from_json({key: value}, signal, "import", limits)
                if isinstance(request, Failure):
                    return request
                requests.append((signal, request.unwrap()))
    return Success(tuple(requests)) if requests else None


def line_is_read_alike(kernel: Any, line: bytes, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Hold both roads against each other; say whether the compiled one did it."""
    answer = kernel.decode_line(line, limits)
    if answer is not None and len(line) <= limits.max_bytes:
        assert answer == read_line_by_parsing(line, limits)
    return answer is not None


class TestDecoding:
    @given(known_requests)
    def test_what_a_writer_writes_is_read_without_a_tree(self, kernel: Any, case: Case) -> None:
        signal, request = case
        text = encode_by_parsing(request, signal, MAX_DEPTH).unwrap()

        assert decodes_alike(kernel, text, signal)

    @given(changed_texts())
    @example(("traces", '{"resourceSpans":[{"schemaUrl":"a","schemaUrl":null}]}'))
    @example(("traces", '{"resourceSpans":[{"schemaUrl":1,"schemaUrl":"a"}]}'))
    @example(("metrics", '{"resourceMetrics":[7],"a":[[[{"b":[]},{}]],{}],"c":{"d":{}}}'))
    def test_the_roads_agree_on_texts_that_are_json(self, kernel: Any, case: Text) -> None:
        decodes_alike(kernel, case[1].encode(), case[0])

    @given(broken_texts())
    def test_the_roads_agree_on_texts_that_are_broken(self, kernel: Any, case: Case) -> None:
        signal, body = case

        decodes_alike(kernel, body, signal)

    @given(changed_texts(), limits)
    def test_the_roads_agree_on_every_limit(self, kernel: Any, case: Text, limits: Limits) -> None:
        body = case[1].encode()
        assume(len(body) <= limits.max_bytes)

        decodes_alike(kernel, body, case[0], limits)

    def test_limits_may_be_larger_than_a_machine_word(self, kernel: Any) -> None:
        body = b'{"resourceSpans":[{"resource":{"attributes":[{"value":{}}]}}]}'

        assert decodes_alike(kernel, body, "traces", Limits(2**80, 2**80, 2**80))

    @given(broken_texts(), limits)
    def test_the_roads_agree_on_the_first_of_several_faults(
        self, kernel: Any, case: Case, limits: Limits
    ) -> None:
        signal, body = case
        assume(len(body) <= limits.max_bytes)

        decodes_alike(kernel, body, signal, limits)

    @given(st.binary(max_size=60), st.sampled_from(otlp.SIGNALS))
    def test_the_roads_agree_on_noise(self, kernel: Any, body: bytes, signal: Signal) -> None:
        decodes_alike(kernel, body, signal)

    @given(known_requests)
    def test_the_roads_agree_on_a_text_cut_at_each_byte(self, kernel: Any, case: Case) -> None:
        signal, request = case
        text = encode_by_parsing(request, signal, MAX_DEPTH).unwrap()
        for end in range(0, len(text), max(1, len(text) // 40)):
            decodes_alike(kernel, text[:end], signal)

    @pytest.mark.parametrize("value", SCALARS)
    @pytest.mark.parametrize(
        "place",
        [
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":%s}]}]}]}',
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":%s}]}]}]}',
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":%s}]}]}]}',
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"flags":%s}]}]}]}',
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":%s}]}]}]}',
            '{"resourceSpans":[{"resource":{"attributes":[{"value":{"intValue":%s}}]}}]}',
            '{"resourceSpans":[{"resource":{"attributes":[{"value":{"boolValue":%s}}]}}]}',
            '{"resourceSpans":[{"resource":{"attributes":[{"value":{"doubleValue":%s}}]}}]}',
            '{"resourceSpans":[{"resource":{"attributes":[{"value":{"bytesValue":%s}}]}}]}',
            '{"resourceSpans":[{"resource":{"attributes":[{"value":{"stringValue":%s}}]}}]}',
            '{"resourceSpans":[{"resource":{"attributes":[{"keyStrindex":%s}]}}]}',
            '{"resourceSpans":[{"resource":%s}]}',
            '{"resourceSpans":%s}',
            '{"resourceSpans":[%s]}',
            '{"unknown":%s}',
            "%s",
        ],
    )
    def test_the_roads_agree_on_each_value_in_each_field(
        self, kernel: Any, value: str, place: str
    ) -> None:
        decodes_alike(kernel, (place % value).encode(), "traces")

    @pytest.mark.parametrize("value", SCALARS)
    @pytest.mark.parametrize("field", ["bucketCounts", "explicitBounds", "sum", "count", "flags"])
    def test_the_roads_agree_on_each_number_of_a_point(
        self, kernel: Any, value: str, field: str
    ) -> None:
        for written in (value, f"[{value}]", f"[0,{value}]"):
            point = f'{{"histogram":{{"dataPoints":[{{"{field}":{written}}}]}}}}'
            body = f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{point}]}}]}}]}}'
            decodes_alike(kernel, body.encode(), "metrics")
            body = body.replace('"histogram"', '"exponentialHistogram"').replace('"sum"', '"scale"')
            decodes_alike(kernel, body.encode(), "metrics")

    @given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 20))
    def test_every_double_is_read_exactly(self, kernel: Any, value: float, digits: int) -> None:
        for number in (repr(value), f"{value:.{digits}e}", f"{value:.{digits}f}"):
            record = f'{{"body":{{"doubleValue":{number}}}}}'
            body = f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}'.encode()
            decodes_alike(kernel, body, "logs")

    @pytest.mark.parametrize("kind", ["array", "kvlist"])
    @pytest.mark.parametrize("depth", [1, 24, 31, 32, 33, 34, 60, 200])
    def test_the_roads_agree_on_nested_values(self, kernel: Any, depth: int, kind: str) -> None:
        opening, closing = {
            "array": ('{"arrayValue":{"values":[', "]}}"),
            "kvlist": ('{"kvlistValue":{"values":[{"key":"k","value":', "}]}}"),
        }[kind]
        value = opening * (depth - 1) + '{"intValue":"1"}' + closing * (depth - 1)
        exemplar = f'{{"filteredAttributes":[{{"value":{value}}}]}}'
        gauge = f'{{"gauge":{{"dataPoints":[{{"exemplars":[{exemplar}]}}]}}}}'
        body = f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{gauge}]}}]}}]}}'.encode()

        assert decodes_alike(kernel, body, "metrics", Limits(max_any_value_depth=60)) or depth > 60
        assert decodes_alike(kernel, body, "metrics") or depth > 60

    @pytest.mark.parametrize("depth", [1, 63, 64, 65, 255, 256, 257])
    @pytest.mark.parametrize("brackets", ["[]", "{}"])
    def test_the_roads_agree_on_nesting_under_unknown_keys(
        self, kernel: Any, depth: int, brackets: str
    ) -> None:
        opening = "[" if brackets == "[]" else '{"a":'
        body = '{"x":' + opening * depth + "0" + brackets[1] * depth + "}"

        decodes_alike(kernel, body.encode(), "traces")
        decodes_alike(kernel, body.replace("]]", "]}", 1).encode(), "traces")

    def test_a_byte_order_mark_is_for_import_on_both_roads(self, kernel: Any) -> None:
        body = b'\xef\xbb\xbf{"resourceLogs":[]}'

        assert kernel.decode_json(body, "logs", "import", DEFAULT_LIMITS) == Success(b"")
        decodes_alike(kernel, body, "logs")
        decodes_alike(kernel, body[:3] + body, "logs")

    def test_a_refused_value_is_told_without_a_tree(self, kernel: Any) -> None:
        body = b'{"resourceSpans":[{},{"scopeSpans":[{"spans":[{"name":7}]}]}],"x":[1,2]}'

        outcome = kernel.decode_json(body, "traces", "otlp", DEFAULT_LIMITS)

        assert outcome.failure().where == "resourceSpans[1].scopeSpans[0].spans[0].name"
        assert decodes_alike(kernel, body, "traces")

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize(
        "place",
        [
            "%s",
            " %s",
            '\n{\n"größe":"é\U0001f642",%s}',
            '{"resourceSpans":[%s]}',
            '{"resourceSpans":[{},\n{"resource": %s}]}',
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":%s}]}]}]}',
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"flags":1 %s }]}]}]}',
            '{"x":[{"y":[]},{"z":[1,\r\n%s]}]}',
            '{"x":{"y":{}%s}}',
            '{"resourceSpans":[]}%s',
        ],
    )
    def test_a_fault_of_the_text_is_told_without_a_tree(
        self, kernel: Any, fault: str, place: str
    ) -> None:
        body = (place % fault).encode()

        assert decodes_alike(kernel, body, "traces")

    @pytest.mark.parametrize("body", [b"[]", b' "a" ', b"[1,{}]", b"7", b"true", b"null", b"[1"])
    def test_a_document_that_is_no_object_is_told_without_a_tree(
        self, kernel: Any, body: bytes
    ) -> None:
        assert decodes_alike(kernel, body, "traces")

    @pytest.mark.parametrize(
        "body",
        [
            b'{"resourceSpans":[],"resourceSpans":[]}',
            b'{"\\u0061":1}',
            b"\xff",
            b'{"a":' + b"1" * 601 + b"}",
            b'{"a":' + b"[" * 257 + b"]" * 257 + b"}",
        ],
        ids=["a key twice", "a key with escapes", "no UTF-8", "a long number", "nested deep"],
    )
    def test_what_would_need_a_tree_is_handed_over(self, kernel: Any, body: bytes) -> None:
        assert kernel.decode_json(body, "traces", "otlp", DEFAULT_LIMITS) is None

    def test_a_refusal_for_size_comes_after_one_for_a_value(self, kernel: Any) -> None:
        counts = ",".join(["1"] * 300)
        point = f'{{"bucketCounts":[{counts}],"explicitBounds":[%s]}}'
        metric = f'{{"histogram":{{"dataPoints":[{point}]}}}}'
        text = f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}'
        limits = Limits(max_bytes=len(text))

        assert decodes_alike(kernel, (text % "").encode(), "metrics", limits)
        assert decodes_alike(kernel, (text % "[]").encode(), "metrics", limits)
        assert kernel.decode_json((text % "").encode(), "metrics", "otlp", limits) == Failure(
            RequestTooLarge("bytes", len(text))
        )


class TestLines:
    @given(st.lists(changed_texts(), min_size=1, max_size=3), limits)
    def test_a_line_is_read_key_by_key(
        self, kernel: Any, cases: list[Text], limits: Limits
    ) -> None:
        texts = [text.strip() for _, text in cases]
        line = f"{{{','.join(text[1:-1] for text in texts if text[1:-1])}}}".encode()

        line_is_read_alike(kernel, line)
        line_is_read_alike(kernel, line, limits)

    @given(broken_texts())
    def test_a_broken_line_is_refused_alike(self, kernel: Any, case: Case) -> None:
        line_is_read_alike(kernel, case[1])

    @pytest.mark.parametrize(
        "line",
        [
            b'{"resource_logs":[{"schemaUrl":"l"}],"x":1,"resourceSpans":[],"resourceMetrics":null}',
            b'\xef\xbb\xbf{"resourceSpans":[{"schema_url":"t"}]}\n',
            b'{"resourceLogs":[],"resourceSpans":[{"scopeSpans":7}]}',
            b'{"resourceLogs":[],"resourceSpans":[}',
            b'{"resourceLogs":7,"resourceSpans":{}}',
            b"[]",
        ],
    )
    def test_a_line_is_read_without_a_tree(self, kernel: Any, line: bytes) -> None:
        assert line_is_read_alike(kernel, line)

    @pytest.mark.parametrize("line", [b"{}", b'{"x":[]}', b'{"resourceLogs":null}'])
    def test_a_line_without_a_signal_is_handed_over(self, kernel: Any, line: bytes) -> None:
        assert kernel.decode_line(line, DEFAULT_LIMITS) is None


class TestEncoding:
    @given(known_requests)
    def test_what_a_parser_writes_is_written_without_messages(
        self, kernel: Any, case: Case
    ) -> None:
        signal, request = case

        assert encodes_alike(kernel, request, signal)

    @given(requests)
    def test_the_roads_agree_on_unknown_fields(self, kernel: Any, case: Case) -> None:
        signal, request = case

        encodes_alike(kernel, request, signal)

    @given(mutations(requests))
    def test_the_roads_agree_on_mutated_bytes(self, kernel: Any, case: Case) -> None:
        signal, body = case

        encodes_alike(kernel, body, signal)

    @given(st.binary(max_size=60), st.sampled_from(otlp.SIGNALS))
    def test_the_roads_agree_on_noise(self, kernel: Any, body: bytes, signal: Signal) -> None:
        encodes_alike(kernel, length_delimited(1, length_delimited(2, body)), signal)
        encodes_alike(
            kernel, length_delimited(1, length_delimited(2, length_delimited(2, body))), signal
        )

    @given(st.floats())
    @example(1e15)
    @example(1e16)
    @example(2.0**53)
    @example(-5.0)
    def test_every_double_is_written_as_python_writes_it(self, kernel: Any, value: float) -> None:
        request = log_record({"double_value": value})

        assert encodes_alike(kernel, request, "logs")

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    @example("".join(map(chr, range(256))))
    def test_every_text_is_written_as_json_dumps_writes_it(self, kernel: Any, text: str) -> None:
        assert encodes_alike(kernel, log_record({"string_value": text}), "logs")

    @given(st.binary())
    def test_all_bytes_are_written_in_base64(self, kernel: Any, value: bytes) -> None:
        assert encodes_alike(kernel, log_record({"bytes_value": value}), "logs")

    @given(st.integers(-(2**63), 2**63 - 1))
    def test_every_integer_is_written_by_its_digits(self, kernel: Any, value: int) -> None:
        assert encodes_alike(kernel, log_record({"int_value": value}), "logs")

    @pytest.mark.parametrize("kind", ["array", "kvlist"])
    @pytest.mark.parametrize("depth", [1, 31, 32, 33, 60])
    def test_the_roads_agree_on_nested_values(self, kernel: Any, depth: int, kind: str) -> None:
        value = any_value_bytes(depth, "array" if kind == "array" else "kvlist")
        attribute = length_delimited(1, length_delimited(1, length_delimited(2, value)))

        assert encodes_alike(kernel, length_delimited(1, attribute), "traces") is (depth <= 32)

    @pytest.mark.parametrize(
        "span",
        [
            varint(6 << 3) + b"\x01" + varint(6 << 3) + b"\x02",
            varint(6 << 3) + b"\x01" + length_delimited(5, b"name"),
            length_delimited(5, b"\xff"),
            length_delimited(5, b"name")[:-1],
            varint(99 << 3 | 3) + varint(99 << 3 | 4),
        ],
        ids=["twice", "out of order", "no UTF-8", "cut", "group"],
    )
    def test_what_would_need_messages_is_handed_over(self, kernel: Any, span: bytes) -> None:
        request = length_delimited(1, length_delimited(2, length_delimited(2, span)))

        assert kernel.encode_json(request, "traces", MAX_DEPTH) is None
        assert otlp.encode(request, "traces", "json") == encode_by_parsing(
            request, "traces", MAX_DEPTH
        )

    @given(known_requests)
    def test_zeros_that_stand_on_the_wire_are_left_out_alike(self, kernel: Any, case: Case) -> None:
        signal, request = case
        zeros = b"".join(varint(number << 3) + b"\0" for number in range(1, 20))
        inner = length_delimited(1, length_delimited(2, length_delimited(2, zeros)))

        encodes_alike(kernel, request + inner, signal)


def log_record(body: dict[str, Any]) -> bytes:
    """A request of one log record with this body."""
    value = AnyValue(**body).SerializeToString()
    record = length_delimited(5, value)
    return length_delimited(1, length_delimited(2, length_delimited(2, record)))


MIB: Final = 1024 * 1024
SIZE: Final = 20 * MIB

# What is left of a text where it stops being JSON is decoded and parsed up to there; a request may
# be as large as its text may be, and grows in a buffer that doubles.
COMPILED_MIB: Final = 3 * 20
# A parsed document: an empty object or list in a list takes 72 bytes for three of text.
PYTHON_MIB: Final = 30 * 20

BEFORE: Final = """
import os, pathlib
os.environ["OTLP_CAPTURE_KERNEL"] = "{road}"
from otlp_capture import otlp
otlp.decode(b"{{}}", "metrics", "json")
body = pathlib.Path({path!r}).read_bytes()
"""


def point_with(field: str) -> str:
    point = f'{{"histogram":{{"dataPoints":[{{"{field}":%s}}]}}}}'
    return f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{point}]}}]}}]}}'


def many(item: str, within: str, last: str) -> str:
    """20 MiB of *item* in an array that stands where *within* has `%s`."""
    count = (SIZE - len(within) - 100) // (len(item) + 1)
    return within % f"[{f'{item},' * count}{last}]"


UNKNOWN: Final = '{"x":%s}'
OPEN: Final = '{"x":%s'
HOSTILE: Final[dict[str, tuple[str, str, str]]] = {
    "objects": ("{}", UNKNOWN, "0"),
    "arrays": ("[]", UNKNOWN, "0"),
    "zeros": ("0", UNKNOWN, "0"),
    "doubles": ("0.5", UNKNOWN, "0"),
    "strings": ('"ab"', UNKNOWN, "0"),
    "objects of a key": ('{"a":"b","c":"d","e":"f"}', UNKNOWN, "0"),
    "a fault behind doubles": ("0.5", OPEN, "NaN"),
    "a fault behind strings": ('"ab"', OPEN, "0"),
    "a fault behind objects": ('{"a":"b","c":"d","e":"f"}', UNKNOWN, '"'),
    "counts": ("1", point_with("bucketCounts"), "1"),
    "counts as decimals": ('"5.0"', point_with("bucketCounts"), "1"),
    "bounds": ("0.5", point_with("explicitBounds"), "1"),
    "bounds that are none": ('"NaN"', point_with("explicitBounds"), "1"),
    "a bound that is wrong": ("0.5", point_with("explicitBounds"), "[]"),
    "exemplars": ("{}", point_with("exemplars"), "{}"),
}


class TestMemory:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_20_mib_cost_the_compiled_road_no_tree(self, name: str, tmp_path: Path) -> None:
        compiled_walk()

        assert mebibytes_to_decode(many(*HOSTILE[name]), "compiled", tmp_path) < COMPILED_MIB

    @pytest.mark.parametrize("name", ["strings", "a fault behind objects", "bounds"])
    def test_20_mib_cost_the_python_road_a_tree_at_most(self, name: str, tmp_path: Path) -> None:
        assert mebibytes_to_decode(many(*HOSTILE[name]), "python", tmp_path) < PYTHON_MIB

    @pytest.mark.parametrize("road", ["compiled", "python"])
    def test_the_most_arrays_and_objects_are_bounded_on_both_roads(
        self, road: str, tmp_path: Path
    ) -> None:
        if road == "compiled":
            compiled_walk()
        most = '{"a":0},' * 999_990 + "[]," * 3_999_990
        body = f'{{"resourceMetrics":[],"resourceMetrics":[],"x":[{most}0]}}'

        assert mebibytes_to_decode(body, road, tmp_path) < PYTHON_MIB


def mebibytes_to_decode(body: str, road: str, folder: Path) -> int:
    """Decode a text in a process of its own; say how much memory that takes beyond the text."""
    path = folder / "body"
    path.write_text(body)
    before = BEFORE.format(road=road, path=str(path))
    return mebibytes_for('otlp.decode(body, "metrics", "json")', before=before)


@pytest.mark.shared_data
class TestRealFiles:
    def test_both_roads_agree_on_every_document_and_request(
        self, kernel: Any, shared_data: Path
    ) -> None:
        files = [
            path
            for path in sorted((shared_data / "otlp").rglob("*"))
            if path.suffix in (".json", ".jsonl")
        ]

        for path in files:
            whole = path.read_bytes()
            for body in [whole, *whole.splitlines()]:
                for signal in otlp.SIGNALS:
                    decodes_alike(kernel, body, signal)
                    request = decode_by_parsing(body, signal, "import", DEFAULT_LIMITS)
                    if isinstance(request, Success):
                        assert encodes_alike(kernel, request.unwrap(), signal)

        assert files
