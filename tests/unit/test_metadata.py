"""The document that describes a session."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.clock import moment
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    CaptureSwitches,
    EndReason,
    Hold,
    MetadataCorrupted,
    RecordCounts,
    SessionStatus,
    metadata_document,
)
from otlp_capture.sessions.metadata import decode_metadata, encode_metadata

KEY = "sessions/checkout/metadata.json"
START = datetime(2025, 11, 23, 1, 23, 20, 123456, UTC)

FOREIGN: Mapping[str, Any] = {
    "sessionId": "checkout",
    "startTime": "2025-11-23T01:23:20.123Z",
    "status": "completed",
    "enabledFlags": [],
    "capturedTraces": 3,
    "capturedMetrics": 0,
    "capturedLogs": 1,
    "totalSizeBytes": 4_711,
    "s3Prefix": "sessions/checkout",
    "createdBy": "otlp-capture-service",
}
"""What another implementation of the layout writes."""


def decode(document: Mapping[str, Any]) -> Any:
    return decode_metadata(KEY, json.dumps(document).encode())


texts = st.text(max_size=8)
counts = st.integers(0, 2**63)
limits = st.none() | st.floats(1e-3, 1e9)
moments = st.integers(0, 2**64 - 1).map(moment)
switches = st.builds(
    CaptureSwitches, st.booleans(), st.booleans(), st.booleans(), st.booleans(), limits, limits
)
metadatas = st.builds(
    CaptureSessionMetadata,
    session_id=texts,
    start_time=moments,
    status=st.sampled_from(get_args(SessionStatus)),
    s3_prefix=texts,
    created_by=texts,
    diagnostic_session_id=st.none() | texts,
    end_time=st.none() | moments,
    enabled_flags=st.lists(texts, max_size=3).map(tuple),
    captured_traces=counts,
    captured_metrics=counts,
    captured_logs=counts,
    total_size_bytes=counts,
    description=st.none() | texts,
    record_counts=st.builds(RecordCounts, counts, counts, counts),
    total_raw_bytes=counts,
    last_checkpoint_time=st.none() | moments,
    labels=st.dictionaries(texts, texts, max_size=3),
    capture=switches,
    end_reason=st.none() | st.sampled_from(get_args(EndReason)),
)


class TestOurs:
    def test_its_fields_have_the_documented_names(self) -> None:
        metadata = CaptureSessionMetadata(
            session_id="checkout",
            diagnostic_session_id="d-1",
            start_time=START,
            end_time=START + timedelta(seconds=1),
            status="completed",
            enabled_flags=("paymentFailure",),
            captured_traces=1,
            captured_metrics=2,
            captured_logs=3,
            total_size_bytes=4,
            s3_prefix="sessions/checkout",
            created_by="tests",
            description="größer",
            record_counts=RecordCounts(spans=5, data_points=6, log_records=7),
            total_raw_bytes=8,
            last_checkpoint_time=START,
            labels={"snake_case": "kept"},
            capture=CaptureSwitches(max_size_mb=1.5, max_duration_minutes=2.0),
            end_reason="maxSize",
        )

        assert metadata_document(metadata) == {
            "sessionId": "checkout",
            "diagnosticSessionId": "d-1",
            "startTime": "2025-11-23T01:23:20.123456Z",
            "endTime": "2025-11-23T01:23:21.123456Z",
            "status": "completed",
            "enabledFlags": ["paymentFailure"],
            "capturedTraces": 1,
            "capturedMetrics": 2,
            "capturedLogs": 3,
            "totalSizeBytes": 4,
            "s3Prefix": "sessions/checkout",
            "createdBy": "tests",
            "description": "größer",
            "schemaVersion": 1,
            "recordCounts": {"spans": 5, "dataPoints": 6, "logRecords": 7},
            "totalRawBytes": 8,
            "lastCheckpointTime": "2025-11-23T01:23:20.123456Z",
            "labels": {"snake_case": "kept"},
            "capture": {
                "traces": True,
                "metrics": True,
                "logs": True,
                "compressionEnabled": True,
                "maxSizeMB": 1.5,
                "maxDurationMinutes": 2.0,
            },
            "endReason": "maxSize",
        }
        assert metadata.captured_requests == 6

    def test_what_is_not_set_is_left_out(self) -> None:
        metadata = CaptureSessionMetadata(
            session_id="s", start_time=START, status="active", s3_prefix="p", created_by="c"
        )

        document = metadata_document(metadata)

        assert document["startTime"] == "2025-11-23T01:23:20.123456Z"
        optional = {"diagnosticSessionId", "endTime", "description", "lastCheckpointTime"}
        assert not document.keys() & {*optional, "endReason"}

    def test_it_is_text_for_people(self) -> None:
        metadata = or_raise(decode({**FOREIGN, "description": "größer"}))

        assert '\n  "description": "größer",\n' in encode_metadata(metadata).decode()

    def test_labels_are_a_copy(self) -> None:
        labels = {"a": "b"}
        metadata = CaptureSessionMetadata(
            session_id="s",
            start_time=START,
            status="active",
            s3_prefix="p",
            created_by="c",
            labels=MappingProxyType(labels),
        )
        labels["a"] = "changed"

        assert metadata_document(metadata)["labels"] == {"a": "b"}

    @given(metadatas)
    def test_it_comes_back(self, metadata: CaptureSessionMetadata) -> None:
        assert decode_metadata(KEY, encode_metadata(metadata)) == Success(metadata)


class TestForeign:
    def test_it_is_read(self) -> None:
        assert decode(FOREIGN) == Success(
            CaptureSessionMetadata(
                session_id="checkout",
                start_time=datetime(2025, 11, 23, 1, 23, 20, 123000, UTC),
                status="completed",
                captured_traces=3,
                captured_logs=1,
                total_size_bytes=4_711,
                s3_prefix="sessions/checkout",
                created_by="otlp-capture-service",
            )
        )

    def test_unknown_fields_survive(self) -> None:
        foreign = {
            **FOREIGN,
            "storageClass": {"tier": ["cold", None]},
            "snake_case": 1.5,
            "capture": {"profiles": True, "maxSizeMB": 3},
            "recordCounts": {"spans": 4, "profiles": 5},
        }

        metadata = or_raise(decode(foreign))
        written = metadata_document(or_raise(decode(metadata_document(metadata))))

        assert metadata.record_counts == RecordCounts(spans=4)
        assert metadata.capture.max_size_mb == 3
        assert written["storageClass"] == {"tier": ["cold", None]}
        assert written["snake_case"] == 1.5
        assert written["capture"].items() >= {"profiles": True, "maxSizeMB": 3}.items()
        assert written["recordCounts"] == {
            "spans": 4,
            "dataPoints": 0,
            "logRecords": 0,
            "profiles": 5,
        }

    @given(st.dictionaries(st.text().map(lambda name: f"x{name}"), st.none() | st.text()))
    def test_any_unknown_field_survives(self, unknown: dict[str, str | None]) -> None:
        written = encode_metadata(or_raise(decode({**unknown, **FOREIGN})))

        assert json.loads(written).items() >= unknown.items()

    def test_text_that_utf8_cannot_carry_survives(self) -> None:
        metadata = or_raise(decode({**FOREIGN, "description": "a \ud800 b", "x": "\udfff"}))

        assert decode_metadata(KEY, encode_metadata(metadata)) == Success(metadata)

    def test_null_is_unset(self) -> None:
        nulls: dict[str, Any] = dict.fromkeys(["description", "capturedTraces", "capture"])

        assert decode({**FOREIGN, **nulls}) == decode({**FOREIGN, "capturedTraces": 0})

    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2025-11-23T02:23:20.123456+01:00", START),
            ("2025-11-23T01:23:20.123456", START),
            ("2025-11-23", datetime(2025, 11, 23, tzinfo=UTC)),
        ],
    )
    def test_times_are_iso_8601_in_utc_unless_they_say_otherwise(
        self, text: str, time: datetime
    ) -> None:
        start_time = or_raise(decode({**FOREIGN, "startTime": text})).start_time

        assert (start_time, start_time.tzinfo) == (time, UTC)


class TestWrong:
    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("sessionId", 7, "sessionId is 7, not a text"),
            ("startTime", "soon", "startTime is 'soon', not an ISO-8601 time"),
            ("startTime", 12, "startTime is 12, not an ISO-8601 time"),
            (
                "startTime",
                "0001-01-01T00:00:00+01:00",
                "startTime is '0001-01-01T00:00:00+01:00', not an ISO-8601 time",
            ),
            ("status", "busy", "status is 'busy', not one of active, completed, failed"),
            ("status", [], "status is [], not one of active, completed, failed"),
            ("capturedTraces", -1, "capturedTraces is -1, not a count"),
            ("capturedTraces", True, "capturedTraces is True, not a count"),
            ("capturedTraces", "3", "capturedTraces is '3', not a count"),
            ("totalSizeBytes", 1.5, "totalSizeBytes is 1.5, not a count"),
            ("enabledFlags", "one", "enabledFlags is 'one', not a list of texts"),
            ("enabledFlags", [1], "enabledFlags is [1], not a text"),
            ("labels", [], "labels is [], not an object of texts"),
            ("labels", {"a": 1}, "labels is {'a': 1}, not a text"),
            ("recordCounts", [1], "recordCounts is [1], not an object"),
            ("recordCounts", {"dataPoints": "x"}, "dataPoints is 'x', not a count"),
            ("capture", {"maxSizeMB": 0}, "maxSizeMB is 0, not a positive number"),
            ("capture", {"maxSizeMB": True}, "maxSizeMB is True, not a positive number"),
            ("capture", {"logs": 1}, "logs is 1, not true or false"),
            ("description", ["x" * 99], f"description is {str(['x' * 99])[:80]}, not a text"),
        ],
    )
    def test_a_value_of_the_wrong_kind_names_its_field(
        self, field: str, value: Any, reason: str
    ) -> None:
        assert decode({**FOREIGN, field: value}) == Failure(MetadataCorrupted(KEY, reason))

    def test_what_is_missing_is_named(self) -> None:
        assert decode({"sessionId": "s", "createdBy": None}) == Failure(
            MetadataCorrupted(KEY, "it lacks startTime, status, s3Prefix, createdBy")
        )

    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"{",
            b"\xff",
            b"[" * 100_000,
            b'{"x": NaN}',
            b'{"capture": {"maxSizeMB": Infinity}}',
        ],
    )
    def test_what_is_no_json_is_told(self, document: bytes) -> None:
        decoded = decode_metadata(KEY, document)

        assert decoded.failure().reason.startswith("it is not JSON (")

    def test_a_number_past_all_bounds_is_no_limit(self) -> None:
        document = json.dumps({**FOREIGN, "capture": {"maxSizeMB": 1}}).replace("1}", "1e999}")

        assert decode_metadata(KEY, document.encode()) == Failure(
            MetadataCorrupted(KEY, "maxSizeMB is inf, not a positive number")
        )

    def test_what_is_no_object_is_told(self) -> None:
        assert decode_metadata(KEY, b"[1]") == Failure(
            MetadataCorrupted(KEY, "the document is [1], not an object")
        )

    def test_the_message_says_what_to_do(self) -> None:
        assert MetadataCorrupted(KEY, "it lacks status").message == (
            f"{KEY} is not the metadata of a session: it lacks status. "
            f"Correct it by hand; what the session recorded lies beside it, unharmed."
        )


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_switches_say_which_signals_are_recorded(signal: Any) -> None:
    none = CaptureSwitches(traces=False, metrics=False, logs=False)
    switches = {name: name == signal for name in ("traces", "metrics", "logs")}

    assert CaptureSwitches().records(signal)
    assert not none.records(signal)
    assert CaptureSwitches(**switches).records(signal)
    assert not CaptureSwitches().records("profiles")  # type: ignore[arg-type]  # an untyped caller


class TestHold:
    DOCUMENT: ClassVar = {
        **FOREIGN,
        "hold": {"reason": "audit", "since": "2025-11-23T01:23:20Z", "by": "a"},
    }

    def read(self, document: Mapping[str, Any]) -> CaptureSessionMetadata:
        return or_raise(decode_metadata(KEY, json.dumps(dict(document)).encode()))

    def test_it_is_read_and_what_others_say_of_it_survives(self) -> None:
        held = self.read(self.DOCUMENT)

        since = datetime(2025, 11, 23, 1, 23, 20, tzinfo=UTC)
        assert held.hold == Hold("audit", since, {"by": "a"})
        assert metadata_document(held)["hold"] == {
            "reason": "audit",
            "since": "2025-11-23T01:23:20.000000Z",
            "by": "a",
        }

    def test_one_without_reason_or_time_is_one_all_the_same(self) -> None:
        held = self.read({**FOREIGN, "hold": {}})

        assert held.hold == Hold()
        assert metadata_document(held)["hold"] == {}

    def test_one_that_is_taken_away_leaves_nothing(self) -> None:
        held = self.read(self.DOCUMENT)

        assert attrs.evolve(held, hold=None) == self.read(FOREIGN)
        assert "hold" not in metadata_document(attrs.evolve(held, hold=None))

    def test_one_that_is_no_object_is_no_reason_to_delete(self) -> None:
        document = json.dumps({**FOREIGN, "hold": True}).encode()

        read = decode_metadata(KEY, document)

        assert read == Failure(MetadataCorrupted(KEY, "hold is True, not an object"))
