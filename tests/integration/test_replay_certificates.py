"""Each replay of the service has a certificate, and leaves it beside its session."""

import pytest

from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.storage import S3Storage, StorageFull
from otlp_replay import ReplayConfig
from otlp_replay.errors import ReplayNotFound
from otlp_replay.fidelity import (
    CertificateNotFound,
    CertificateNotKept,
    list_certificates,
    load_certificate,
)
from tests.replays import SESSION, numbered
from tests.sessions import arriving, write_session
from tests.virtual_replays import virtual_replay

pytestmark = pytest.mark.anyio


@pytest.fixture
async def three(memory: S3Storage) -> S3Storage:
    """A store with a session of three requests, a second apart."""
    await write_session(memory, SESSION, arriving(numbered(3)))
    return memory


async def test_it_is_told_and_lies_beside_the_session(three: S3Storage) -> None:
    async with virtual_replay(three) as replay:
        early = await replay.service.get_certificate(SESSION)
        status = await replay.run_out()
        told = or_raise(await replay.service.get_certificate(SESSION))
        nowhere = await replay.service.get_certificate("another")

    assert early == Failure(CertificateNotFound(SESSION, status.replay_id))
    assert nowhere == Failure(ReplayNotFound("another"))
    assert status.certificate == told
    assert status.certificate_error is None
    assert (told.replay_id, told.status, told.planned_requests) == (
        status.replay_id,
        "completed",
        3,
    )
    assert told.requests("delivered") == told.dispatched_requests == 3
    assert (told.started_at, told.completed_at) == (status.started_at, status.completed_at)
    stored = or_raise(await load_certificate(three, SESSION, status.replay_id))
    assert stored.to_json() == told.to_json()


async def test_a_replay_that_is_broken_off_has_one_too(three: S3Storage) -> None:
    async with virtual_replay(three) as replay:
        await replay.until(0.5)
        status = or_raise(await replay.service.cancel(SESSION))

    stored = or_raise(await load_certificate(three, SESSION, status.replay_id))
    assert (stored.status, stored.unreached_requests) == ("failed", 2)
    assert status.error is not None
    assert stored.error == status.error.message


async def test_it_is_not_stored_where_nobody_wants_that(three: S3Storage) -> None:
    async with virtual_replay(three, store_certificate=False) as replay:
        status = await replay.run_out()

    assert status.certificate is not None
    assert or_raise(await list_certificates(three, SESSION)) == ()


async def test_a_store_that_refuses_is_told_and_fails_no_replay(
    three: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> object:
        return Failure(refusal)

    refusal = StorageFull("the store", "x", "it is full")
    async with virtual_replay(three) as replay:
        await replay.until(0.5)
        monkeypatch.setattr(three, "store_raw_data", refuse)
        status = await replay.run_out()

    assert (status.status, status.delivery.delivered) == ("completed", 3)
    assert status.certificate_error == CertificateNotKept(
        SESSION, status.replay_id, refusal.message
    )
    assert status.to_json()["certificateError"] == status.certificate_error.message
    assert refusal.message.rstrip(".") in status.certificate_error.message


async def test_the_service_remembers_sixteen_and_reads_older_ones(three: S3Storage) -> None:
    names = [f"replay-{number}" for number in range(18)]
    async with virtual_replay(three, replay_id=names[0], speed_multiplier="max") as replay:
        await replay.run_out()
        for name in names[1:]:
            config = ReplayConfig(session_id=SESSION, replay_id=name, speed_multiplier="max")
            or_raise(await replay.service.start_replay(config))
            await replay.run_out()
        first = or_raise(await replay.service.get_replay_status(names[0]))
        last = or_raise(await replay.service.get_replay_status(names[2]))
        found = await replay.service.get_certificate(names[0])

    assert first.certificate is None
    assert last.certificate is not None
    assert isinstance(found, Success)
    assert found.unwrap().replay_id == names[0]
