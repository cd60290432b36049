"""What a comparison of two recordings reports, and how it says that it cannot tell."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp_capture.capture import InvalidConfig, StorageFailure
from otlp_capture.otlp import RequestFacts, Signal, decode_export_line, shift_timestamps
from otlp_capture.result import Failure, or_raise
from otlp_capture.sessions import (
    Arrival,
    InvalidSessionId,
    SessionNotFound,
    encode_frame,
)
from otlp_capture.storage import S3Storage, StorageFault
from otlp_replay.errors import DataCorrupted, DecompressionFailure
from otlp_replay.verify import Comparison, ShiftFound, verify
from tests.sessions import SECOND, START, Recorded, arriving, opened_memory, write_session

pytestmark = pytest.mark.anyio

Case = tuple[Signal, bytes]
HOUR = 3600 * SECOND


@pytest.fixture
async def storage() -> AsyncIterator[S3Storage]:
    async with opened_memory() as opened:
        yield opened


def logs(*records: tuple[str, int], service: str = "cart", severity: str = "INFO") -> Case:
    request = ExportLogsServiceRequest()
    container = request.resource_logs.add()
    container.resource.attributes.add(key="service.name").value.string_value = service
    scope = container.scope_logs.add()
    for body, time in records:
        record = scope.log_records.add(time_unix_nano=time, severity_text=severity)
        record.body.string_value = body
    return "logs", request.SerializeToString()


def spans(*names: str, service: str = "cart", start: int = START) -> Case:
    request = ExportTraceServiceRequest()
    container = request.resource_spans.add()
    container.resource.attributes.add(key="service.name").value.string_value = service
    scope = container.scope_spans.add()
    for number, name in enumerate(names):
        scope.spans.add(
            name=name,
            trace_id=bytes([1] * 16),
            span_id=bytes([number] * 8),
            start_time_unix_nano=start + number,
            end_time_unix_nano=start + number + 5,
        )
    return "traces", request.SerializeToString()


def point(value: int, time: int = START, start: int = START - HOUR) -> Case:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="orders")
    sum_point = metric.sum.data_points.add(
        as_int=value, time_unix_nano=time, start_time_unix_nano=start
    )
    sum_point.attributes.add(key="shop").value.string_value = "north"
    return "metrics", request.SerializeToString()


async def compared(
    storage: S3Storage, a: Sequence[Case], b: Sequence[Case], **asked: Any
) -> Comparison:
    await write_session(storage, "a", arriving(a))
    await write_session(storage, "b", arriving(b, start=START + HOUR))
    return or_raise(await verify(storage, "a", "b", **asked))


def counts(comparison: Comparison) -> tuple[int, int, int, int]:
    return (comparison.missing, comparison.extra, comparison.duplicated, comparison.changed)


class TestReport:
    async def test_it_is_one_json_object_in_camel_case(self, storage: S3Storage) -> None:
        a = [spans("GET /", "SELECT"), logs(("up", START))]
        b = [spans("GET /", "select"), logs(("up", START), ("up", START))]

        report = (await compared(storage, a, b)).to_json()

        keys = [report["differences"][0]["b"].pop("key")]
        keys += [report["differences"][1][side].pop("key") for side in "ab"]
        assert [key.split("/")[1] for key in keys] == ["b", "a", "b"]
        assert json.loads(json.dumps(report)) == {
            "equal": False,
            "missing": 0,
            "extra": 0,
            "duplicated": 1,
            "changed": 1,
            "shift": {"mode": "auto", "ns": 0, "minNs": 0, "maxNs": 0},
            "recordsA": 3,
            "recordsB": 4,
            "requestsA": 2,
            "requestsB": 2,
            "byService": [
                {
                    "signal": "traces",
                    "service": "cart",
                    "recordsA": 2,
                    "recordsB": 2,
                    "missing": 0,
                    "extra": 0,
                    "duplicated": 0,
                    "changed": 1,
                },
                {
                    "signal": "logs",
                    "service": "cart",
                    "recordsA": 1,
                    "recordsB": 2,
                    "missing": 0,
                    "extra": 0,
                    "duplicated": 1,
                    "changed": 0,
                },
            ],
            "byField": [
                {"signal": "traces", "service": "cart", "field": "spans.name", "changed": 1}
            ],
            "active": [],
            "differences": [
                {
                    "kind": "duplicated",
                    "signal": "logs",
                    "service": "cart",
                    "record": 'log INFO "up" at 2025-11-23T01:23:20.000000000Z',
                    "a": None,
                    "b": {
                        "offset": 0,
                        "receivedUnixNano": START + HOUR + SECOND,
                        "path": "resourceLogs[0].scopeLogs[0].logRecords[1]",
                    },
                    "field": None,
                },
                {
                    "kind": "changed",
                    "signal": "traces",
                    "service": "cart",
                    "record": "span SELECT (span id 0101010101010101, "
                    "trace id 01010101010101010101010101010101)",
                    "a": {
                        "offset": 0,
                        "receivedUnixNano": START,
                        "path": "resourceSpans[0].scopeSpans[0].spans[1]",
                    },
                    "b": {
                        "offset": 0,
                        "receivedUnixNano": START + HOUR,
                        "path": "resourceSpans[0].scopeSpans[0].spans[1]",
                    },
                    "field": {"path": "spans.name", "a": "SELECT", "b": "select"},
                },
            ],
        }

    async def test_people_read_a_line_for_each_difference(self, storage: S3Storage) -> None:
        a = [spans("GET /"), logs(("gone", START)), point(3)]
        b = [spans("GET /"), logs(("came", START), service=""), point(4)]

        comparison = await compared(storage, a, b)

        assert [str(each) for each in comparison.differences] == [
            'missing: log INFO "gone" at 2025-11-23T01:23:20.000000000Z of service cart',
            'extra: log INFO "came" at 2025-11-23T01:23:20.000000000Z',
            (
                'changed: point of orders {shop="north"} at 2025-11-23T01:23:20.000000000Z; '
                "dataPoints.asInt is 3 in A and 4 in B"
            ),
        ]

    async def test_the_declared_shift_is_never_the_difference(self, storage: S3Storage) -> None:
        a = [spans("GET /", "SELECT"), spans("POST /", service="pay")]
        b = [spans("GET /", "select", start=START + HOUR)]
        b += [spans("POST /", service="pay", start=START + HOUR)]

        comparison = await compared(storage, a, b)

        assert comparison.shift == ShiftFound("auto", HOUR, HOUR, HOUR)
        assert [each.field and each.field.path for each in comparison.differences] == ["spans.name"]

    async def test_a_time_that_moved_otherwise_is_shown_as_it_stands(
        self, storage: S3Storage
    ) -> None:
        a = [point(1), point(2, START + SECOND), point(3, START + 2 * SECOND)]
        moved = START - HOUR + 7
        b = [point(1, START + 7, moved), point(2, START + SECOND + 7, moved)]
        b += [point(3, START + 2 * SECOND + 7)]

        comparison = await compared(storage, a, b)

        assert comparison.shift.ns == 7
        (difference,) = comparison.differences
        assert difference.field is not None
        assert difference.field.to_json() == {
            "path": "dataPoints.startTimeUnixNano",
            "a": START - HOUR,
            "b": START - HOUR,
        }

    async def test_examples_are_the_first_of_each_kind(self, storage: S3Storage) -> None:
        a = [logs((f"gone {number}", START)) for number in range(5)]
        b = [logs((f"came {number}", START)) for number in range(4)]

        comparison = await compared(storage, a, b, max_examples=2)

        assert counts(comparison) == (5, 4, 0, 0)
        assert [each.record.split('"')[1] for each in comparison.differences] == [
            "gone 0",
            "gone 1",
            "came 0",
            "came 1",
        ]

    async def test_without_examples_it_still_counts(self, storage: S3Storage) -> None:
        comparison = await compared(storage, [logs(("x", START))], [], max_examples=0)

        assert counts(comparison) == (1, 0, 0, 0)
        assert comparison.differences == ()

    async def test_long_values_are_cut_to_what_sets_them_apart(self, storage: S3Storage) -> None:
        a, b = spans("x" * 5000 + "a" + "y" * 5000), spans("x" * 5000 + "b" + "y" * 5000)

        (difference,) = (await compared(storage, [a], [b])).differences

        assert difference.field is not None
        assert difference.field.a == "…" + "x" * 40 + "a" + "y" * 159 + "…"
        assert difference.field.b == "…" + "x" * 40 + "b" + "y" * 159 + "…"
        assert len(difference.record) < 400

    async def test_a_record_that_changed_its_service_counts_where_it_was(
        self, storage: S3Storage
    ) -> None:
        comparison = await compared(storage, [spans("x")], [spans("x", service="pay")])

        assert [(row.service, row.changed) for row in comparison.by_service] == [
            ("cart", 1),
            ("pay", 0),
        ]

    async def test_unknown_fields_of_empty_containers_count_and_are_no_records(
        self, storage: S3Storage
    ) -> None:
        a: Case = ("logs", b"\xc0\x3e\x07")
        b: Case = ("logs", b"\xc0\x3e\x08")

        comparison = await compared(storage, [a], [b])

        assert counts(comparison) == (0, 0, 0, 1)
        assert (comparison.records_a, comparison.records_b) == (0, 0)
        assert str(comparison.differences[0]) == (
            "changed: unknown fields of a request without records; "
            'request.unknownFields is "c03e07" in A and "c03e08" in B'
        )

    async def test_only_the_chosen_signals_are_compared(self, storage: S3Storage) -> None:
        a, b = [spans("x"), logs(("a", START))], [spans("x"), logs(("b", START))]

        comparison = await compared(storage, a, b, signals=("traces",))

        assert comparison.equal
        assert (comparison.requests_a, comparison.records_a) == (1, 1)

    async def test_the_sessions_may_lie_in_two_stores(self, storage: S3Storage) -> None:
        async with opened_memory() as elsewhere:
            await write_session(storage, "same", arriving([spans("x")]))
            await write_session(elsewhere, "same", arriving([spans("y")]), has_manifest=False)

            comparison = or_raise(await verify(storage, "same", "same", storage_b=elsewhere))

        assert counts(comparison) == (0, 0, 0, 1)


class TestConstant:
    async def test_regular_heartbeats_do_not_mislead_it(self, storage: S3Storage) -> None:
        beats = [logs(("beat", START + number * SECOND)) for number in range(10)]
        moved = [logs(("beat", START + HOUR + number * SECOND)) for number in range(10)]

        comparison = await compared(storage, beats, moved[:4] + moved[5:])

        assert comparison.shift == ShiftFound("auto", HOUR, HOUR, HOUR)
        assert counts(comparison) == (1, 0, 0, 0)

    async def test_where_nothing_matches_it_is_0(self, storage: S3Storage) -> None:
        comparison = await compared(storage, [spans("x")], [spans("y", start=START + HOUR)])

        assert comparison.shift == ShiftFound("auto", 0, 0, 0)
        assert counts(comparison) == (0, 0, 0, 1)

    async def test_unset_times_do_not_move(self, storage: S3Storage) -> None:
        a = [logs(("x", START), ("y", 0))]
        b = [logs(("x", START + 5), ("y", 0))]

        assert (await compared(storage, a, b)).equal

    async def test_a_given_constant_is_taken_as_it_is(self, storage: S3Storage) -> None:
        a, b = [logs(("x", START), ("y", START))], [logs(("x", START + 5), ("y", START + 6))]

        comparison = await compared(storage, a, b, shift="constant", shift_ns=6)

        assert comparison.shift == ShiftFound("constant", 6, 6, 6)
        assert counts(comparison) == (0, 0, 0, 1)


class TestPerRequest:
    async def test_it_reports_the_range_of_shifts(self, storage: S3Storage) -> None:
        a = [logs(("x", START), ("y", START + 1)), logs(("z", START))]
        b = [logs(("z", START - 3)), logs(("y", START + 6), ("x", START + 5))]

        comparison = await compared(storage, a, b, shift="per-request")

        assert comparison.equal
        assert comparison.shift == ShiftFound("per-request", None, -3, 5)

    async def test_it_does_not_go_with_other_batches(self, storage: S3Storage) -> None:
        a = [logs(("x", START), ("y", START + 1))]
        b = [logs(("x", START)), logs(("y", START + 1))]

        assert counts(await compared(storage, a, b, shift="per-request")) == (1, 1, 0, 0)

    async def test_a_record_lost_from_a_request_is_missing(self, storage: S3Storage) -> None:
        a = [logs(("x", START), ("y", START + 1)), logs(("z", START))]
        b = [logs(("y", START + 10)), logs(("z", START + 20))]

        comparison = await compared(storage, a, b, shift="per-request")

        assert counts(comparison) == (1, 0, 0, 0)
        assert comparison.shift == ShiftFound("per-request", None, 9, 20)

    async def test_a_lost_request_is_missing_and_a_new_one_is_extra(
        self, storage: S3Storage
    ) -> None:
        a = [logs(("x", START), ("y", START)), logs(("z", START))]
        b = [logs(("z", START + 1)), spans("new", "newer", "newest")]

        assert counts(await compared(storage, a, b, shift="per-request")) == (2, 3, 0, 0)

    @pytest.mark.parametrize("later", [0, 50])
    async def test_a_request_that_arrived_again_is_duplicated(
        self, storage: S3Storage, later: int
    ) -> None:
        a = [logs(("x", START), ("y", START + 1)), logs(("z", START))]
        b = [
            logs(("x", START + 5), ("y", START + 6)),
            logs(("x", START + 5 + later), ("y", START + 6 + later)),
            logs(("z", START + 9)),
        ]

        comparison = await compared(storage, a, b, shift="per-request")

        assert counts(comparison) == (0, 0, 2, 0)
        assert comparison.shift == ShiftFound("per-request", None, 5, max(9, 5 + later))

    async def test_a_changed_request_that_arrived_again_is_changed_and_duplicated(
        self, storage: S3Storage
    ) -> None:
        a = [logs(("x", START), ("y", START + 1))]
        b = [logs(("x", START + 5), ("other", START + 6))] * 2

        assert counts(await compared(storage, a, b, shift="per-request")) == (1, 2, 1, 0)

    async def test_a_changed_record_names_its_field_and_not_the_shift(
        self, storage: S3Storage
    ) -> None:
        a, b = [point(1)], [point(2, START + HOUR, START)]

        comparison = await compared(storage, a, b, shift="per-request")

        assert comparison.shift == ShiftFound("per-request", HOUR, HOUR, HOUR)
        assert [each.field and each.field.path for each in comparison.differences] == [
            "dataPoints.asInt"
        ]

    async def test_what_most_requests_share_pairs_them_in_order(self, storage: S3Storage) -> None:
        a = [logs(("beat", START + number), severity="INFO") for number in range(1100)]
        b = [logs(("beat", START + number), severity="info") for number in range(1100)]

        comparison = await compared(storage, a, b, shift="per-request")

        assert counts(comparison) == (0, 0, 0, 1100)
        assert comparison.shift == ShiftFound("per-request", 0, 0, 0)

    async def test_empty_requests_make_no_difference(self, storage: S3Storage) -> None:
        empty: Case = ("logs", b"")

        comparison = await compared(storage, [empty, logs(("x", 0))], [logs(("x", 0))])

        assert comparison.equal
        assert (comparison.requests_a, comparison.requests_b) == (2, 1)


class TestFailure:
    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            (
                {"shift": "guess"},
                "shift cannot be 'guess': use one of auto, none, constant, per-request.",
            ),
            (
                {"shift": "auto", "shift_ns": 5},
                (
                    "shift_ns cannot be 5: a shift is given only with the shift 'constant', "
                    "not with 'auto'."
                ),
            ),
            (
                {"signals": ()},
                (
                    "signals cannot be (): name at least one of traces, metrics, logs, "
                    "and nothing else."
                ),
            ),
            ({"max_examples": -1}, "max_examples cannot be -1: use 0 or more."),
        ],
    )
    async def test_an_argument_that_cannot_be_is_named(
        self, storage: S3Storage, asked: dict[str, Any], message: str
    ) -> None:
        error = (await verify(storage, "a", "b", **asked)).failure()

        assert isinstance(error, InvalidConfig)
        assert error.message == message

    async def test_an_unknown_session_is_named(self, storage: S3Storage) -> None:
        await write_session(storage, "a", arriving([spans("x")]))

        assert await verify(storage, "a", "b") == Failure(SessionNotFound("b"))
        assert await verify(storage, "b", "a") == Failure(SessionNotFound("b"))
        assert await verify(storage, "a", "../a") == Failure(InvalidSessionId("../a"))

    @pytest.mark.parametrize("has_manifest", [True, False])
    async def test_a_damaged_session_could_not_be_told(
        self, storage: S3Storage, *, has_manifest: bool
    ) -> None:
        for session_id in "ab":
            await write_session(
                storage, session_id, arriving([spans("x" * 100)]), has_manifest=has_manifest
            )
        (key,) = [or_raise(each).key async for each in storage.list_objects("sessions/b/raw/")]
        segment = bytearray(or_raise(await storage.retrieve_raw_data(key)))
        segment[-1] ^= 1
        await storage.store_raw_data(bytes(segment), key)

        for sessions in (("a", "b"), ("b", "a")):
            error = (await verify(storage, *sessions)).failure()
            assert isinstance(error, DataCorrupted | DecompressionFailure)
            assert error.session_id == "b"
            assert key in error.message

    async def test_a_frame_that_holds_nonsense_could_not_be_told(self, storage: S3Storage) -> None:
        def nonsense(_: bytes, facts: RequestFacts, arrival: Arrival) -> bytes:
            return encode_frame(b"\x0f", facts, arrival)

        await write_session(storage, "a", arriving([spans("x")]))
        await write_session(
            storage, "c", [Recorded("traces", b"", START)], encode=nonsense, has_manifest=False
        )

        error = (await verify(storage, "a", "c")).failure()

        assert isinstance(error, DataCorrupted)
        assert "sessions/c/raw/" in error.message

    async def test_a_store_that_fails_is_said(self, storage: S3Storage) -> None:
        class Failing:
            def __getattr__(self, name: str) -> Any:
                return getattr(storage, name)

            async def retrieve_raw_data(self, key: str, **asked: Any) -> Any:
                if "/raw/" in key:
                    return Failure(StorageFault("memory:", key, "InternalError", "later"))
                return await storage.retrieve_raw_data(key, **asked)

        await write_session(storage, "a", arriving([spans("x")]))

        outcome = await verify(storage, "a", "a", storage_b=cast("S3Storage", Failing()))

        error = outcome.failure()
        assert isinstance(error, StorageFailure)
        assert isinstance(error.cause, StorageFault)


@pytest.mark.shared_data
class TestRealCapture:
    async def test_it_is_told_under_every_shift(
        self, storage: S3Storage, shared_data: Path
    ) -> None:
        lines = (shared_data / "otlp/otel-tui/test_data.json").read_bytes().splitlines()
        requests = [each for line in lines if line for each in or_raise(decode_export_line(line))]
        later = [
            (signal, or_raise(shift_timestamps(request, signal, HOUR + number)))
            for number, (signal, request) in enumerate(requests)
        ]

        by_request = await compared(storage, requests, later, shift="per-request")
        by_constant = or_raise(await verify(storage, "a", "b"))

        assert by_request.equal
        assert by_request.shift == ShiftFound("per-request", None, HOUR, HOUR + 96)
        assert (by_request.requests_a, by_request.records_a) == (97, 547 + 4551 + 23)
        assert not by_constant.equal
