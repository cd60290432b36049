"""The fidelity certificate: its gate, its lines, and where it is stored."""

import itertools
import json
import tracemalloc
from typing import Any

import pytest

from otlp_capture.capture import InvalidConfig
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.retention.survey import survey_store
from otlp_capture.sessions import InvalidSessionId, SessionNotFound, replay_key
from otlp_capture.storage import S3Storage
from otlp_capture.upkeep import delete_session, reindex_session, verify_session
from otlp_replay.fidelity import (
    CertificateCorrupted,
    CertificateNotFound,
    CountMissed,
    Fidelity,
    Gate,
    InvalidReplayId,
    NothingMeasured,
    TimeMissed,
    check_gate,
    decode_certificate,
    encode_certificate,
    list_certificates,
    load_certificate,
    misses,
    store_certificate,
    summary_lines,
)
from tests.observed import certified, settled
from tests.replays import numbered
from tests.sessions import arriving, write_session

MS = 1_000_000
TOLD = [
    settled(0, 0, 0),
    settled(1, 500 * MS, 4 * MS, outcome="rejected", status="400", rejected_records=1),
    settled(2, 1000 * MS, 2 * MS, signal="logs", outcome="failed", status="503", attempts=5),
    settled(3, 1500 * MS, None, outcome="not_sent", attempts=0, status="", size_bytes=0),
]


def test_records_that_a_filter_left_out_of_a_request_are_not_sent() -> None:
    held = certified(
        [
            settled(0, record_count=3, filtered_out=4),
            settled(1, 0, None, outcome="not_sent", record_count=2, status=""),
            settled(2, outcome="rejected", rejected_records=1, record_count=2, filtered_out=5),
        ]
    )

    assert [held.requests(each) for each in ("delivered", "rejected", "not_sent")] == [1, 1, 1]
    assert [held.records(each) for each in ("delivered", "rejected", "not_sent")] == [4, 1, 11]


class TestGate:
    def test_nothing_is_missed_within_all_limits(self) -> None:
        gate = Gate(
            max_p99_lateness_s=0.004,
            max_lateness_s=0.004,
            max_drift_s=0.002,
            max_worst_drift_s=0.004,
            max_failed=2,
            max_not_sent=2,
        )

        assert misses(gate, certified(TOLD, planned_requests=5)) == ()

    def test_each_limit_is_missed_by_its_own_figure(self) -> None:
        gate = Gate(
            max_p99_lateness_s=0.003,
            max_lateness_s=0.0039,
            max_drift_s=0.001,
            max_worst_drift_s=0.003,
            max_failed=1,
            max_not_sent=1,
        )

        missed = misses(gate, certified(TOLD, planned_requests=5))

        assert missed == (
            TimeMissed("max_p99_lateness_s", "The 99th percentile of lateness", 4 * MS, 0.003),
            TimeMissed("max_lateness_s", "The greatest lateness", 4 * MS, 0.0039),
            TimeMissed("max_drift_s", "The end drift", 2 * MS, 0.001),
            TimeMissed("max_worst_drift_s", "The worst drift", 4 * MS, 0.003),
            CountMissed("max_failed", "rejected, failed or unknown", 2, 1),
            CountMissed("max_not_sent", "not sent", 2, 1),
        )
        assert missed[2].message == "The end drift was 2.00 ms, and 1.00 ms is allowed."
        assert missed[4].message == (
            "2 requests were rejected, failed or unknown, and 1 are allowed."
        )

    def test_a_replay_that_is_over_too_early_has_drifted_as_well(self) -> None:
        held = certified([settled(0, 0, 5 * MS), settled(1, 10 * MS, 0)])

        assert [
            miss.limit
            for miss in misses(Gate(max_drift_s=0.004), held)
            if isinstance(miss, TimeMissed)
        ] == ["max_drift_s"]

    def test_time_is_not_judged_by_nothing(self) -> None:
        missed = misses(Gate(max_drift_s=1.0), certified([]))

        assert missed == (NothingMeasured("nightly-7"),)
        assert "nightly-7" in missed[0].message
        assert misses(Gate(max_failed=0), certified([])) == ()

    @pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "1", True])
    def test_a_limit_that_cannot_be_kept_is_told(self, value: Any) -> None:
        for name in ("max_drift_s", "max_failed"):
            refused = check_gate(Gate(**{name: value})).failure()
            assert isinstance(refused, InvalidConfig)
            assert (refused.field, refused.retryable) == (name, False)

    def test_limits_of_nothing_can_be_kept(self) -> None:
        gate = Gate(max_drift_s=0, max_failed=0)

        assert check_gate(gate) == Success(gate)


