"""A bound on what is held at once."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_replay.room import Room
from tests.clocks import settled

pytestmark = pytest.mark.anyio


class TestRoom:
    async def test_who_finds_it_full_waits_until_enough_has_left(self) -> None:
        room = Room(max_count=10, max_bytes=100)
        await room.enter(60)
        await room.enter(40)
        entered = anyio.Event()

        async def enter() -> None:
            await room.enter(70)
            entered.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter)
            await settled()
            room.leave(40)
            await settled()
            assert not entered.is_set()
            room.leave(60)
            await entered.wait()

    async def test_what_is_larger_than_it_goes_in_alone(self) -> None:
        room = Room(max_count=10, max_bytes=100)

        await room.enter(1_000)

        assert not room.has_room(0)

    @given(st.integers(1, 5), st.integers(0, 50), st.lists(st.integers(0, 30), max_size=20))
    def test_it_never_holds_more_than_it_may(
        self, max_count: int, max_bytes: int, sizes: list[int]
    ) -> None:
        async def fill() -> None:
            room = Room(max_count, max_bytes)
            inside: list[int] = []
            for size in sizes:
                while not room.has_room(size):
                    room.leave(inside.pop())
                await room.enter(size)
                inside.append(size)
                assert len(inside) == 1 or (len(inside) <= max_count and sum(inside) <= max_bytes)

        anyio.run(fill)
