"""What a replay is asked for, and how it stands."""

import math
from datetime import UTC, datetime
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Success
from otlp_capture.sending import DeliveryOutcome, RetryPolicy, base_url
from otlp_replay.errors import IngestionFailure
from otlp_replay.model import (
    DeliveryCounts,
    ReplayConfig,
    ReplayStatus,
    check_config,
)

USUAL = ReplayConfig(session_id="checkout")


class TestConfig:
    @pytest.mark.parametrize(
        "change",
        [
            {},
            {"speed_multiplier": "max"},
            {"speed_multiplier": 0.01},
            {"speed_multiplier": 1000},
            {"timestamp_adjustment": "relative", "base_time_offset": -(10**18)},
            {"timestamp_adjustment": "current"},
            {"replay_traces": False, "replay_logs": False},
            {"target_endpoint": "https://collector.example:4318/otlp/"},
            {"target_endpoint": "http://[::1]:4318/v1/traces"},
            {"max_in_flight": 1, "request_timeout_s": 0.001},
            {"retry": RetryPolicy(max_attempts=1, max_elapsed_s=0, initial_backoff_s=0)},
        ],
    )
    def test_a_good_one_comes_back(self, change: dict[str, Any]) -> None:
        config = attrs.evolve(USUAL, **change)

        assert check_config(config) == Success(config)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *[
                ("speed_multiplier", value)
                for value in (0, -1, 0.001, 1001, math.nan, math.inf, "fast", None, True, 10**400)
            ],
            ("timestamp_adjustment", "now"),
            ("base_time_offset", 5),
            ("protocol", "grpc"),
            *[
                ("target_endpoint", value)
                for value in (
                    "",
                    "localhost:4318",
                    "ftp://localhost",
                    "http://",
                    "http://:4318",
                    "http://user:password@localhost:4318",
                    "http://localhost:4318/?a=1",
                    "http://localhost:4318/#a",
                    "http://localhost:0",
                    "http://localhost:65536",
                    "http://localhost:port",
                    "http://[::1",
                    "http://local host:4318",
                    "http://localhost:4318\n",
                    f"http://{'a' * 64}:4318",
                    "http://a..b:4318",
                )
            ],
            *[("max_in_flight", value) for value in (0, -1, 1.5, True, None)],
            *[("request_timeout_s", value) for value in (0, -1, math.nan, math.inf, "10", 1e9)],
            ("max_request_bytes", 0),
            ("max_response_bytes", -1),
        ],
    )
    def test_a_bad_setting_is_named(self, field: str, value: Any) -> None:
        problem = check_config(attrs.evolve(USUAL, **{field: value})).failure()

        assert problem.field == field
        assert problem.value is value
        assert problem.message.startswith(f"{field} cannot be {value!r}: ")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_attempts", 0),
            ("max_attempts", 2.0),
            ("max_elapsed_s", -1),
            ("initial_backoff_s", math.nan),
            ("max_backoff_s", math.inf),
        ],
    )
    def test_a_bad_setting_of_the_retries_is_named(self, field: str, value: Any) -> None:
        retry = attrs.evolve(RetryPolicy(), **{field: value})

        problem = check_config(attrs.evolve(USUAL, retry=retry)).failure()

        assert problem.message.startswith(f"retry.{field} cannot be {value!r}: ")

    def test_an_offset_is_a_whole_number(self) -> None:
        offset: Any = 1.5
        config = attrs.evolve(USUAL, timestamp_adjustment="relative", base_time_offset=offset)

        allowed = "it is a whole number of nanoseconds"
        assert check_config(config) == Failure(InvalidConfig("base_time_offset", 1.5, allowed))

    def test_a_replay_of_nothing_is_no_replay(self) -> None:
        config = attrs.evolve(USUAL, replay_traces=False, replay_metrics=False, replay_logs=False)

        problem = check_config(config).failure()

        assert problem.message == (
            "the choice of signals cannot be 'none': replay traces, metrics or logs."
        )


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        ("http://localhost:4318", "http://localhost:4318"),
        ("http://localhost:4318/", "http://localhost:4318"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318"),
        ("http://localhost:4318/v1/metrics/", "http://localhost:4318"),
        ("http://localhost:4318/otlp/v1/logs", "http://localhost:4318/otlp"),
        ("http://localhost:4318/v1/logs/v1/traces", "http://localhost:4318/v1/logs"),
    ],
)
def test_the_path_of_a_signal_is_taken_off_an_endpoint(endpoint: str, base: str) -> None:
    assert base_url(endpoint) == base


class TestStatus:
    def test_a_new_one_says_little(self) -> None:
        status = ReplayStatus(session_id="checkout", status="pending", total_records=3)

        none = {"delivered": 0, "rejected": 0, "failed": 0, "unknown": 0, "notSent": 0}
        assert status.to_json() == {
            "sessionId": "checkout",
            "status": "pending",
            "totalRecords": 3,
            "processedRecords": 0,
            "failedRecords": 0,
            "delivery": none,
            "deliveryRecords": none,
            "retries": 0,
            "notSentReasons": {},
        }
        assert not status.is_over

    def test_one_that_is_over_says_all_under_the_documented_names(self) -> None:
        status = ReplayStatus(
            session_id="checkout",
            status="failed",
            total_records=15,
            started_at=datetime(2025, 11, 23, 1, 23, 20, tzinfo=UTC),
            completed_at=datetime(2025, 11, 23, 1, 23, 21, 500, tzinfo=UTC),
            current_file="sessions/checkout/raw/2025-11-23/01/traces-1-a.otlp.gz",
            error=IngestionFailure("http://localhost:1", "connection refused"),
            delivery=DeliveryCounts(5, 4, 3, 2, 1),
            delivery_records=DeliveryCounts(50, 40, 30, 20, 10),
            retries=6,
            not_sent_reasons={"IngestionFailure": 1},
        )

        assert status.to_json() == {
            "sessionId": "checkout",
            "status": "failed",
            "startedAt": "2025-11-23T01:23:20.000000Z",
            "completedAt": "2025-11-23T01:23:21.000500Z",
            "totalRecords": 15,
            "processedRecords": 14,
            "failedRecords": 9,
            "currentFile": "sessions/checkout/raw/2025-11-23/01/traces-1-a.otlp.gz",
            "error": "http://localhost:1 takes nothing: connection refused. The replay broke off; "
            "check that an OTLP endpoint listens there, and keeps up.",
            "delivery": {"delivered": 5, "rejected": 4, "failed": 3, "unknown": 2, "notSent": 1},
            "deliveryRecords": {
                "delivered": 50,
                "rejected": 40,
                "failed": 30,
                "unknown": 20,
                "notSent": 10,
            },
            "retries": 6,
            "notSentReasons": {"IngestionFailure": 1},
        }
        assert status.is_over


class TestCounts:
    @given(st.lists(st.tuples(st.sampled_from(get_args(DeliveryOutcome)), st.integers(0, 99))))
    def test_they_add_up(self, counted: list[tuple[DeliveryOutcome, int]]) -> None:
        counts = DeliveryCounts()
        for outcome, count in counted:
            counts = counts.plus(outcome, count)

        assert counts.total == sum(count for _, count in counted)
        assert sum(counts.to_json().values()) == counts.total