class TestFigures:
    def test_a_few_lines_tell_what_people_ask_first(self) -> None:
        assert summary_lines(certified(TOLD, planned_requests=5)) == (
            "Requests    5 planned: 1 delivered, 1 rejected, 1 failed, 1 not sent, 1 not reached",
            "Sent        30 B, 4 retries",
            "Duration    planned 1.00 s, achieved 1.00 s",
            "Drift       2.00 ms at the end, 4.00 ms at the worst",
            "Lateness    median 2.00 ms, p99 4.00 ms, max 4.00 ms",
            "Rate        planned 2.00/s, achieved 2.00/s",
            "Gaps        3.00 ms from plan (Wasserstein-1), Kolmogorov-Smirnov 0.500",
            "Answers     median 2.00 ms, p99 2.00 ms, max 2.00 ms",
        )
        assert summary_lines(certified([]))[-1] == "Time        nothing was dispatched"

    def test_the_document_names_each_figure_with_its_unit(self) -> None:
        document = json.loads(encode_certificate(certified(TOLD, planned_requests=5)))

        assert {name: document[name] for name in ("requests", "records", "endDriftNs")} == {
            "requests": {"delivered": 1, "rejected": 1, "failed": 1, "unknown": 0, "notSent": 1},
            "records": {"delivered": 1, "rejected": 1, "failed": 1, "unknown": 0, "notSent": 1},
            "endDriftNs": 2 * MS,
        }
        assert document["deliveries"][1] == {
            "signal": "traces",
            "outcome": "delivered",
            "status": "200",
            "requests": 1,
            "records": 1,
            "rejectedRecords": 0,
            "sizeBytes": 10,
        }
        assert document["startedAt"] == "2026-11-24T18:00:00.123456Z"

    def test_a_target_that_invents_answers_does_not_fill_the_memory(self) -> None:
        told = [settled(number, number, 0, status=f"x{number}") for number in range(200)]

        rows = certified(told).deliveries

        assert len(rows) == 65
        assert [row.requests for row in rows if row.status == "other"] == [136]

    def test_memory_does_not_grow_with_the_number_of_requests(self) -> None:
        fidelity = Fidelity()
        numbers = itertools.count()

        def hear(count: int) -> int:
            for number in itertools.islice(numbers, count):
                fidelity.settle(settled(number, number * MS, number % 97 * 10_000))
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            before = hear(10_000)
            after = hear(30_000)
        finally:
            tracemalloc.stop()
        assert after - before < 1_000_000


