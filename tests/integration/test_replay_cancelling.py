"""A replay that is cancelled at its k-th await, for every k, leaves nothing behind.

Nothing is left to the collector of circles, which is off: what a replay opened it closes itself.
Over gRPC the library has a few files of its own for as long as anything in the process uses it,
and the target here does.
"""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage
from otlp_replay import ReplayStatus
from otlp_replay.deliveries import read_ledger
from tests.clocks import HANGS_AFTER_S
from tests.replays import SESSION, assert_closed, at_once, interleaved, opened_service, over
from tests.servers.grpc_target import open_grpc_target
from tests.servers.target import open_target
from tests.sessions import arriving, write_session

pytestmark = pytest.mark.anyio


_TARGET_CLOSES_WITHIN_S: Final = 5.0


@attrs.define
class Awaits:
    """Counts the awaits of a replay, of all its tasks together, and does something at one.

    Attributes:
        left: how many are to be gone before it is done.
        act: what is done.
        tasks: those that were made.
    """

    left: int
    act: Callable[[], object]
    tasks: list[asyncio.Task[Any]] = attrs.field(factory=list[asyncio.Task[Any]])

    def take(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()


COUNTING: Final = ContextVar[Awaits | None]("COUNTING", default=None)
"""Set in the task that replays; the tasks that come of it have it, too, and no others."""


@attrs.frozen
class Counted(Awaitable[Any]):
    """Goes through a coroutine, and counts each time that it waits."""

    work: Coroutine[Any, Any, Any]

    def __await__(self) -> Generator[Any, Any, Any]:
        go_on: Callable[[Any], Any] = self.work.send
        given: Any = None
        while True:
            try:
                waits_for = go_on(given)
            except StopIteration as done:
                return done.value
            finally:
                # An error that this frame held would hold the frame: a circle of this test's own.
                given = None
            awaits = COUNTING.get()
            if awaits is not None:
                awaits.take()
            try:
                go_on, given = self.work.send, (yield waits_for)
            except BaseException as error:  # noqa: BLE001 - it is handed on
                go_on, given = self.work.throw, error


def counting(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **settings: Any
) -> asyncio.Task[Any]:
    """Make a task that counts its awaits, if what makes it is counted."""

    async def counted() -> Any:
        return await Counted(work)

    awaits = COUNTING.get()
    if awaits is None:
        return asyncio.Task(work, loop=loop, **settings)
    awaits.tasks.append(task := asyncio.Task(counted(), loop=loop, **settings))
    # A task that is cancelled before its first step has not begun its work, either.
    task.add_done_callback(lambda _: work.close())
    return task


def held() -> set[str]:
    """Return what files and sockets are open, and the replays' threads."""
    threads = {each.name for each in threading.enumerate() if "replay" in each.name}
    links = list(Path("/proc/self/fd").iterdir())
    return {f"{link.name} {link.readlink()}" for link in links if link.is_symlink()} | threads


async def cancelled_at(
    storage: S3Storage, k: int, **settings: Any
) -> tuple[Awaits, ReplayStatus | None]:
    """Replay, and cancel at the k-th await; return what was counted, and how it ended."""
    found: list[Any] = []

    async def replay() -> None:
        async with opened_service(storage, SYSTEM_CLOCK) as service:
            found.append(service)
            or_raise(await service.start_replay(at_once(**settings)))
            await over(service)

    with anyio.fail_after(HANGS_AFTER_S):
        async with anyio.create_task_group() as tasks:
            awaits = Awaits(k, tasks.cancel_scope.cancel)
            token = COUNTING.set(awaits)
            tasks.start_soon(replay)
            COUNTING.reset(token)
    ended = await found[0].get_replay_status(SESSION) if found else None
    return awaits, None if ended is None else ended.value_or(None)


def http() -> AbstractAsyncContextManager[Any]:
    return open_target()


def grpc() -> AbstractAsyncContextManager[Any]:
    return open_grpc_target()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Keep circles of objects until the test is over."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


async def cancelled_at_each(
    storage: S3Storage, folder: Path, opened: Callable[[], Any], requests: int, **settings: Any
) -> int:
    """Replay again and again, and cancel one await later each time; return how many there are."""
    await write_session(storage, SESSION, arriving(interleaved(requests), every=0))
    planned = 3 * requests * settings.get("copies", 1)
    loop = asyncio.get_running_loop()
    async with opened() as target:
        settings["url"] = target.url
        k, is_there = 0, True
        await cancelled_at(storage, 1 << 30, **settings)
        loop.set_task_factory(counting)  # type: ignore[arg-type]  # it may take a plain coroutine
        try:
            while is_there:
                k += 1
                ledger = folder / f"{k}"
                before = held()
                awaits, status = await cancelled_at(storage, k, ledger=ledger, **settings)
                is_there = awaits.left <= 0
                assert [task for task in awaits.tasks if not task.done()] == [], k
                assert await left(before) == set(), k
                if status is None:
                    continue
                assert_closed(status, planned, planned)
                assert status.status == ("failed" if status.error else "completed"), k
                prior = or_raise(read_ledger(ledger))
                assert prior.count("delivered") == status.delivery.delivered, k
        finally:
            loop.set_task_factory(None)
    return k


async def left(before: set[str]) -> set[str]:
    """Return what there is now that was not; the target has time to let go of its own ends."""
    with anyio.move_on_after(_TARGET_CLOSES_WITHIN_S):
        while held() - before:  # noqa: ASYNC110 - the kernel sets no event
            await anyio.sleep(0.001)
    return held() - before


WAYS: Final = [(http, "http/protobuf"), (grpc, "grpc")]


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(("opened", "protocol"), WAYS)
async def test_cancelled_at_any_await_it_leaves_nothing_behind(
    memory: S3Storage, tmp_path: Path, opened: Callable[[], Any], protocol: str
) -> None:
    awaits = await cancelled_at_each(memory, tmp_path, opened, 1, protocol=protocol)

    assert awaits > 30


@pytest.mark.slow
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(("opened", "protocol"), WAYS)
async def test_nor_does_a_longer_one_of_many_copies(
    memory: S3Storage, tmp_path: Path, opened: Callable[[], Any], protocol: str
) -> None:
    awaits = await cancelled_at_each(
        memory, tmp_path, opened, 4, protocol=protocol, copies=3, max_in_flight=2
    )

    assert awaits > 100
