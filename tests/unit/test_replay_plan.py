"""What a replay will send and when: exact figures of small sessions, and what a plan warns of."""

import json
from array import array
from typing import Any

import attrs
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp_capture import otlp
from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import Signal, Ties
from otlp_capture.result import Failure, or_raise
from otlp_capture.sessions import SessionNotFound, index_session
from otlp_capture.storage import S3Storage
from otlp_replay import After, Rate, ReplayConfig, Shard
from otlp_replay.errors import DataCorrupted, DecompressionFailure
from otlp_replay.plan import (
    Ages,
    Amount,
    Curve,
    Peak,
    ReplayPlan,
    TargetWindow,
    Timeline,
    calculate_replay_timing,
    picture_of,
    plan_replay,
)
from otlp_replay.plan.concerns import (
    Concern,
    CountsAreUpperBounds,
    CutByDuration,
    NothingSelected,
    RecordsInFuture,
    RecordsTooOld,
    RelationsBend,
    RequestsTooLong,
    SettingWithoutEffect,
    SpansForgotten,
    TimestampsOutOfRange,
    TimesUnknown,
)
from otlp_replay.plan.course import Course
from otlp_replay.plan.lineage import Batches, lineage_of
from otlp_replay.selection import NothingSelected as NothingToReplay
from tests.clocks import VirtualClock
from tests.replays import SESSION, damage_last_segment, numbered
from tests.sessions import SECOND, START, Recorded, write_session

pytestmark = pytest.mark.anyio

NOW = START + 3_600 * SECOND
HALF = SECOND // 2


def trace(*spans: tuple[str, str]) -> bytes:
    """A request with spans of one trace, each a letter and that of its parent."""
    request = ExportTraceServiceRequest()
    kept = request.resource_spans.add().scope_spans.add().spans
    for name, parent in spans:
        kept.add(
            trace_id=b"t" * 16,
            span_id=name.encode() * 8,
            parent_span_id=parent.encode() * 8,
            start_time_unix_nano=START,
            end_time_unix_nano=START + 1,
        )
    return bytes(request.SerializeToString())


def cumulative() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    metric.sum.aggregation_temporality = 2
    metric.sum.data_points.add(time_unix_nano=START, as_int=1)
    return bytes(request.SerializeToString())


def at(*arrivals: int, signal: Signal = "logs") -> list[Recorded]:
    requests = numbered(len(arrivals), signal)
    return [
        Recorded(signal, request, START + arrival)
        for (_, request), arrival in zip(requests, arrivals, strict=True)
    ]


async def plan(
    storage: S3Storage,
    requests: list[Recorded],
    *,
    target: TargetWindow | None = None,
    dependencies: bool = False,
    **settings: Any,
) -> ReplayPlan:
    await write_session(storage, SESSION, requests)
    config = ReplayConfig(session_id=SESSION, **settings)
    planned = await plan_replay(
        storage,
        VirtualClock(NOW),
        config,
        target=target or TargetWindow(),
        dependencies=dependencies,
    )
    return or_raise(planned)


def times(planned: ReplayPlan) -> list[int]:
    return [event.replay_timestamp - NOW for event in planned.schedule.events]


