"""A clock that wakes precisely, by a thread of its own."""

import asyncio
import random
import threading

import anyio
import pytest

from otlp_capture.clock import SYSTEM_CLOCK, Clock
from otlp_replay.pacing import Precision, precise
from tests.clocks import HANGS_AFTER_S, VirtualClock

pytestmark = pytest.mark.anyio

MS = 1_000_000
both = pytest.mark.parametrize("precision", ["normal", "high"])


def alarms() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "otlp-replay-alarm"]


async def woken_at(clock: Clock, deadline_ns: int) -> int:
    await clock.sleep_until(deadline_ns)
    return clock.monotonic_ns()


@both
async def test_all_sleepers_wake_and_none_early(precision: Precision) -> None:
    chance = random.Random(2)
    with anyio.fail_after(HANGS_AFTER_S), precise(SYSTEM_CLOCK, precision) as clock:
        now_ns = clock.monotonic_ns()
        deadlines = [now_ns + chance.randrange(-MS, 50 * MS) for _ in range(300)]
        woken = await asyncio.gather(*(woken_at(clock, each) for each in deadlines))

    assert all(at >= due for at, due in zip(woken, deadlines, strict=True))


@both
async def test_a_sleeper_can_be_called_off_and_others_sleep_on(precision: Precision) -> None:
    with anyio.fail_after(HANGS_AFTER_S), precise(SYSTEM_CLOCK, precision) as clock:
        late_ns = clock.monotonic_ns() + 20 * MS
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep_until, clock.monotonic_ns() + 3_600_000 * MS)
            tasks.start_soon(clock.sleep_until, late_ns - 10 * MS)
            woken_ns = await woken_at(clock, late_ns)
            tasks.cancel_scope.cancel()

    assert woken_ns >= late_ns


@both
async def test_who_sleeps_for_thousands_of_years_keeps_no_other_from_waking(
    precision: Precision,
) -> None:
    with anyio.fail_after(HANGS_AFTER_S), precise(SYSTEM_CLOCK, precision) as clock:
        async with anyio.create_task_group() as tasks:
            years_ns = 100_000 * 366 * 86_400_000 * MS
            tasks.start_soon(clock.sleep_until, clock.monotonic_ns() + years_ns)
            due_ns = clock.monotonic_ns() + 20 * MS
            await woken_at(SYSTEM_CLOCK, due_ns - 10 * MS)
            woken_ns = await woken_at(clock, due_ns)
            tasks.cancel_scope.cancel()

    assert woken_ns >= due_ns


async def test_what_is_due_gives_others_a_turn() -> None:
    turns: list[int] = []
    with precise(SYSTEM_CLOCK, "normal") as clock:
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await clock.sleep_until(0)

    assert turns == [1]


@both
async def test_its_thread_ends_with_its_block(precision: Precision) -> None:
    with precise(SYSTEM_CLOCK, precision) as clock:
        assert len(alarms()) == 1
        await clock.sleep_until(clock.monotonic_ns() + MS)

    assert alarms() == []


async def test_its_thread_ends_where_its_block_is_left() -> None:
    async with anyio.create_task_group() as tasks:
        with precise(SYSTEM_CLOCK, "normal") as clock:
            tasks.cancel_scope.cancel()
            await clock.sleep_until(clock.monotonic_ns() + 3_600_000 * MS)

    assert alarms() == []


async def test_it_shows_the_machine_s_time() -> None:
    with precise(SYSTEM_CLOCK, "normal") as clock:
        before, now, after = (
            SYSTEM_CLOCK.time_ns(),
            clock.time_ns(),
            SYSTEM_CLOCK.time_ns(),
        )

    assert before <= now <= after


async def test_a_test_s_clock_wakes_as_it_is_moved() -> None:
    virtual = VirtualClock()
    with precise(virtual, "high") as clock:
        assert clock is virtual

    assert alarms() == []
