"""Real time, and time that a test moves."""

import time

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.clock import SYSTEM_CLOCK, Clock, moment, unix_nano
from tests.clocks import HANGS_AFTER_S, START, VirtualClock, settled

pytestmark = pytest.mark.anyio


class TestMoments:
    @given(st.integers(0, 2**64 - 1))
    def test_a_moment_is_the_microsecond_that_holds_it(self, nano: int) -> None:
        assert unix_nano(moment(nano)) == nano // 1000 * 1000


class TestSystemClock:
    def test_it_tells_the_time(self) -> None:
        assert time.time_ns() <= SYSTEM_CLOCK.time_ns() <= time.time_ns()
        assert time.monotonic_ns() <= SYSTEM_CLOCK.monotonic_ns() <= time.monotonic_ns()

    async def test_it_sleeps_until_a_deadline_and_not_at_all_past_one(self) -> None:
        deadline_ns = SYSTEM_CLOCK.monotonic_ns() + 2_000_000

        await SYSTEM_CLOCK.sleep_until(deadline_ns)
        reached = SYSTEM_CLOCK.monotonic_ns() >= deadline_ns
        with anyio.fail_after(HANGS_AFTER_S):
            await SYSTEM_CLOCK.sleep_until(deadline_ns)

        assert reached


class TestVirtualClock:
    def test_it_is_a_clock(self) -> None:
        assert isinstance(VirtualClock(), Clock)

    async def test_sleepers_wake_in_turn_at_their_own_deadlines(self) -> None:
        clock, woken = VirtualClock(), list[tuple[str, float]]()

        async def sleep(name: str, *seconds: float) -> None:
            for each in seconds:
                await clock.sleep_until(clock.monotonic_ns() + round(each * 1e9))
                woken.append((name, clock.monotonic_ns() / 1e9))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleep, "a", 1, 1, 0, 2.5)
            tasks.start_soon(sleep, "b", 1.5)
            await clock.advance(3)
            before = list(woken), clock.deadlines_ns
            await clock.advance(2)

        assert before == (
            [("a", 1.0), ("b", 1.5), ("a", 2.0), ("a", 2.0)],
            [4_500_000_000],
        )
        assert woken[-1] == ("a", 4.5)
        assert clock.time_ns() == START + 5_000_000_000

    async def test_a_cancelled_sleeper_is_forgotten(self) -> None:
        clock = VirtualClock()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep_until, 10)
            await settled()
            tasks.cancel_scope.cancel()

        assert clock.deadlines_ns == []

    async def test_wall_time_can_be_set_by_itself(self) -> None:
        clock = VirtualClock()
        clock.step_wall_time(-5)
        clock.step(1)

        assert (clock.time_ns() - START, clock.monotonic_ns()) == (-4_000_000_000, 1_000_000_000)
