"""When requests are due."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_replay import Rate
from otlp_replay.pacing import Meter, Timeline
from tests.sessions import SECOND

places = st.integers(0, 10**15)
clocks = st.integers(0, 2**62)
speeds = st.one_of(
    st.integers(1, 1000),
    st.integers(1, 100_000).map(lambda hundredths: hundredths / 100),
    st.floats(0.01, 1000.0),
)


class TestTimeline:
    @given(clocks, places, places, speeds)
    def test_a_request_is_due_within_a_nanosecond_of_the_formula(
        self, clock_ns: int, anchor: int, place: int, speed: float
    ) -> None:
        due_ns = Timeline(anchor, clock_ns, speed).due_ns(place)

        exact = clock_ns + (place - anchor) / Fraction(str(speed))
        assert 0 <= exact - due_ns < 1

    @given(clocks, places, st.integers(0, 10**15), speeds)
    def test_the_place_at_a_time_is_within_a_nanosecond_of_the_formula(
        self, clock_ns: int, anchor: int, elapsed_ns: int, speed: float
    ) -> None:
        place = Timeline(anchor, clock_ns, speed).line_at_ns(clock_ns + elapsed_ns)

        assert 0 <= anchor + elapsed_ns * Fraction(str(speed)) - place < 1

    @given(places, places, speeds)
    def test_what_lies_behind_is_not_due_earlier(self, one: int, other: int, speed: float) -> None:
        due = Timeline(7, 5, speed).due_ns

        assert (due(one) <= due(other)) or one > other

    @given(places, places, speeds, clocks)
    def test_a_delay_moves_all_alike(
        self, anchor: int, place: int, speed: float, delay_ns: int
    ) -> None:
        timeline = Timeline(anchor, 77, speed)

        assert timeline.later_by(delay_ns).due_ns(place) == timeline.due_ns(place) + delay_ns

    @given(places)
    def test_at_max_everything_is_due_at_the_anchor(self, place: int) -> None:
        timeline = Timeline(5, 123, "max")

        assert (timeline.due_ns(place), timeline.line_at_ns(place)) == (123, 5)

    @pytest.mark.parametrize(("speed", "numerator", "denominator"), [(1, 1, 1), (0.3, 10, 3)])
    def test_a_million_events_do_not_drift(
        self, speed: float, numerator: int, denominator: int
    ) -> None:
        due = Timeline(0, 0, speed).due_ns
        gap_ns = 1_000_003

        drifted = [
            index
            for index in range(1_000_000)
            if due(index * gap_ns) != index * gap_ns * numerator // denominator
        ]

        assert drifted == []

    @pytest.mark.parametrize(
        ("speed", "due_ns"), [(0.1, 100_000_000_000), (0.01, 10**12), (1000, 10_000_000)]
    )
    def test_the_speed_is_the_number_as_it_is_written(self, speed: float, due_ns: int) -> None:
        assert Timeline(0, 0, speed).due_ns(10_000_000_000) == due_ns


rates = st.one_of(st.integers(1, 10**9), st.floats(0.001, 1e9))


class TestMeter:
    def taken(self, meter: Meter, due: list[int], sizes: list[int]) -> list[int]:
        leaves = []
        for at_ns, size_bytes in zip(due, sizes, strict=True):
            leaves.append(max(at_ns, meter.free_ns))
            meter.take(leaves[-1], requests=1, records=3, size_bytes=size_bytes)
        return leaves

    @given(st.integers(1, 500), rates)
    def test_a_backlog_leaves_at_the_rate_exactly(self, count: int, per_second: float) -> None:
        leaves = self.taken(Meter(Rate(per_second)), [0] * count, [1] * count)

        gap_ns = SECOND / Fraction(str(per_second))
        assert leaves == [math.ceil(place * gap_ns) for place in range(count)]

    @given(st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10**6)), max_size=50))
    def test_no_second_has_more_than_the_rate_and_one_request(
        self, requests: list[tuple[int, int]]
    ) -> None:
        due = sorted(at for at, _ in requests)
        sizes = [size for _, size in requests]
        leaves = self.taken(Meter(Rate(1_000, "bytes")), due, sizes)

        for first, start in enumerate(leaves):
            inside = [
                size
                for at, size in zip(leaves[first:], sizes[first:], strict=True)
                if at < start + SECOND
            ]
            assert sum(inside[:-1]) <= 1_000
        assert all(at >= planned for at, planned in zip(leaves, due, strict=True))

    def test_records_can_be_counted(self) -> None:
        leaves = self.taken(Meter(Rate(3, "records")), [0, 0, 0], [1, 1, 1])

        assert leaves == [0, SECOND, 2 * SECOND]

    @given(st.lists(st.integers(0, 10**10), max_size=20))
    def test_without_a_rate_nothing_waits(self, due: list[int]) -> None:
        assert self.taken(Meter(None), due, due) == due