class TestPlan:
    async def test_it_tells_how_much_is_sent_and_how_long_it_takes(self, memory: S3Storage) -> None:
        requests = [
            Recorded("logs", b"", START),
            *at(SECOND, SECOND + 1, 3 * SECOND, signal="traces"),
        ]
        size = len(requests[1].request)

        planned = await plan(memory, requests, speed_multiplier=2, loops=2, copies=3)

        assert planned.by_signal == {
            "traces": Amount(18, 18, 18 * size),
            "metrics": Amount(),
            "logs": Amount(6, 0, 0),
        }
        assert planned.total == Amount(24, 18, 18 * size)
        assert planned.recorded == Timeline(
            3 * SECOND,
            Peak(2, SECOND),
            Peak(2 * size, SECOND),
            Curve(46_875_001, curve((0, 1), (21, 2), (63, 1))),
        )
        # A loop takes 1.5 s, and the next one follows after the mean gap, 0.5 s.
        assert planned.planned == Timeline(
            3_500_000_000,
            Peak(9, 0),
            Peak(6 * size, 0),
            Curve(54_687_501, curve((0, 3), (9, 6), (27, 3), (36, 3), (45, 6), (63, 3))),
        )
        assert planned.is_exact
        assert planned.warnings == ()

    async def test_a_plan_reads_no_segment_of_a_session_that_has_a_manifest(
        self, memory: S3Storage
    ) -> None:
        await write_session(memory, SESSION, at(0, 1, 2))
        await damage_last_segment(memory)

        planned = await plan_replay(memory, VirtualClock(NOW), ReplayConfig(session_id=SESSION))

        assert or_raise(planned).total.requests == 3

    async def test_pauses_are_cut_to_the_longest_that_is_allowed(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, 10 * SECOND, 11 * SECOND), max_gap_s=2.0)

        assert times(planned) == [0, 2 * SECOND, 3 * SECOND]
        assert planned.recorded.duration_ns == 11 * SECOND

    async def test_under_a_rate_each_waits_for_those_before_it(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, 0, 0, SECOND), max_rate=Rate(2, "requests"))

        assert times(planned) == [0, HALF, SECOND, SECOND + HALF]
        assert planned.planned.requests_peak == Peak(2, 0)

    async def test_a_window_begins_where_the_replay_does(self, memory: S3Storage) -> None:
        planned = await plan(
            memory, at(0, 3 * SECOND, 9 * SECOND), replay_from=After(SECOND), replay_until=After(-1)
        )

        assert times(planned) == [2 * SECOND]

    async def test_a_bounded_duration_leaves_out_what_is_planned_later(
        self, memory: S3Storage
    ) -> None:
        planned = await plan(memory, at(0, SECOND, 2 * SECOND), max_duration_s=1.0, loops=2)

        assert times(planned) == [0, SECOND]
        assert planned.total.requests == 2
        assert planned.warnings == (CutByDuration(4, 1.0),)

    async def test_at_speed_max_nothing_of_its_time_is_known(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, SECOND), speed_multiplier="max")

        assert planned.planned == Timeline()
        assert planned.schedule.total_duration is None
        assert times(planned) == [0, 0]

    async def test_merged_sessions_come_in_the_order_of_arrival(self, memory: S3Storage) -> None:
        await write_session(memory, "other", at(1, 3))

        planned = await plan(memory, at(0, 2), merged_session_ids=("other",))

        assert [event.session_id for event in planned.schedule.events] == [
            SESSION,
            "other",
            SESSION,
            "other",
        ]
        assert times(planned) == [0, 1, 2, 3]

    async def test_arrivals_behind_the_recorders_count_are_counted(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, 5, 1, 9, 8))

        assert planned.out_of_order == 2
        assert times(planned) == [0, 1, 5, 8, 9]

    async def test_a_service_that_no_segment_has_is_refused_as_a_replay_of_it(
        self, memory: S3Storage
    ) -> None:
        await write_session(memory, SESSION, at(0, 1))
        config = ReplayConfig(session_id=SESSION, filter_services=("cart*",))

        assert await plan_replay(memory, VirtualClock(NOW), config) == Failure(
            NothingToReplay("no service is named like cart*", "there are none with a name")
        )

    async def test_of_an_empty_session_nothing_is_sent(self, memory: S3Storage) -> None:
        planned = await plan(memory, [])

        assert planned.total == Amount()
        assert planned.planned == Timeline(0, curve=Curve(0, ()))
        assert planned.warnings == (NothingSelected(),)
        assert picture_of(planned) == "nothing is sent"

    async def test_what_cannot_be_planned_is_answered_with_an_error(
        self, memory: S3Storage
    ) -> None:
        clock = VirtualClock(NOW)

        impossible = await plan_replay(memory, clock, ReplayConfig(session_id=SESSION, loops=0))
        missing = await plan_replay(memory, clock, ReplayConfig(session_id=SESSION))
        await write_session(memory, SESSION, at(0, 1), has_manifest=False)
        await damage_last_segment(memory)
        damaged = await plan_replay(memory, clock, ReplayConfig(session_id=SESSION))

        assert isinstance(impossible.failure(), InvalidConfig)
        assert missing == Failure(SessionNotFound(SESSION))
        assert isinstance(damaged.failure(), DataCorrupted | DecompressionFailure)

    async def test_it_is_json(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, SECOND), timestamp_adjustment="current", copies=2)

        document = json.loads(json.dumps(planned.to_json(max_events=1)))

        curve_document = document["planned"].pop("curve")
        assert sum(curve_document["requests"]) == 4
        assert document.pop("recorded")["durationNs"] == SECOND
        (event,) = document.pop("events")
        assert event.pop("key").startswith("sessions/recorded/raw/")
        assert event == {
            "sequenceNumber": 0,
            "originalTimestamp": START,
            "replayTimestamp": NOW,
            "dependencies": None,
            "sessionId": SESSION,
            "signal": "logs",
            "offset": 0,
            "loop": 0,
            "copy": 0,
        }
        size = len(numbered(1)[0][1])
        amount = {"requests": 4, "records": 4, "bytes": 4 * size}
        nothing = {"requests": 0, "records": 0, "bytes": 0}
        peak = {"value": 2, "atNs": 0}
        assert document == {
            "sessionIds": [SESSION],
            "start": "2025-11-23T02:23:20.000000Z",
            "speed": 1.0,
            "loops": 1,
            "copies": 2,
            "total": amount,
            "bySignal": {"traces": nothing, "metrics": nothing, "logs": amount},
            "isExact": True,
            "planned": {
                "durationNs": SECOND,
                "peakRequestsPerSecond": peak,
                "peakBytesPerSecond": {"value": 2 * size, "atNs": 0},
            },
            "outOfOrder": 0,
            "ages": {
                "oldestNs": SECOND - 1,
                "youngestNs": 0,
                "tooOld": 0,
                "tooNew": 0,
                "outOfRange": 0,
            },
            "parallelRuns": None,
            "warnings": [],
        }


