"""Upkeep and retention do the same on every kind of store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import pytest

from otlp_capture.layer import Layer, open_runtime
from otlp_capture.otlp import SIGNALS
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.retention import (
    ArchiveIsSource,
    RetentionPolicy,
    SessionsRetention,
    archive_session,
)
from otlp_capture.sessions import Freed, list_sessions
from otlp_capture.storage import (
    S3Storage,
    S3StorageTag,
    StorageError,
    local_storage,
    memory_storage,
    s3_storage,
)
from otlp_capture.upkeep import (
    SessionHeld,
    delete_session,
    hold_session,
    reindex_session,
    release_session,
    verify_session,
)
from tests.clocks import VirtualClock
from tests.retention import contents, opened_retention
from tests.servers.s3 import S3Server
from tests.sessions import SECOND, START, arriving, write_session
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

DAY = 86_400
REQUESTS = arriving(
    [(signal, small_request(signal)) for signal in SIGNALS for _ in range(3)], every=600 * SECOND
)
Make = Callable[[str], Layer[StorageError]]


@pytest.fixture(params=["memory", "local", "rclone"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make the layer of a store by its prefix: those of one prefix are one place."""
    if kind == "local":
        return lambda prefix: local_storage(tmp_path / prefix)
    if kind == "rclone":
        server: S3Server = request.getfixturevalue("rclone_s3")
        bucket = server.make_bucket()
        return lambda prefix: s3_storage(server.config(bucket, prefix=prefix, page_size=7))
    return lambda _: memory_storage()


@attrs.frozen
class Stores:
    """Where sessions are, where they are archived, and the first once more."""

    storage: S3Storage
    archive: S3Storage
    same: S3Storage


@pytest.fixture
async def stores(kind: str, make: Make) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:
        opened = list[S3Storage]()
        for prefix in ("here", "there", "here"):
            runtime = open_runtime(make(prefix), S3StorageTag)
            (storage,) = or_raise(await stack.enter_async_context(runtime))
            opened.append(storage)
        storage, archive, same = opened
        # What is in memory is one place only as one store.
        yield Stores(storage, archive, storage if kind == "memory" else same)


async def test_a_session_is_looked_through_counted_held_and_deleted(stores: Stores) -> None:
    storage, clock = stores.storage, VirtualClock()
    await write_session(storage, "s", REQUESTS, has_manifest=False)
    await write_session(storage, "other", REQUESTS)
    others = await contents(storage, "sessions/other/")

    assert or_raise(await reindex_session(storage, clock, "s")).has_changed
    assert not or_raise(await reindex_session(storage, clock, "s")).has_changed
    assert or_raise(await verify_session(storage, "s")).findings.listed == ()
    or_raise(await hold_session(storage, clock, "s", "audit"))
    refused = await delete_session(storage, clock, "s", force=True)
    or_raise(await release_session(storage, "s"))
    before = await contents(storage, "sessions/s/")
    freed = await delete_session(storage, clock, "s")

    assert refused == Failure(SessionHeld("s", "audit"))
    assert freed == Success(Freed(len(before), sum(map(len, before.values()))))
    assert await contents(storage) == others


async def test_a_session_moves_to_its_archive_whole(stores: Stores) -> None:
    storage, archive, clock = stores.storage, stores.archive, VirtualClock()
    written = await write_session(storage, "s", REQUESTS)
    before = await contents(storage)

    freed = or_raise(await archive_session(storage, archive, clock, "s"))

    assert freed == Freed(len(before), sum(map(len, before.values())))
    assert (await contents(storage), await contents(archive)) == ({}, before)
    assert await list_sessions(archive) == Success((written,))
    assert or_raise(await verify_session(archive, "s")).findings.listed == ()


async def test_an_archive_that_is_the_same_place_is_found_out(stores: Stores) -> None:
    await write_session(stores.storage, "s", REQUESTS)
    before = await contents(stores.storage)

    refused = await archive_session(stores.storage, stores.same, VirtualClock(), "s")

    assert refused == Failure(ArchiveIsSource())
    assert await contents(stores.storage) == before


async def test_a_policy_is_followed(stores: Stores) -> None:
    storage, archive = stores.storage, stores.archive
    for name in ("old", "held"):
        await write_session(storage, name, REQUESTS)
    await write_session(storage, "active", REQUESTS, status="active")
    or_raise(await hold_session(storage, VirtualClock(), "held"))
    for day in ("2025-11-20", "2026-01-01"):
        or_raise(await storage.store_raw_data(b"12345", f"continuous/{day}/raw/x"))
    before = await contents(storage)
    policy = RetentionPolicy(sessions=SessionsRetention(archive_after_days=10))

    async with opened_retention(storage, VirtualClock(START + 30 * DAY * SECOND), archive) as it:
        plan = or_raise(await it.plan_retention(policy))
        result = or_raise(await it.run_retention(plan))
        used = or_raise(await it.get_storage_usage())

    gone = ("sessions/old/", "continuous/2025-11-20/")
    left = {key: data for key, data in before.items() if not key.startswith(gone)}
    freed = sum(map(len, before.values())) - sum(map(len, left.values()))
    assert await contents(storage) == left
    assert result.processed_paths == ("continuous/2025-11-20/", "sessions/old/")
    assert (result.archived_paths, result.errors) == (("sessions/old/",), ())
    assert result.freed_space_bytes == plan.freed_size_bytes == freed
    assert used.total_size_bytes == sum(map(len, left.values()))
    assert [*await contents(archive)] == [key for key in before if key.startswith("sessions/old/")]