@pytest.mark.anyio
class TestStore:
    async def test_a_certificate_lies_beside_its_session_and_disturbs_nothing(
        self, memory: S3Storage
    ) -> None:
        await write_session(memory, "checkout", arriving(numbered(4)))
        held = certified(TOLD)
        before = or_raise(await verify_session(memory, "checkout"))

        stored = or_raise(await store_certificate(memory, held))

        assert stored.key == "sessions/checkout/replays/nightly-7.json"
        assert or_raise(await verify_session(memory, "checkout")) == before
        or_raise(await reindex_session(memory, SYSTEM_CLOCK, "checkout"))
        assert or_raise(await verify_session(memory, "checkout")) == before
        assert or_raise(await load_certificate(memory, "checkout", "nightly-7")) == held
        listed = or_raise(await list_certificates(memory, "checkout"))
        assert [(each.replay_id, each.stored.key) for each in listed] == [("nightly-7", stored.key)]

    async def test_it_is_counted_and_deleted_with_the_session(self, memory: S3Storage) -> None:
        await write_session(memory, "checkout", arriving(numbered(4)))
        before = or_raise(await survey_store(memory)).sessions_usage
        stored = or_raise(await store_certificate(memory, certified(TOLD)))
        after = or_raise(await survey_store(memory)).sessions_usage
        assert after.objects == before.objects + 1
        assert after.size_bytes == before.size_bytes + stored.size_bytes

        freed = or_raise(await delete_session(memory, SYSTEM_CLOCK, "checkout"))

        assert (freed.objects, freed.size_bytes) == (after.objects, after.size_bytes)
        assert [found async for found in memory.list_objects("")] == []

    async def test_nothing_is_left_of_a_session_that_is_gone(self, memory: S3Storage) -> None:
        await write_session(memory, "checkout", arriving(numbered(1)))
        or_raise(await delete_session(memory, SYSTEM_CLOCK, "checkout"))

        refused = await store_certificate(memory, certified(TOLD))

        assert refused == Failure(SessionNotFound("checkout"))
        assert [found async for found in memory.list_objects("")] == []

    async def test_nothing_is_left_of_a_session_that_is_deleted_meanwhile(
        self, memory: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await write_session(memory, "checkout", arriving(numbered(1)))
        store = memory.store_raw_data

        async def too_late(*given: Any, **named: Any) -> Any:
            monkeypatch.setattr(memory, "store_raw_data", store)
            or_raise(await delete_session(memory, SYSTEM_CLOCK, "checkout"))
            return await store(*given, **named)

        monkeypatch.setattr(memory, "store_raw_data", too_late)
        refused = await store_certificate(memory, certified(TOLD))

        assert refused == Failure(SessionNotFound("checkout"))
        assert [found async for found in memory.list_objects("")] == []

    async def test_ids_that_name_nothing_are_told(self, memory: S3Storage) -> None:
        await write_session(memory, "checkout", arriving(numbered(1)))

        assert await store_certificate(memory, certified(TOLD, replay_id="../x")) == Failure(
            InvalidReplayId("../x")
        )
        assert await load_certificate(memory, "checkout", "a/b") == Failure(InvalidReplayId("a/b"))
        assert await load_certificate(memory, "a/b", "x") == Failure(InvalidSessionId("a/b"))
        assert await list_certificates(memory, "a/b") == Failure(InvalidSessionId("a/b"))
        missing = await load_certificate(memory, "checkout", "x")
        assert missing == Failure(CertificateNotFound("checkout", "x"))
        assert or_raise(await list_certificates(memory, "nobody")) == ()

    async def test_what_is_no_certificate_is_told_with_its_key(self, memory: S3Storage) -> None:
        key = replay_key("checkout", "x")
        or_raise(await memory.store_raw_data(b"{", key))

        refused = (await load_certificate(memory, "checkout", "x")).failure()

        assert isinstance(refused, CertificateCorrupted)
        assert key in refused.message


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("schemaVersion", 2, "its schemaVersion is 2, and this version reads 1"),
        ("sessionIds", [], "sessionIds is to be a list of texts, and not empty"),
        ("retries", -1, "retries is -1; it is 0 or more"),
        ("retries", True, "retries is True; it is to be a int"),
        (
            "startedAt",
            "soon",
            "startedAt is 'soon'; it is a time such as 2026-11-24T18:00:00.000000Z",
        ),
        ("series", [3], "an item of series is no object"),
        ("lateness", {}, "count is missing; it is to be a int"),
    ],
)
def test_a_field_that_is_wrong_is_named(name: str, value: Any, reason: str) -> None:
    document = json.loads(encode_certificate(certified(TOLD))) | {name: value}

    refused = decode_certificate("key", json.dumps(document).encode())

    assert refused == Failure(CertificateCorrupted("key", reason))


def test_buckets_that_do_not_add_up_are_told() -> None:
    document = json.loads(encode_certificate(certified(TOLD)))
    for buckets in ([[1, 0]], [[3, 1]], [[0]], [[0, 0]], ["x"], []):
        document["lateness"]["buckets"] = buckets
        assert not isinstance(decode_certificate("key", json.dumps(document).encode()), Success)