def curve(*counted: tuple[int, int]) -> tuple[int, ...]:
    counts = dict(counted)
    return tuple(counts.get(column, 0) for column in range(64))


class TestAges:
    """The records' times are START and one nanosecond later."""

    @pytest.mark.parametrize(
        ("settings", "ages"),
        [
            ({}, Ages(3_602 * SECOND - 1, 3_600 * SECOND)),
            ({"timestamp_adjustment": "relative"}, Ages(2 * SECOND - 1, 0)),
            (
                {"timestamp_adjustment": "relative", "base_time_offset": 3_599 * SECOND},
                Ages(3 * SECOND - 1, SECOND),
            ),
            ({"timestamp_adjustment": "current", "speed_multiplier": 4}, Ages(2 * SECOND - 1, 0)),
            ({"loops": 2}, Ages(3_606 * SECOND - 1, 3_600 * SECOND)),
        ],
    )
    async def test_they_are_told_as_they_will_be_when_records_are_sent(
        self, memory: S3Storage, settings: dict[str, Any], ages: Ages
    ) -> None:
        assert (await plan(memory, at(0, 2 * SECOND), **settings)).ages == ages

    async def test_what_the_target_does_not_take_is_warned_of(self, memory: S3Storage) -> None:
        window = TargetWindow(oldest_accepted_s=3_601, newest_accepted_s=0)

        planned = await plan(memory, at(0, 2 * SECOND), target=window)

        assert planned.warnings == (RecordsTooOld(1, 3_602 * SECOND - 1, 3_601),)

    async def test_relative_times_at_speed_max_run_ahead_of_the_clock(
        self, memory: S3Storage
    ) -> None:
        late = [Recorded("traces", trace(("a", "")), START), *at(SECOND, signal="logs")]
        late[0] = attrs.evolve(late[0], received_unix_nano=START - 90 * SECOND)

        planned = await plan(
            memory,
            late,
            target=TargetWindow(newest_accepted_s=60),
            timestamp_adjustment="relative",
            speed_multiplier="max",
        )

        assert planned.warnings == (RecordsInFuture(2, 90 * SECOND + 1, 60),)

    async def test_times_that_cannot_be_moved_are_warned_of(self, memory: S3Storage) -> None:
        planned = await plan(
            memory, at(0), timestamp_adjustment="relative", base_time_offset=-(2**62)
        )

        assert planned.warnings == (TimestampsOutOfRange(1),)


