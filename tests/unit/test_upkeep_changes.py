"""Sessions counted anew, held, released and deleted."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import attrs
import pytest

from otlp_capture.clock import moment
from otlp_capture.otlp import SIGNALS
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    Freed,
    Hold,
    InvalidSessionId,
    MetadataCorrupted,
    SessionNotFound,
    encode_metadata,
    load_session,
)
from otlp_capture.storage import S3Storage
from otlp_capture.upkeep import (
    SessionActive,
    SessionBeingDeleted,
    SessionChanged,
    SessionHeld,
    SessionRecorded,
    delete_session,
    hold_session,
    reindex_session,
    release_session,
    verify_session,
)
from tests.clocks import VirtualClock
from tests.faulty_storage import FaultyStorage, When
from tests.sessions import SECOND, START, arriving, opened_memory, write_session
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

METADATA = "sessions/s/metadata.json"
REQUESTS = arriving(
    [(signal, small_request(signal)) for signal in SIGNALS for _ in range(4)], every=600 * SECOND
)


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def objects(storage: S3Storage, prefix: str = "") -> dict[str, bytes]:
    listed = [or_raise(found).key async for found in storage.list_objects(prefix)]
    return {key: or_raise(await storage.retrieve_raw_data(key)) for key in listed}


async def held(storage: S3Storage) -> Freed:
    everything = await objects(storage)
    return Freed(len(everything), sum(map(len, everything.values())))


async def stands(storage: S3Storage) -> CaptureSessionMetadata:
    return or_raise(await load_session(storage, "s")).metadata


async def edit(storage: S3Storage, **changes: Any) -> None:
    document = encode_metadata(attrs.evolve(await stands(storage), **changes))
    or_raise(await storage.store_raw_data(document, METADATA))


class TestReindex:
    async def test_it_makes_manifest_and_counters_anew(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        sound = await objects(storage)
        parts = sorted(key for key in sound if "/manifest/" in key)
        for key in parts[1:]:
            or_raise(await storage.delete_raw_data(key))
        or_raise(await storage.store_raw_data(b"?", parts[0]))
        await edit(storage, captured_logs=7, total_raw_bytes=0)
        total = or_raise(await load_session(storage, "s")).metadata

        report = or_raise(await reindex_session(storage, clock, "s"))

        assert await objects(storage) == sound
        assert (report.written_parts, report.removed_parts) == (tuple(parts), ())
        assert report.counters == {
            "capturedLogs": (7, 4),
            "totalRawBytes": (0, report.metadata.total_raw_bytes),
        }
        assert total.captured_logs == 7
        assert (report.metadata, report.damaged_segments) == (await stands(storage), 0)

    async def test_a_second_time_nothing_is_written(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS, has_manifest=False)
        first = or_raise(await reindex_session(storage, clock, "s"))
        storage.written.clear()

        second = or_raise(await reindex_session(storage, clock, "s"))

        assert (first.has_changed, second.has_changed, storage.written) == (True, False, [])

    async def test_damaged_segments_stay_out_and_parts_without_segments_go(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        everything = await objects(storage)
        raw = sorted(key for key in everything if "/raw/" in key)
        hours = [key.split("/")[-2] for key in raw]
        gone = [key for key in raw if key.split("/")[-2] == hours[-1]]
        for key in gone:
            or_raise(await storage.delete_raw_data(key))
        or_raise(await storage.store_raw_data(everything[raw[0]][:-1], raw[0]))
        or_raise(await storage.store_raw_data(b"?", "sessions/s/manifest/old.json"))

        report = or_raise(await reindex_session(storage, clock, "s"))

        assert report.damaged_segments == 1
        assert len(report.removed_parts) == 2
        verified = or_raise(await verify_session(storage, "s"))
        assert {f.kind for f in verified.findings.listed if f.is_damage} == {"tornTail"}
        assert not any(f.kind == "unknownObject" for f in verified.findings.listed)

    async def test_one_that_somebody_records_is_refused(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS, status="active", has_manifest=False)
        now = moment(clock.time_ns())
        await edit(storage, last_checkpoint_time=now - timedelta(seconds=59))
        before = await objects(storage)

        refused = await reindex_session(storage, clock, "s")
        unchanged = await objects(storage)
        clock.step(1)
        orphan = or_raise(await reindex_session(storage, clock, "s"))

        assert refused == Failure(SessionRecorded("s", 59.0))
        assert unchanged == before
        assert orphan.metadata.status == "active"

    async def test_a_write_of_somebody_else_stays(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        await edit(storage, captured_logs=7)
        storage.interrupt_write(METADATA, lambda: edit(storage, description="mine"))

        assert await reindex_session(storage, clock, "s") == Failure(SessionChanged("s"))
        assert (await stands(storage)).description == "mine"

    async def test_what_cannot_be_is_told(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        assert await reindex_session(storage, clock, "s") == Failure(SessionNotFound("s"))
        await write_session(storage, "s", REQUESTS)
        await edit(storage, deleting_since=moment(START))
        assert await reindex_session(storage, clock, "s") == Failure(SessionBeingDeleted("s"))

    @pytest.mark.parametrize(
        ("method", "within"),
        [
            ("head", ""),
            ("list_objects", ""),
            ("retrieve_raw_data", "/raw/"),
            ("retrieve_raw_data", "/manifest/"),
            ("store_raw_data", "/manifest/"),
            ("store_raw_data", "metadata"),
            ("delete_raw_data", ""),
            ("honours_conditions", ""),
        ],
    )
    async def test_what_failed_is_done_by_doing_it_again(
        self, storage: FaultyStorage, clock: VirtualClock, method: str, within: str
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        sound = await objects(storage)
        for key in [key for key in sound if "/manifest/" in key][1:]:
            or_raise(await storage.delete_raw_data(key))
        or_raise(await storage.store_raw_data(b"?", "sessions/s/manifest/old"))
        await edit(storage, captured_logs=7)
        storage.fail(method, within=within)

        assert await reindex_session(storage, clock, "s") == Failure(storage.error)
        or_raise(await reindex_session(storage, clock, "s"))

        assert await objects(storage) == sound


class TestHolds:
    async def test_one_is_put_and_lifted(self, storage: FaultyStorage, clock: VirtualClock) -> None:
        before = await write_session(storage, "s", REQUESTS)

        put = or_raise(await hold_session(storage, clock, "s", "audit"))
        clock.step(10)
        again = or_raise(await hold_session(storage, clock, "s"))
        other = or_raise(await hold_session(storage, clock, "s", "incident"))

        assert put == again == attrs.evolve(before, hold=Hold("audit", moment(START)))
        assert other == attrs.evolve(before, hold=Hold("incident", moment(START)))
        assert await stands(storage) == other
        assert await release_session(storage, "s") == Success(before)
        assert await release_session(storage, "s") == Success(before)
        assert await stands(storage) == before

    async def test_it_is_put_beside_the_writes_of_a_recorder(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS, status="active")
        storage.interrupt_write(METADATA, lambda: edit(storage, captured_logs=9))

        or_raise(await hold_session(storage, clock, "s", "audit"))

        now = await stands(storage)
        assert (now.captured_logs, now.hold) == (9, Hold("audit", moment(START)))

    async def test_it_gives_up_where_others_write_all_the_time(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS, status="active")

        async def write() -> None:
            storage.interrupt_write(METADATA, write)
            await edit_again(storage)

        counts = iter(range(1_000))

        async def edit_again(storage: FaultyStorage) -> None:
            document = encode_metadata(
                attrs.evolve(await stands(storage), captured_logs=next(counts))
            )
            or_raise(await storage._inner.store_raw_data(document, METADATA))

        storage.interrupt_write(METADATA, write)

        assert await hold_session(storage, clock, "s") == Failure(SessionChanged("s"))

    async def test_it_comes_too_late_for_one_that_is_being_deleted(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        await edit(storage, deleting_since=moment(START))

        assert await hold_session(storage, clock, "s") == Failure(SessionBeingDeleted("s"))

    async def test_what_cannot_be_is_told(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        assert await hold_session(storage, clock, "s") == Failure(SessionNotFound("s"))
        assert await release_session(storage, "..") == Failure(InvalidSessionId(".."))
        await write_session(storage, "s", REQUESTS)
        storage.fail("store_raw_data")
        assert await hold_session(storage, clock, "s") == Failure(storage.error)


class TestDelete:
    async def test_all_of_it_goes_and_nothing_else(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s-2", REQUESTS)
        others = await objects(storage)
        await write_session(storage, "s", REQUESTS)
        before = await held(storage)
        steps: list[Freed] = []

        freed = or_raise(await delete_session(storage, clock, "s", told=steps.append))

        assert await objects(storage) == others
        assert freed + await held(storage) == before
        assert sum(steps, Freed()) == freed

    async def test_one_under_a_hold_stays_whatever_is_asked(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        await edit(storage, hold=Hold("audit"))
        before = await objects(storage)

        for force in (False, True):
            refused = await delete_session(storage, clock, "s", force=force)
            assert refused == Failure(SessionHeld("s", "audit"))
        assert await objects(storage) == before

    async def test_an_active_one_goes_by_force_only(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS, status="active")
        before = await objects(storage)

        assert await delete_session(storage, clock, "s") == Failure(SessionActive("s"))
        assert await objects(storage) == before
        or_raise(await delete_session(storage, clock, "s", force=True))
        assert await objects(storage) == {}

    @pytest.mark.parametrize("is_exact", [True, False])
    async def test_a_hold_that_is_put_meanwhile_wins(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        is_exact: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        storage.is_exact = is_exact
        raw = await objects(storage, "sessions/s/raw/")
        if is_exact:
            storage.interrupt_write(METADATA, lambda: edit(storage, hold=Hold()))
        else:
            storage.interrupt_read(METADATA, lambda: put_hold(storage, clock))

        refused = await delete_session(storage, clock, "s")

        assert refused == Failure(SessionChanged("s") if is_exact else SessionHeld("s", None))
        assert await objects(storage, "sessions/s/raw/") == raw

    async def test_one_that_is_not_as_expected_stays(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        expected = await write_session(storage, "s", REQUESTS)
        await edit(storage, labels={"keep": "forever"})

        refused = await delete_session(storage, clock, "s", expected=expected)

        assert refused == Failure(SessionChanged("s"))
        assert (await stands(storage)).deleting_since is None

    async def test_remains_without_metadata_go_by_force_only(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        or_raise(await storage.store_raw_data(b"???", "sessions/s/raw/x"))

        assert await delete_session(storage, clock, "s") == Failure(SessionNotFound("s"))
        assert await delete_session(storage, clock, "s", force=True) == Success(Freed(1, 3))
        again = await delete_session(storage, clock, "s", force=True)
        assert again == Failure(SessionNotFound("s"))

    async def test_one_whose_hold_cannot_be_read_stays(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        or_raise(await storage.store_raw_data(b"{}", METADATA))

        refused = await delete_session(storage, clock, "s", force=True)

        assert isinstance(refused.failure(), MetadataCorrupted)

    @pytest.mark.parametrize(
        ("method", "within", "when"),
        [
            ("head", "", "before"),
            ("retrieve_raw_data", "", "before"),
            ("honours_conditions", "", "before"),
            ("store_raw_data", "", "before"),
            ("store_raw_data", "", "after"),
            ("list_objects", "", "before"),
            ("delete_raw_data", "/raw/", "before"),
            ("delete_raw_data", "/raw/", "after"),
            ("delete_raw_data", "/manifest/", "before"),
            ("delete_raw_data", "metadata", "before"),
        ],
    )
    async def test_what_failed_is_seen_until_it_is_done_again(
        self, storage: FaultyStorage, clock: VirtualClock, method: str, within: str, when: When
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        before = await held(storage)
        storage.fail(method, within=within, when=when)
        steps, again = list[Freed](), list[Freed]()

        failed = await delete_session(storage, clock, "s", told=steps.append)

        assert failed == Failure(storage.error)
        left = await held(storage)
        if when == "before":
            assert sum(steps, left) == before
        assert isinstance(await load_session(storage, "s"), Success)
        or_raise(await delete_session(storage, clock, "s", told=again.append))
        assert sum(again, Freed()) == left
        assert await objects(storage) == {}


async def put_hold(storage: FaultyStorage, clock: VirtualClock) -> None:
    or_raise(await hold_session(storage, clock, "s"))
