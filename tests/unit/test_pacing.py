"""When requests are due."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_replay.pacing import Schedule
from tests.clocks import START, VirtualClock

pytestmark = pytest.mark.anyio

arrivals = st.integers(START, START + 10**15)
speeds = st.one_of(
    st.integers(1, 1000),
    st.integers(1, 100_000).map(lambda hundredths: hundredths / 100),
    st.floats(0.01, 1000.0),
)


def schedule(speed: float, *, anchor_ns: int = 0) -> Schedule:
    return Schedule(START, anchor_ns, START + 5, speed)


class TestSchedule:
    @given(st.integers(0, 2**62), arrivals, speeds)
    def test_a_request_is_due_within_a_nanosecond_of_the_formula(
        self, anchor_ns: int, arrival: int, speed: float
    ) -> None:
        due_ns = schedule(speed, anchor_ns=anchor_ns).due_ns(arrival)

        exact = anchor_ns + (arrival - START) / Fraction(str(speed))
        assert 0 <= exact - due_ns < 1

    @given(arrivals, arrivals, speeds)
    def test_what_arrived_later_is_not_due_earlier(
        self, one: int, other: int, speed: float
    ) -> None:
        due = schedule(speed).due_ns

        assert (due(one) <= due(other)) or one > other

    @given(arrivals, speeds)
    def test_wall_clock_and_monotonic_clock_agree(self, arrival: int, speed: float) -> None:
        planned = schedule(speed, anchor_ns=77)

        assert planned.due_unix_nano(arrival) - START - 5 == planned.due_ns(arrival) - 77

    @given(arrivals)
    def test_at_max_everything_is_due_at_the_anchor(self, arrival: int) -> None:
        planned = Schedule(START, 123, START, "max")

        assert (planned.due_ns(arrival), planned.due_unix_nano(arrival)) == (123, START)

    @pytest.mark.parametrize(("speed", "numerator", "denominator"), [(1, 1, 1), (0.3, 10, 3)])
    def test_a_million_events_do_not_drift(
        self, speed: float, numerator: int, denominator: int
    ) -> None:
        due = schedule(speed).due_ns
        gap_ns = 1_000_003

        drifted = [
            index
            for index in range(1_000_000)
            if due(START + index * gap_ns) != index * gap_ns * numerator // denominator
        ]

        assert drifted == []

    @pytest.mark.parametrize(
        ("speed", "due_ns"), [(0.1, 100_000_000_000), (0.01, 10**12), (1000, 10_000_000)]
    )
    def test_the_speed_is_the_number_as_it_is_written(self, speed: float, due_ns: int) -> None:
        assert schedule(speed).due_ns(START + 10_000_000_000) == due_ns

    async def test_it_starts_at_this_moment(self) -> None:
        clock = VirtualClock(START + 9, monotonic_ns=4)

        assert Schedule.starting_now(clock, START, 2) == Schedule(START, 4, START + 9, 2)