class TestWarnings:
    async def test_current_times_bend_relations_unless_the_pace_is_as_recorded(
        self, memory: S3Storage
    ) -> None:
        bent: dict[str, Any] = {"timestamp_adjustment": "current", "speed_multiplier": 2}
        requests = [
            Recorded("traces", trace(("a", "")), START),
            Recorded("traces", trace(("b", "a"), ("c", "b")), START + 1),
            Recorded("metrics", cumulative(), START + 2),
        ]

        asked = await plan(memory, requests, dependencies=True, **bent)
        config = ReplayConfig(session_id=SESSION, **bent)
        clock = VirtualClock(NOW)
        unasked = or_raise(await plan_replay(memory, clock, config))
        kept = attrs.evolve(config, speed_multiplier=1)
        straight = or_raise(await plan_replay(memory, clock, kept))

        assert asked.warnings == (RelationsBend(1, 1),)
        assert unasked.warnings == (RelationsBend(None, None),)
        assert straight.warnings == ()

    async def test_logs_have_no_relations_to_bend(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, 1), timestamp_adjustment="current", speed_multiplier=2)

        assert planned.warnings == ()

    async def test_what_only_payloads_decide_is_told_as_an_upper_bound(
        self, memory: S3Storage
    ) -> None:
        planned = await plan(memory, at(0, 1), trace_share=0.5, shard=Shard(0, 2))

        assert not planned.is_exact
        assert planned.warnings == (CountsAreUpperBounds(("trace_share", "shard")),)

    async def test_requests_that_are_too_long_are_counted(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, 1), max_request_bytes=1)

        assert planned.warnings == (RequestsTooLong(2, 1),)

    async def test_settings_that_speed_max_makes_idle_are_named(self, memory: S3Storage) -> None:
        planned = await plan(
            memory, at(0, 1), speed_multiplier="max", max_gap_s=1.0, late_policy="skip"
        )

        assert planned.warnings == (
            SettingWithoutEffect("max_gap_s"),
            SettingWithoutEffect("late_policy"),
        )

    async def test_too_many_requests_under_a_rate_are_not_timed(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, SECOND), loops=3_000_000, max_rate=Rate(2, "requests"))

        assert planned.planned == Timeline()
        assert planned.total.requests == 6_000_000
        assert planned.warnings == (TimesUnknown(6_000_000, 5_999_999 * SECOND),)

    @pytest.mark.parametrize(
        "concern",
        [
            NothingSelected(),
            CountsAreUpperBounds(("shard",)),
            RelationsBend(None, None),
            RelationsBend(1, 2),
            RecordsTooOld(1, 2, 3.0),
            RecordsInFuture(1, 2, 3.0),
            TimestampsOutOfRange(1),
            RequestsTooLong(1, 2),
            CutByDuration(1, 2.0),
            SettingWithoutEffect("max_gap_s"),
            TimesUnknown(1, 2),
            SpansForgotten(3),
        ],
    )
    def test_each_is_one_sentence_or_more(self, concern: Concern) -> None:
        assert concern.message.endswith(".")
        assert "{" not in concern.message


class TestDependencies:
    async def test_a_request_depends_on_the_earlier_one_that_holds_a_parent(
        self, memory: S3Storage
    ) -> None:
        requests = [
            Recorded("traces", trace(("a", "")), START),
            Recorded("logs", numbered(1)[0][1], START + 1),
            Recorded("traces", trace(("b", "a"), ("c", "z")), START + 2),
        ]

        planned = await plan(memory, requests, dependencies=True, loops=2, copies=2)

        events = [event.dependencies for event in planned.schedule.events]
        assert events == [(), (), (), (), (0,), (1,), (), (), (), (), (6,), (7,)]
        runs = planned.schedule.parallelization_opportunities
        assert runs is not None
        assert list(runs) == [range(4), range(4, 6), range(6, 10), range(10, 12)]

    async def test_without_reading_payloads_it_is_not_known(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, 1))

        assert [event.dependencies for event in planned.schedule.events] == [None, None]
        assert planned.schedule.parallelization_opportunities is None

    async def test_a_damaged_request_ends_it(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, at(0, 1, signal="traces"))
        await damage_last_segment(memory)

        planned = await plan_replay(
            memory, VirtualClock(NOW), ReplayConfig(session_id=SESSION), dependencies=True
        )

        assert isinstance(planned.failure(), DataCorrupted | DecompressionFailure)

    async def test_the_documented_function_answers_the_same_events(self, memory: S3Storage) -> None:
        planned = await plan(memory, at(0, 1, 5), loops=2)
        index = or_raise(await index_session(memory, SESSION))

        config = ReplayConfig(session_id=SESSION, loops=2)
        schedule = calculate_replay_timing({SESSION: index}, config, NOW)

        assert list(schedule.events) == list(planned.schedule.events)
        assert schedule.total_duration == 12

    def test_runs_end_where_the_replay_does(self) -> None:
        ends = lineage_of(
            [Ties(frozenset({b"a"})), Ties(), Ties(parents=frozenset({b"a"}))]
        ).batches()

        runs = Batches(ends, loops=3, copies=2, count=9)

        assert list(runs) == [range(4), range(4, 6), range(6, 9)]
        assert runs[-1] == range(6, 9)
        assert list(runs[1:]) == [range(4, 6), range(6, 9)]
        with pytest.raises(IndexError):
            runs[3]


