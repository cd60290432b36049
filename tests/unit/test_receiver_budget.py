"""Places for messages that are coming in, on a clock that stands still while anybody works."""

from typing import Any

import anyio
import pytest
import trio
import trio.testing

from otlp_capture.receiver.answers import BodyTooSlow, TooManyReads
from otlp_capture.receiver.budget import Budget, Reads, Reservation
from otlp_capture.result import Failure, Outcome, Success


def run(main: Any) -> Any:
    """Run on a clock that jumps to the next deadline once all wait."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def never() -> str:
    await anyio.sleep_forever()
    return "never"


def taking(seconds: float) -> Any:
    async def read() -> str:
        await anyio.sleep(seconds)
        return f"after {seconds:g}"

    return read


def ended(reads: Reads, *work: Any) -> list[tuple[float, Outcome[str, Any]]]:
    """Begin reads one after the other at once; tell when each ended, and how."""
    endings: dict[int, tuple[float, Outcome[str, Any]]] = {}

    async def one(number: int, read: Any, began: float) -> None:
        outcome = await reads.run(read)
        endings[number] = round(anyio.current_time() - began, 3), outcome

    async def main() -> None:
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for number, read in enumerate(work):
                tasks.start_soon(one, number, read, began)
                await anyio.sleep(0.001)

    run(main)
    return [endings[number] for number in range(len(work))]


class TestReads:
    def test_who_waits_has_its_turn(self) -> None:
        reads = Reads(1, patience_s=5.0, timeout_s=60.0)

        assert ended(reads, taking(1), taking(2)) == [
            (1.0, Success("after 1")),
            (3.0, Success("after 2")),
        ]

    def test_as_many_as_may_read_at_once(self) -> None:
        reads = Reads(2, patience_s=5.0, timeout_s=60.0)

        assert ended(reads, taking(2), taking(2)) == [
            (2.0, Success("after 2")),
            (2.001, Success("after 2")),
        ]

    def test_a_slow_one_gives_way_to_one_that_waits(self) -> None:
        reads = Reads(1, patience_s=5.0, timeout_s=60.0)

        assert ended(reads, never, taking(1)) == [
            (5.0, Failure(BodyTooSlow(5.0))),
            (6.0, Success("after 1")),
        ]

    def test_each_that_waits_has_one_give_way(self) -> None:
        reads = Reads(3, patience_s=5.0, timeout_s=60.0)
        times = [time for time, _ in ended(reads, never, never, never, taking(1), taking(1))]

        assert times == [5.0, 5.001, 60.002, 6.0, 6.001]

    def test_nobody_gives_way_while_nobody_waits(self) -> None:
        reads = Reads(1, patience_s=5.0, timeout_s=60.0)

        assert ended(reads, taking(50), taking(0)) == [
            (5.0, Failure(BodyTooSlow(5.0))),
            (5.0, Success("after 0")),
        ]
        assert ended(reads, taking(50)) == [(50.0, Success("after 50"))]

    def test_none_takes_longer_than_the_timeout(self) -> None:
        reads = Reads(1, patience_s=5.0, timeout_s=60.0)

        assert ended(reads, never) == [(60.0, Failure(BodyTooSlow(60.0)))]

    def test_none_waits_longer_than_the_timeout(self) -> None:
        reads = Reads(1, patience_s=40.0, timeout_s=60.0)

        assert ended(reads, never, never, never) == [
            (40.0, Failure(BodyTooSlow(40.0))),
            (100.0, Failure(BodyTooSlow(60.0))),
            (60.002, Failure(TooManyReads(1))),
        ]

    def test_who_leaves_gives_its_place_back(self) -> None:
        reads = Reads(1, patience_s=5.0, timeout_s=60.0)

        async def main() -> Outcome[str, Any]:
            for _ in range(3):
                with anyio.move_on_after(1.0):
                    await reads.run(never)
            return await reads.run(taking(1))

        assert run(main) == Success("after 1")

    def test_a_fault_gives_its_place_back(self) -> None:
        reads = Reads(1, patience_s=5.0, timeout_s=60.0)

        async def fail() -> str:
            raise KeyError("a fault")

        async def main() -> Outcome[str, Any]:
            with pytest.raises(KeyError):
                await reads.run(fail)
            return await reads.run(taking(1))

        assert run(main) == Success("after 1")


def test_what_a_reservation_took_comes_back() -> None:
    budget = Budget(10)
    with Reservation(budget) as held:
        assert held.grow(4)
        assert held.grow(6)
        assert not held.grow(1)
        assert budget.left_bytes == 0
    assert budget.left_bytes == 10
