"""Replays that go on by their ledger where another run ended."""

import errno
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from otlp_capture.result import Failure, Outcome, Success, or_raise
from otlp_capture.sending import Answer, NoAnswer, Parcel
from otlp_capture.storage import S3Storage
from otlp_replay import DeliveryCounts, ReplayConfig, ReplayStatus, RetryPolicy
from otlp_replay.deliveries import LedgerExists, LedgerNotFound, LedgerUnusable, read_ledger
from otlp_replay.errors import ReplayAlreadyExists, ReplayError
from tests.clocks import VirtualClock
from tests.disks import Disk
from tests.replays import SESSION, assert_closed, numbered, opened_service
from tests.sessions import arriving, write_session
from tests.virtual_replays import Noting, Taking, virtual_replay

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ten(memory: S3Storage) -> S3Storage:
    """A store with a session of ten requests, a second apart."""
    await write_session(memory, SESSION, arriving(numbered(10)))
    return memory


class Silent(Taking):
    """A transport whose target takes two requests, and then says nothing of a third."""

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        taken = await super().attempt(parcel, depart)
        return taken if len(self.parcels) < 3 else NoAnswer("silence", may_have_arrived=True)


def numbers(noting: Noting) -> list[int]:
    return [event.number for event in noting.intended]


@pytest.mark.parametrize("copies", [1, 2])
async def test_what_was_not_delivered_is_sent_and_the_line_begins_there(
    ten: S3Storage, tmp_path: Path, copies: int
) -> None:
    ledger = tmp_path / "ledger"
    async with virtual_replay(ten, ledger=ledger, copies=copies) as replay:
        await replay.until(3.5)
        first = or_raise(await replay.service.cancel(SESSION))
    async with virtual_replay(ten, ledger=ledger, resume=True, copies=copies) as again:
        last = await again.run_out()

    assert numbers(replay.noting) == list(range(4 * copies))
    assert numbers(again.noting) == list(range(4 * copies, 10 * copies))
    assert again.clock.monotonic_ns() == 5_000_000_000
    assert first.replay_id == last.replay_id
    assert_closed(last, 10 * copies, 10 * copies)
    assert last.not_sent_reasons == {"DeliveredBefore": 4 * copies}
    prior = or_raise(read_ledger(ledger))
    assert prior.count("delivered") == 10 * copies


async def test_a_ledger_is_begun_once_and_gone_on_with_where_it_is(
    ten: S3Storage, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    config = ReplayConfig(session_id=SESSION, ledger=ledger)
    async with virtual_replay(ten, ledger=ledger, speed_multiplier="max") as replay:
        status = await replay.run_out()
        again = await replay.service.start_replay(config)
    async with opened_service(ten, VirtualClock()) as service:
        missing = await service.start_replay(
            ReplayConfig(session_id=SESSION, ledger=tmp_path / "missing", resume=True)
        )

    assert again == Failure(LedgerExists(str(ledger), status.replay_id))
    assert missing == Failure(LedgerNotFound(str(tmp_path / "missing")))


async def test_two_that_begin_at_once_by_one_name_are_one(ten: S3Storage, tmp_path: Path) -> None:
    answers: list[Outcome[ReplayStatus, ReplayError]] = []

    async def start(ledger: str) -> None:
        config = ReplayConfig(session_id=SESSION, replay_id="twin", ledger=tmp_path / ledger)
        answers.append(await service.start_replay(config))

    async with opened_service(ten, VirtualClock()) as service:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start, "one")
            tasks.start_soon(start, "other")
        await service.cancel("twin")

    assert sorted(type(answer).__name__ for answer in answers) == ["Failure", "Success"]
    assert Failure(ReplayAlreadyExists("twin")) in answers


async def test_one_that_runs_is_not_gone_on_with(ten: S3Storage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with virtual_replay(ten, ledger=ledger, replay_id="twin") as replay:
        await replay.run_out()
    again = ReplayConfig(session_id=SESSION, ledger=ledger, resume=True)
    async with virtual_replay(ten, replay_id="twin") as running:
        refused = await running.service.start_replay(again)
        status = await running.run_out()
        resumed = await running.service.start_replay(again)

    assert refused == Failure(ReplayAlreadyExists("twin"))
    assert status.delivery == DeliveryCounts(delivered=10)
    assert isinstance(resumed, Success)


async def test_one_that_is_done_sends_nothing_again(ten: S3Storage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with virtual_replay(ten, ledger=ledger, speed_multiplier="max") as replay:
        await replay.run_out()
    transport = Taking()
    async with virtual_replay(ten, transport, ledger=ledger, resume=True) as again:
        status = await again.run_out()

    assert transport.parcels == []
    assert (status.status, status.delivery) == ("completed", DeliveryCounts(not_sent=10))
    assert status.not_sent_reasons == {"DeliveredBefore": 10}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_a_ledger_that_cannot_be_written_ends_the_replay_before_the_next_request(
    ten: S3Storage, tmp_path: Path, code: int
) -> None:
    ledger, disk = tmp_path / "ledger", Disk(tmp_path)
    with disk.watched():
        async with virtual_replay(ten, ledger=ledger) as replay:
            await replay.until(3.5)
            disk.faults = {disk.calls: code}
            status = await replay.run_out()
    async with virtual_replay(ten, ledger=ledger, resume=True) as again:
        last = await again.run_out()

    assert disk.failed == [("write", code)]
    assert isinstance(status.error, LedgerUnusable)
    assert status.not_sent_reasons == {"LedgerUnusable": 6}
    assert_closed(status, 10, 10)
    assert len(replay.transport.parcels) == 4
    assert numbers(again.noting) == list(range(4, 10))
    assert last.delivery == DeliveryCounts(delivered=6, not_sent=4)


async def test_what_may_have_arrived_is_told_from_what_has(ten: S3Storage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with virtual_replay(
        ten, Silent(), ledger=ledger, retry=RetryPolicy(max_attempts=1)
    ) as replay:
        await replay.until(2.5)
        or_raise(await replay.service.cancel(SESSION))
    async with virtual_replay(ten, ledger=ledger, resume=True) as again:
        status = await again.run_out()

    assert status.delivery == DeliveryCounts(delivered=7, not_sent=3)
    assert status.not_sent_reasons == {"DeliveredBefore": 2, "SettledBefore": 1}
