"""How a replay stands."""

from datetime import UTC, datetime
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.sending import DeliveryOutcome
from otlp_replay import DeliveryCounts, ReplayStatus
from otlp_replay.errors import IngestionFailure


class TestStatus:
    def test_a_new_one_says_little(self) -> None:
        status = ReplayStatus(
            replay_id="r1", session_id="checkout", status="pending", total_records=3
        )

        none = {"delivered": 0, "rejected": 0, "failed": 0, "unknown": 0, "notSent": 0}
        assert status.to_json() == {
            "replayId": "r1",
            "sessionId": "checkout",
            "status": "pending",
            "totalRecords": 3,
            "processedRecords": 0,
            "failedRecords": 0,
            "delivery": none,
            "deliveryRecords": none,
            "retries": 0,
            "isPaused": False,
            "outOfOrder": 0,
            "notSentReasons": {},
        }
        assert not status.is_over

    def test_one_that_is_over_says_all_under_the_documented_names(self) -> None:
        status = ReplayStatus(
            replay_id="r1",
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
            "replayId": "r1",
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
            "isPaused": False,
            "outOfOrder": 0,
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
