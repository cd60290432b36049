"""Laws of the wire, over generated requests of all signals and metric types."""

import contextlib
from typing import TypeAlias

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships no types
from hypothesis import assume, given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, RequestFacts, RequestTooLarge, Signal, TimestampOutOfRange
from otlp_capture.otlp.messages import request_table
from otlp_capture.otlp.wire import check_element_count, explain_refusal
from otlp_capture.result import or_raise
from tests.strategies import LEVELS, any_times, otlp_requests
from tests.walks import (
    is_time,
    messages_in,
    parse,
    with_usual_nans,
    without_unknown_fields,
)

Case: TypeAlias = tuple[Signal, bytes]

nothing_unknown = st.just(b"")
shifts = st.one_of(st.integers(-(10**12), 10**12), st.integers(-(2**64), 2**64))


class TestEncodings:
    @given(otlp_requests(times=any_times, unknown=nothing_unknown))
    def test_a_request_survives_the_way_through_json(self, case: Case) -> None:
        signal, request = case

        text = or_raise(otlp.encode(request, signal, "json"))
        back = or_raise(otlp.decode(text, signal, "json"))

        expected = with_usual_nans(parse(request, signal))
        assert back == expected.SerializeToString(deterministic=True)

    @given(otlp_requests(times=any_times, unknown=nothing_unknown))
    def test_the_import_dialect_reads_what_the_specification_writes(self, case: Case) -> None:
        signal, request = case
        text = or_raise(otlp.encode(request, signal, "json"))

        strict = otlp.decode(text, signal, "json")

        assert otlp.decode(text, signal, "json", dialect="import") == strict
        if request:
            assert otlp.decode_export_line(text) == Success(((signal, or_raise(strict)),))

    @given(otlp_requests(times=any_times))
    def test_unknown_fields_are_all_that_json_drops(self, case: Case) -> None:
        signal, request = case
        known = without_unknown_fields(with_usual_nans(parse(request, signal)))

        text = or_raise(otlp.encode(request, signal, "json"))

        back = or_raise(otlp.decode(text, signal, "json"))
        assert back == known.SerializeToString(deterministic=True)

    @given(otlp_requests(times=any_times))
    def test_protobuf_comes_back_as_the_same_object(self, case: Case) -> None:
        signal, request = case

        assert or_raise(otlp.decode(request, signal, "protobuf")) is request
        assert or_raise(otlp.encode(request, signal, "protobuf")) is request


class TestShift:
    @given(otlp_requests(times=any_times), shifts)
    def test_it_moves_the_timestamps_and_nothing_else(self, case: Case, delta_ns: int) -> None:
        signal, request = case
        message = parse(request, signal)
        times = [
            (each, descriptor.name, value)
            for each in messages_in(message)
            for descriptor, value in each.ListFields()
            if is_time(descriptor)
        ]

        shifted = otlp.shift_timestamps(request, signal, delta_ns)

        if delta_ns and not all(1 <= value + delta_ns < 2**64 for *_, value in times):
            error = shifted.failure()
            assert isinstance(error, TimestampOutOfRange)
            assert error.delta_ns == delta_ns
            return
        for each, name, value in times:
            setattr(each, name, value + delta_ns)
        assert parse(or_raise(shifted), signal) == message

    @given(otlp_requests(times=any_times), shifts)
    def test_there_and_back_is_where_it_was(self, case: Case, delta_ns: int) -> None:
        signal, request = case
        there = otlp.shift_timestamps(request, signal, delta_ns)
        assume(isinstance(there, Success))

        back = or_raise(otlp.shift_timestamps(or_raise(there), signal, -delta_ns))

        assert back == parse(request, signal).SerializeToString(deterministic=True)

    @given(otlp_requests(times=any_times))
    def test_no_shift_is_the_same_bytes(self, case: Case) -> None:
        signal, request = case

        assert or_raise(otlp.shift_timestamps(request, signal, 0)) is request


def facts_by_walking(request: bytes, signal: Signal) -> RequestFacts:
    """What `scan` says, from a slow walk that knows records by the names of their types."""
    records, times = 0, list[int]()
    services: set[str] = set()
    message = parse(request, signal)
    for each in messages_in(message):
        kind = each.DESCRIPTOR.full_name.removeprefix("opentelemetry.proto.")
        if kind == "trace.v1.Span":
            records += 1
            times += [each.start_time_unix_nano, each.end_time_unix_nano]
        elif kind.startswith("metrics.v1.") and kind.endswith("DataPoint"):
            records += 1
            times.append(each.time_unix_nano)
        elif kind == "logs.v1.LogRecord":
            records += 1
            times.append(each.time_unix_nano or each.observed_time_unix_nano)
    for container in getattr(message, LEVELS[signal][0]):
        names = [each for each in container.resource.attributes if each.key == "service.name"]
        services.update(each.value.string_value for each in names[:1])
    set_times = [time for time in times if time] or [0]
    found = tuple(sorted(services - {""}))
    return RequestFacts(records, min(set_times), max(set_times), found)


