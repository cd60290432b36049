"""What a selection promises: parts make a whole, shares nest, frames come in their order."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Success, or_raise
from otlp_capture.sessions import Frame, SegmentIndex, SessionIndex, in_order
from otlp_capture.sessions.manifest import FrameTable
from otlp_replay.selection import After, At, Selection, Shard, Window
from tests.integration.test_shared_captures import otlp_files, requests_in
from tests.strategies import length_delimited, otlp_requests

known_requests = otlp_requests(unknown=st.just(b""))
shares = st.one_of(st.sampled_from([0.2, 0.5, 1.0]), st.floats(0, 1, exclude_min=True))
sequences = st.integers(0, 2**64 - 1)
patterns = st.sampled_from([(), ("cart",), ("c*",), ("*",), ("gr[ö]ße", "front???")])


def canonical(request: bytes, signal: Signal) -> Counter[Any]:
    """Count the records of a request, each with its resource and scope."""
    found = otlp.canonical_records(request, signal).unwrap()
    return Counter(attrs.evolve(each, path="") for each in found.records if not each.is_container)


@st.composite
def selections(draw: Any) -> Selection:
    count = draw(st.integers(1, 5))
    return Selection(
        services=draw(patterns),
        trace_share=draw(shares),
        shard=Shard(draw(st.integers(0, count - 1)), count),
    )


class TestNarrow:
    @given(known_requests, st.integers(1, 6), shares, patterns, sequences)
    def test_shards_share_out_what_the_whole_has(
        self,
        case: tuple[Signal, bytes],
        count: int,
        share: float,
        services: tuple[str, ...],
        sequence: int,
    ) -> None:
        signal, request = case
        whole = Selection(services=services, trace_share=share)
        parts = [attrs.evolve(whole, shard=Shard(index, count)) for index in range(count)]

        narrowed = [each.narrow(request, signal, sequence).unwrap() for each in parts]

        expected = whole.narrow(request, signal, sequence).unwrap()
        found = sum((canonical(each.request, signal) for each in narrowed), Counter[Any]())
        assert found == canonical(expected.request, signal)
        assert sum(each.record_count for each in narrowed) == expected.record_count
        sent = sum(not each.is_filtered_out for each in narrowed)
        assert bool(sent) or expected.is_filtered_out

    @given(known_requests, shares, shares, sequences)
    def test_a_larger_share_holds_the_smaller_one(
        self, case: tuple[Signal, bytes], one: float, other: float, sequence: int
    ) -> None:
        signal, request = case
        less, more = (
            canonical(
                Selection(trace_share=share).narrow(request, signal, sequence).unwrap().request,
                signal,
            )
            for share in sorted((one, other))
        )

        assert less <= more

    @given(known_requests, selections(), sequences)
    def test_twice_is_the_same_as_once(
        self, case: tuple[Signal, bytes], selection: Selection, sequence: int
    ) -> None:
        signal, request = case
        once = selection.narrow(request, signal, sequence).unwrap()
        twice = selection.narrow(once.request, signal, sequence).unwrap()

        assert (twice.request, twice.record_count) == (once.request, once.record_count)
        assert once.record_count == or_raise(otlp.scan(once.request, signal)).record_count

    @given(known_requests, selections(), sequences)
    def test_what_is_filtered_out_has_no_record_left(
        self, case: tuple[Signal, bytes], selection: Selection, sequence: int
    ) -> None:
        signal, request = case
        before = or_raise(otlp.scan(request, signal)).record_count

        narrowed = selection.narrow(request, signal, sequence).unwrap()

        if narrowed.record_count:
            assert not narrowed.is_filtered_out
        elif before:
            assert narrowed.is_filtered_out

    @given(known_requests, sequences)
    def test_everything_is_the_request_itself(
        self, case: tuple[Signal, bytes], sequence: int
    ) -> None:
        signal, request = case

        assert Selection().narrow(request, signal, sequence).unwrap().request is request

    @given(st.binary(min_size=16, max_size=16), shares, st.integers(1, 8))
    def test_a_trace_goes_with_its_logs(self, trace_id: bytes, share: float, count: int) -> None:
        span, log = otlp_record("traces", trace_id), otlp_record("logs", trace_id)
        for index in range(count):
            selection = Selection(trace_share=share, shard=Shard(index, count))
            one = selection.narrow(span, "traces", 3).unwrap()
            other = selection.narrow(log, "logs", 3).unwrap()
            assert one.record_count == other.record_count


def otlp_record(signal: Signal, trace_id: bytes) -> bytes:
    field = 1 if signal == "traces" else 9
    record = length_delimited(2, length_delimited(field, trace_id))
    return length_delimited(1, length_delimited(2, record))


@st.composite
def indexes(draw: Any) -> SessionIndex:
    """Sessions of a few segments; arrivals repeat, and come out of order."""
    segments = []
    for number in range(draw(st.integers(0, 5))):
        arrivals = draw(st.lists(st.integers(1_000, 1_020), max_size=8))
        if draw(st.booleans()):
            arrivals.sort()
        frames = [
            Frame(9 * row, 9, 9, 1, arrival, draw(st.integers(0, 30)), 0, 0)
            for row, arrival in enumerate(arrivals)
        ]
        signal = draw(st.sampled_from(SIGNALS))
        table = FrameTable(frames)
        key = f"sessions/s/raw/2026-01-01/00/{signal}-{number}.otlp.gz"
        services = draw(st.sampled_from([("cart",), ("cart", "checkout"), ()]))
        segments.append(SegmentIndex(key, signal, 99, "crc32:00000000", services, table))
    return SessionIndex(tuple(segments))


moments = st.one_of(
    st.none(),
    st.builds(At, st.integers(990, 1_030)),
    st.builds(After, st.integers(-25, 25)),
)


class TestFrames:
    @given(indexes(), moments, moments, st.sets(st.sampled_from(SIGNALS), min_size=1))
    def test_they_are_those_of_the_window_in_the_order_of_a_session(
        self, index: SessionIndex, start: Any, end: Any, signals: set[Signal]
    ) -> None:
        selection = Selection(signals=tuple(signals), window=Window(start, end))
        arrivals = [each.frame.received_unix_nano for each in in_order(index)]

        found = list(selection.frames(index))

        stretch = selection.window.over(arrivals[0], arrivals[-1]) if arrivals else None
        expected = [
            ref
            for ref in in_order(index, signals)
            if stretch is not None and stretch.holds(ref.frame.received_unix_nano)
        ]
        assert found == expected
        resolved = selection.resolved(index)
        assert list(resolved.frames(resolved.segments(index))) == expected

    @given(indexes())
    def test_those_out_of_order_are_counted(self, index: SessionIndex) -> None:
        frames = Selection().frames(index)
        numbers = [ref.frame.sequence for ref in frames]

        late = sum(
            0 < number < max(numbers[:place], default=0) for place, number in enumerate(numbers)
        )
        assert frames.out_of_order == late

    @given(st.integers(1, 40), st.integers(1, 5))
    def test_segments_that_follow_one_another_are_not_open_together(
        self, count: int, each: int
    ) -> None:
        frames = Selection().frames(SessionIndex(tuple(following(count, each))))

        open_at_most = 0
        for _ in frames:
            open_at_most = max(open_at_most, frames.open_segments)

        assert open_at_most == min(1, each - 1)
        assert frames.open_segments == 0

    @given(indexes(), patterns, moments, moments)
    def test_no_segment_is_left_out_that_holds_what_is_selected(
        self, index: SessionIndex, services: tuple[str, ...], start: Any, end: Any
    ) -> None:
        selection = Selection(services=services, window=Window(start, end))
        within = attrs.evolve(selection, services=())

        kept = {segment.key for segment in selection.segments(index).segments}

        for ref in within.frames(index):
            is_meant = not services or any(
                Selection(services=services).segments(SessionIndex((ref.segment,))).segments
            )
            assert (ref.segment.key in kept) == is_meant


def following(count: int, each: int) -> Iterator[SegmentIndex]:
    for number in range(count):
        frames = [
            Frame(9 * row, 9, 9, 1, 1_000 + 10 * number + row, number * each + row, 0, 0)
            for row in range(each)
        ]
        key = f"sessions/s/raw/2026-01-01/00/traces-{number:03}.otlp.gz"
        yield SegmentIndex(key, "traces", 99, "crc32:00000000", (), FrameTable(frames))


@pytest.mark.shared_data
def test_the_shards_of_real_captures_are_the_captures(shared_data: Path) -> None:
    parts = [Selection(shard=Shard(index, 3)) for index in range(3)]
    kept = Counter[int]()
    for path in otlp_files(shared_data, ".json", ".jsonl"):
        for sequence, (signal, request) in enumerate(requests_in(path)):
            narrowed = [part.narrow(request, signal, sequence).unwrap() for part in parts]
            record_count = or_raise(otlp.count_records(request, signal))
            assert sum(each.record_count for each in narrowed) == record_count
            for each in narrowed:
                assert otlp.count_records(each.request, signal) == Success(each.record_count)
            kept.update({place: each.record_count for place, each in enumerate(narrowed)})
    assert all(kept[place] for place in range(3))
