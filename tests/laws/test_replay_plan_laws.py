"""A plan against lists: every request of every loop and copy written out, and counted slowly."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.otlp import SIGNALS, Signal, Ties
from otlp_capture.sessions import Frame, FrameTable, SegmentIndex, SessionIndex
from otlp_replay import After, At, Rate, ReplayConfig
from otlp_replay.config import TimestampAdjustment
from otlp_replay.course import Course
from otlp_replay.pacing import Meter, Timeline
from otlp_replay.plan import Ages, Amount, ReplayPlan, TargetWindow
from otlp_replay.plan.draft import draft_of
from otlp_replay.plan.lineage import LineageBuilder, lineage_of
from otlp_replay.plan.planning import plan_of
from otlp_replay.selection import selection_of
from otlp_replay.sequence import lay_out
from tests.sessions import SECOND, START

NOW = START + 1_000 * SECOND
TARGET = TargetWindow(oldest_accepted_s=900, newest_accepted_s=1)

seldom_none = st.one_of(st.none(), st.integers(0, 6 * SECOND))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    arrival = START + draw(st.one_of(st.integers(0, 3), st.integers(0, 5 * SECOND)))
    times = sorted(arrival - draw(st.integers(-SECOND, 3 * SECOND)) for _ in range(2))
    has_time = draw(st.booleans())
    return Frame(
        offset=0,
        size_bytes=9,
        raw_size_bytes=draw(st.integers(0, 9)),
        record_count=draw(st.integers(0, 3)),
        received_unix_nano=arrival,
        sequence=draw(st.integers(0, 5)),
        min_time_unix_nano=times[0] * has_time,
        max_time_unix_nano=times[1] * has_time,
    )


@st.composite
def indexes(draw: st.DrawFn, session_id: str) -> SessionIndex:
    segments = draw(st.lists(st.lists(frames(), max_size=4), max_size=3))
    return SessionIndex(
        tuple(
            SegmentIndex(
                f"{session_id}/{number}",
                draw(st.sampled_from(SIGNALS)),
                99,
                "",
                draw(st.sampled_from([("a",), ("b", "bb"), ()])),
                table_of(rows),
            )
            for number, rows in enumerate(segments)
        )
    )


def table_of(rows: list[Frame]) -> FrameTable:
    return FrameTable(attrs.evolve(frame, offset=9 * row) for row, frame in enumerate(rows))


@st.composite
def configs(draw: st.DrawFn) -> ReplayConfig:
    rates = st.builds(
        Rate,
        st.sampled_from([0.3, 1.0, 7.0, 1e9]),
        st.sampled_from(["requests", "records", "bytes"]),
    )
    mode: TimestampAdjustment = draw(st.sampled_from(["none", "relative", "current"]))
    start, length = draw(seldom_none), draw(seldom_none)
    return ReplayConfig(
        session_id="s0",
        merged_session_ids=("s1",),
        timestamp_adjustment=mode,
        base_time_offset=draw(st.sampled_from([None, 5, -(2**62)])) if mode == "relative" else None,
        replay_logs=draw(st.booleans()),
        replay_from=None if start is None else At(START + start),
        replay_until=None if length is None else At(START + (start or 0) + length + 1),
        limit=draw(st.one_of(st.none(), st.integers(1, 9))),
        loops=draw(st.integers(1, 4)),
        copies=draw(st.integers(1, 3)),
        speed_multiplier=draw(st.sampled_from([1.0, 0.3, 2, 1000, "max"])),
        max_gap_s=draw(st.sampled_from([None, 0.0, 0.5])),
        max_rate=draw(st.one_of(st.none(), rates)),
        max_duration_s=draw(st.sampled_from([None, 0.001, 1.0, 4.0])),
    )


@attrs.frozen
class Sent:
    """One request, written out."""

    session_id: str
    signal: Signal
    frame: Frame
    key: str
    loop: int
    time_ns: int
    shift_ns: int


def chosen(sessions: dict[str, SessionIndex], config: ReplayConfig) -> list[tuple[str, Any, Frame]]:
    rows = [
        (number, session_id, segment, frame)
        for number, (session_id, index) in enumerate(sessions.items())
        for segment in index.segments
        for frame in segment.frames
        if segment.signal in config.signals and is_within(frame.received_unix_nano, config)
    ]
    rows.sort(key=lambda row: row[3].offset)
    rows.sort(key=lambda row: row[2].key)
    rows.sort(key=lambda row: row[3].sequence)
    rows.sort(key=lambda row: row[0])
    rows.sort(key=lambda row: row[3].received_unix_nano)
    return [row[1:] for row in rows[: config.limit]]


def is_within(arrival: int, config: ReplayConfig) -> bool:
    start: Any = config.replay_from
    end: Any = config.replay_until
    return (not start or arrival >= start.unix_nano) and (not end or arrival < end.unix_nano)


def written_out(sessions: dict[str, SessionIndex], config: ReplayConfig) -> list[Sent]:
    rows = chosen(sessions, config)
    if not rows:
        return []
    given_start: Any = config.replay_from
    beginning = min(
        frame.received_unix_nano
        for index in sessions.values()
        for segment in index.segments
        if segment.signal in config.signals
        if any(is_within(frame.received_unix_nano, config) for frame in segment.frames)
        for frame in segment.frames
    )
    start = max(given_start.unix_nano, beginning) if given_start else rows[0][2].received_unix_nano
    arrivals = [start, *(frame.received_unix_nano for _, _, frame in rows)]
    gaps = [now - then for then, now in pairwise(arrivals)]
    if config.max_gap_s is not None:
        gaps = [min(gap, round(config.max_gap_s * SECOND)) for gap in gaps]
    offsets = [sum(gaps[: row + 1]) for row in range(len(gaps))]
    span = offsets[-1] - offsets[0]
    period = span + span // (len(offsets) - 1) if len(offsets) > 1 else 0
    speed = config.speed_multiplier
    pace = Fraction(0) if speed == "max" else 1 / Fraction(str(speed))
    sent: list[Sent] = []
    free = Fraction(0)
    for loop in range(config.loops):
        loop_start = int(loop * period * pace // 1)
        for (session_id, segment, frame), offset in zip(rows, offsets, strict=True):
            due = int((loop * period + offset) * pace // 1)
            time_ns = due
            if config.max_rate is not None:
                time_ns = max(due, int(-(-free // 1)))
                free = Fraction(due) if due > -(-free // 1) else free
                paid = cost(frame, config.max_rate) * config.copies
                free += paid * SECOND / fraction(config.max_rate)
            for _ in range(config.copies):
                shift = shift_ns(config, time_ns, frame, loop_start, start)
                sent.append(
                    Sent(session_id, segment.signal, frame, segment.key, loop, time_ns, shift)
                )
    longest = config.max_duration_s
    return [each for each in sent if longest is None or each.time_ns <= longest * SECOND]


def fraction(rate: Rate) -> Fraction:
    return Fraction(str(rate.per_second))


def cost(frame: Frame, rate: Rate) -> int:
    return {"requests": 1, "records": frame.record_count, "bytes": frame.raw_size_bytes}[rate.unit]


def shift_ns(config: ReplayConfig, time_ns: int, frame: Frame, loop_start: int, start: int) -> int:
    match config.timestamp_adjustment:
        case "none":
            return 0
        case "relative":
            offset = config.base_time_offset
            return NOW + loop_start - start if offset is None else offset
        case "current":
            return NOW + time_ns - frame.received_unix_nano


def most_in_a_second(times: list[int], weights: list[int]) -> int | None:
    pairs = list(zip(times, weights, strict=True))
    return max(
        (sum(w for t, w in pairs if start <= t < start + SECOND) for start in times), default=None
    )


Case = tuple[dict[str, SessionIndex], ReplayConfig]
cases = st.tuples(
    st.builds(lambda a, b: {"s0": a, "s1": b}, indexes("s0"), indexes("s1")), configs()
)


def planned(case: Case) -> tuple[ReplayPlan, list[Sent]]:
    sessions, config = case
    plan = plan_of(draft_of(sessions, config), config, NOW, TARGET, None)
    return plan, written_out(sessions, config)


class TestPlan:
    @given(cases)
    def test_the_events_are_those_written_out(self, case: Case) -> None:
        plan, sent = planned(case)

        assert [
            (each.session_id, each.telemetry_item.segment.key, each.telemetry_item.frame, each.loop)
            for each in plan.schedule.events
        ] == [(each.session_id, each.key, each.frame, each.loop) for each in sent]
        assert [each.replay_timestamp - NOW for each in plan.schedule.events] == [
            each.time_ns for each in sent
        ]
        assert [each.sequence_number for each in plan.schedule.events] == list(range(len(sent)))

    @given(cases)
    def test_the_amounts_are_their_sums(self, case: Case) -> None:
        plan, sent = planned(case)

        assert plan.by_signal == {
            signal: Amount(
                len(frames := [each.frame for each in sent if each.signal == signal]),
                sum(frame.record_count for frame in frames),
                sum(frame.raw_size_bytes for frame in frames),
            )
            for signal in SIGNALS
        }

    @given(cases)
    def test_duration_and_peaks_are_those_of_the_list(self, case: Case) -> None:
        plan, sent = planned(case)
        times = [each.time_ns for each in sent]
        is_known = plan.speed != "max" or case[1].max_rate is not None or not len(sent)

        found = plan.planned
        if not is_known:
            assert (found.duration_ns, found.requests_peak, found.curve) == (None, None, None)
            return
        assert found.duration_ns == max(times, default=0)
        peaks = [peak and peak.per_second for peak in (found.requests_peak, found.bytes_peak)]
        sizes = [each.frame.raw_size_bytes for each in sent]
        # Times are cut to nanoseconds, loop by loop: at 0.3 a second may begin one off.
        if plan.speed != 0.3 or plan.loops == 1:
            assert peaks == [
                most_in_a_second(times, [1] * len(times)),
                most_in_a_second(times, sizes),
            ]
        assert found.curve is not None
        assert sum(found.curve.counts) == len(sent)
        assert found.curve.counts == tuple(
            sum(time_ns // (found.curve.stretch_ns or 1) == column for time_ns in times)
            for column in range(len(found.curve.counts))
        )

    @given(cases)
    def test_ages_are_those_of_the_worst_loop(self, case: Case) -> None:
        plan, sent = planned(case)
        firsts = [each for each in sent if each.frame.min_time_unix_nano]
        by_loop = [
            ages([each for each in firsts if each.loop == loop], case[1].copies)
            for loop in {each.loop for each in firsts}
        ]

        assert plan.ages.out_of_range == max((each.out_of_range for each in by_loop), default=0)
        if case[1].max_rate is None:
            assert plan.ages == Ages(
                max(
                    (each.oldest_ns for each in by_loop if each.oldest_ns is not None), default=None
                ),
                min(
                    (each.youngest_ns for each in by_loop if each.youngest_ns is not None),
                    default=None,
                ),
                max((each.too_old for each in by_loop), default=0),
                max((each.too_new for each in by_loop), default=0),
                plan.ages.out_of_range,
            )


def carried_out(
    sessions: dict[str, SessionIndex], config: ReplayConfig
) -> tuple[list[tuple[str, str, Frame, int, int]], list[int], int]:
    """Return what the engine sends of sessions, and when, where all goes as it is to."""
    selection = selection_of(config).resolved(*sessions.values())
    chosen = {name: selection.segments(index) for name, index in sessions.items()}
    gap_ns = None if config.max_gap_s is None else round(config.max_gap_s * SECOND)
    sequence = lay_out(chosen, selection, limit=config.limit, max_gap_ns=gap_ns)
    course = Course(sequence, config.loops, config.copies)
    line, meter = Timeline(0, 0, config.speed_multiplier), Meter(config.max_rate)
    events, times = list[tuple[str, str, Frame, int, int]](), list[int]()
    for event in course.events(0):
        frame = event.ref.frame
        planned_ns = max(line.due_ns(event.offset_ns), meter.free_ns)
        meter.take(
            planned_ns,
            requests=config.copies,
            records=frame.record_count * config.copies,
            size_bytes=frame.raw_size_bytes * config.copies,
        )
        for copy in range(config.copies):
            key = event.ref.segment.key
            events.append((event.session_id, key, frame, event.loop, copy))
            times.append(planned_ns)
    return events, times, sequence.out_of_order


class TestPlanAndEngine:
    @given(cases, st.data())
    def test_what_is_planned_is_what_the_engine_sends_to_the_nanosecond(
        self, case: Case, data: st.DataObject
    ) -> None:
        sessions, config = case[0], attrs.evolve(case[1], max_duration_s=None)
        if data.draw(st.booleans()):
            ends = st.none() | st.integers(-6 * SECOND, 6 * SECOND).map(After)
            config = attrs.evolve(config, replay_from=data.draw(ends), replay_until=data.draw(ends))
        if data.draw(st.booleans()):
            names = st.sampled_from([("a",), ("b*",), ("b", "c"), ("nobody-?",)])
            config = attrs.evolve(config, filter_services=data.draw(names))
        plan = plan_of(draft_of(sessions, config), config, NOW, TARGET, None)

        events, times, out_of_order = carried_out(sessions, config)

        planned_events = list(plan.schedule.events)
        assert [
            (
                each.session_id,
                each.telemetry_item.segment.key,
                each.telemetry_item.frame,
                each.loop,
                each.copy,
            )
            for each in planned_events
        ] == events
        assert [each.replay_timestamp - NOW for each in planned_events] == times
        assert plan.out_of_order == out_of_order


def ages(sent: list[Sent], copies: int) -> Ages:
    first = [NOW + each.time_ns - each.shift_ns - each.frame.min_time_unix_nano for each in sent]
    last = [NOW + each.time_ns - each.shift_ns - each.frame.max_time_unix_nano for each in sent]
    return Ages(
        max(first, default=None),
        min(last, default=None),
        sum(age > 900 * SECOND for age in first) // copies,
        sum(age < -SECOND for age in last) // copies,
        sum(
            each.frame.min_time_unix_nano + each.shift_ns < 1
            or each.frame.max_time_unix_nano + each.shift_ns >= 1 << 64
            for each in sent[::copies]
        ),
    )


names = st.sets(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=3).map(frozenset)
ties = st.lists(st.builds(lambda own, up: Ties(own, up - own), names, names), max_size=12)


class TestLineage:
    @given(ties)
    def test_a_request_depends_on_the_latest_ones_before_it_with_its_parents(
        self, requests: list[Ties]
    ) -> None:
        lineage = lineage_of(requests)

        for row, each in enumerate(requests):
            holders = {
                max((r for r in range(row) if span in requests[r].spans), default=None)
                for span in each.parents
            } - {None}
            assert set(lineage.of(row)) == holders
            assert list(lineage.of(row)) == sorted(lineage.of(row))

    @given(ties)
    def test_runs_part_the_requests_and_none_depends_on_another_of_its_run(
        self, requests: list[Ties]
    ) -> None:
        lineage = lineage_of(requests)

        starts = [0, *lineage.batches()]
        runs = [range(*pair) for pair in pairwise(starts)]
        assert [row for run in runs for row in run] == list(range(len(requests)))
        for run in runs:
            assert not any(target in run for row in run for target in lineage.of(row))
        # Each run is as long as it can be.
        for run, after in pairwise(runs):
            assert any(target in run for target in lineage.of(after[0]))

    @given(ties, st.integers(1, 4))
    def test_what_is_forgotten_makes_dependencies_fewer_and_never_others(
        self, requests: list[Ties], most_spans: int
    ) -> None:
        builder = LineageBuilder(most_spans)
        for each in requests:
            builder.add(each)

        kept, whole = builder.done(), lineage_of(requests)
        for row in range(len(requests)):
            assert set(kept.of(row)) <= set(whole.of(row))
        if kept.forgotten_spans == 0:
            assert kept.targets == whole.targets