class TestScan:
    @given(otlp_requests(times=any_times))
    def test_it_says_what_a_walk_over_the_messages_says(self, case: Case) -> None:
        signal, request = case

        assert otlp.scan(request, signal) == Success(facts_by_walking(request, signal))

    @given(otlp_requests(), otlp_requests())
    def test_requests_back_to_back_are_scanned_as_one(self, case: Case, other: Case) -> None:
        signal, request = case
        assume(other[0] == signal)
        one, two = or_raise(otlp.scan(request, signal)), or_raise(otlp.scan(other[1], signal))

        both = or_raise(otlp.scan(request + other[1], signal))

        assert both.record_count == one.record_count + two.record_count
        assert both.services == tuple(sorted({*one.services, *two.services}))

    @given(otlp_requests(), st.integers(0, 30))
    def test_the_element_limit_is_the_number_of_messages_and_repeated_strings(
        self, case: Case, limit: int
    ) -> None:
        signal, request = case
        message = parse(request, signal)
        elements = sum(1 for _ in messages_in(message)) - 1
        elements += sum(
            len(value)
            for each in messages_in(message)
            for descriptor, value in each.ListFields()
            if descriptor.is_repeated and descriptor.type == descriptor.TYPE_STRING
        )

        counted = check_element_count(
            request, request_table(signal), otlp.Limits(max_elements=limit)
        )

        expected = (
            Failure(RequestTooLarge("elements", limit)) if elements > limit else Success(None)
        )
        assert counted == expected


def mutate(body: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """Replace a few stretches of *body*."""
    for start, length, replacement in cuts:
        at = start % (len(body) + 1)
        body = body[:at] + replacement + body[at + length :]
    return body


mutations = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 3), st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


class TestHostileBytes:
    @given(otlp_requests(times=any_times), mutations, st.sampled_from(SIGNALS))
    def test_nothing_raises_on_mutated_protobuf(
        self, case: Case, cuts: list[tuple[int, int, bytes]], signal: Signal
    ) -> None:
        body = mutate(case[1], cuts)

        scanned = otlp.scan(body, signal)
        otlp.decode(body, signal, "protobuf")
        otlp.encode(body, signal, "json")
        otlp.shift_timestamps(body, signal, 1)
        canonical = otlp.canonical_records(body, signal)

        assert isinstance(scanned, Failure) >= isinstance(canonical, Failure)

    @given(otlp_requests(times=any_times), mutations)
    def test_the_walk_refuses_nothing_that_the_parser_takes(
        self, case: Case, cuts: list[tuple[int, int, bytes]]
    ) -> None:
        signal, request = case
        body = mutate(request, cuts)
        parsed = None
        with contextlib.suppress(DecodeError):
            parsed = parse(body, signal)

        counted = check_element_count(body, request_table(signal), otlp.Limits(max_elements=0))
        explained = explain_refusal(body, request_table(signal))

        if parsed is None:
            assert "do not parse" not in explained.found
        else:
            assert not isinstance(counted, Failure) or isinstance(
                counted.failure(), RequestTooLarge
            )
            assert explained.found == f"{len(body)} bytes that do not parse"

    @given(otlp_requests(unknown=nothing_unknown), mutations, st.sampled_from(SIGNALS))
    def test_nothing_raises_on_mutated_json(
        self, case: Case, cuts: list[tuple[int, int, bytes]], signal: Signal
    ) -> None:
        body = mutate(or_raise(otlp.encode(case[1], case[0], "json")), cuts)

        strict = otlp.decode(body, signal, "json")
        wide = otlp.decode(body, signal, "json", dialect="import")
        otlp.decode_export_line(body)
        otlp.decode_response(body, signal, "json")
        otlp.decode_status(body, "json")

        assert isinstance(strict, Failure) or isinstance(wide, Success)

    @given(st.binary(max_size=64), st.sampled_from(SIGNALS))
    def test_nothing_raises_on_noise(self, body: bytes, signal: Signal) -> None:
        for encoding in ("protobuf", "json"):
            otlp.decode(body, signal, encoding)
            otlp.decode_response(body, signal, encoding)
            otlp.decode_status(body, encoding)

    @given(otlp_requests(times=any_times))
    def test_what_is_decoded_from_json_is_scanned(self, case: Case) -> None:
        signal, request = case
        text = or_raise(otlp.encode(request, signal, "json"))

        scanned = otlp.scan(or_raise(otlp.decode(text, signal, "json")), signal)

        assert scanned == Success(facts_by_walking(request, signal))