class TestTies:
    def test_a_parent_in_the_same_request_ties_to_nothing_else(self) -> None:
        found = or_raise(otlp.ties_of(trace(("a", ""), ("b", "a"), ("c", "x")), "traces"))

        spans = frozenset(b"t" * 16 + name * 8 for name in (b"a", b"b", b"c"))
        assert found == Ties(spans, frozenset({b"t" * 16 + b"x" * 8}))

    def test_points_of_a_cumulative_sum_are_counted(self) -> None:
        assert or_raise(otlp.ties_of(cumulative(), "metrics")) == Ties(cumulative_points=1)
        assert or_raise(otlp.ties_of(numbered(1, "metrics")[0][1], "metrics")) == Ties()

    def test_what_is_no_request_is_answered_with_an_error(self) -> None:
        assert isinstance(otlp.ties_of(b"\xff", "traces"), Failure)


class TestPicture:
    async def test_it_shows_where_the_load_lies(self, memory: S3Storage) -> None:
        arrivals = [*(second * SECOND for second in range(60)), *[30 * SECOND + 7] * 9]
        requests = numbered(len(arrivals))
        arrivals.sort()
        recorded = [
            Recorded(signal, request, START + arrival)
            for (signal, request), arrival in zip(requests, arrivals, strict=True)
        ]

        picture = picture_of(await plan(memory, recorded))

        lines = picture.splitlines()
        assert lines[0] == "requests/s as planned; peak 10 in the second from 30 s"
        assert lines[1].startswith("    10.85 ┤ ")
        assert (
            lines[-1]
            == "           0 s                          29.5 s                         59 s"
        )
        assert max(map(len, lines)) <= 80
        assert len(lines) == 9
        # Only one column reaches the top.
        assert [line.count("█") for line in lines[1:6]] == [1] * 5

    async def test_what_goes_at_once_is_said(self, memory: S3Storage) -> None:
        assert picture_of(await plan(memory, at(7, 7))) == "2 requests at once"

    async def test_at_speed_max_the_recording_stands_for_it(self, memory: S3Storage) -> None:
        picture = picture_of(await plan(memory, at(0, SECOND), speed_multiplier="max"))

        assert picture.splitlines()[:2] == [
            "when requests will leave is not known before; as they arrived:",
            "requests/s as recorded; peak 1 in the second from 0 s",
        ]

    async def test_no_line_is_longer_than_a_terminal_has_columns(self, memory: S3Storage) -> None:
        requests = at(*(hour * 3_600 * SECOND for hour in range(50)))

        picture = picture_of(await plan(memory, requests, copies=1_000, speed_multiplier="max"))

        assert max(map(len, picture.splitlines())) <= 80


class TestCourse:
    def test_at_least_so_long_is_what_rate_and_pace_allow(self) -> None:
        course = Course(
            array("Q", [0, SECOND]), SECOND, loops=2, costs=array("Q", [1, 3]), per_second=2
        )

        assert course.at_least_ns == 5 * HALF
        assert list(course.times()) == [0, SECOND, SECOND + 3 * HALF, SECOND + 4 * HALF]
