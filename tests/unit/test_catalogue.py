"""Which sessions a store holds."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.clock import moment
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    Freed,
    Hold,
    InvalidSessionId,
    MetadataCorrupted,
    SessionAlreadyExists,
    SessionDocument,
    SessionNotFound,
    SessionTakenOver,
    StoredSession,
    create_session,
    discard_session,
    encode_metadata,
    list_sessions,
    load_session,
    save_session,
    session_prefix,
)
from otlp_capture.storage import S3Storage
from tests.faulty_storage import FaultyStorage
from tests.sessions import START, opened_memory

pytestmark = pytest.mark.anyio


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
async def inexact(storage: FaultyStorage) -> FaultyStorage:
    """Be a store without conditional writes."""
    storage.is_exact = False
    return storage


def session(name: str = "s", **changes: Any) -> CaptureSessionMetadata:
    metadata = CaptureSessionMetadata(
        session_id=name,
        start_time=moment(START),
        status="active",
        s3_prefix=session_prefix(name),
        created_by="tests",
    )
    return attrs.evolve(metadata, **changes)


async def keys(storage: S3Storage) -> list[str]:
    return [or_raise(found).key async for found in storage.list_objects("")]


class TestCreate:
    @pytest.mark.parametrize("is_exact", [True, False])
    async def test_what_is_created_can_be_loaded(
        self,
        storage: FaultyStorage,
        is_exact: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        storage.is_exact = is_exact

        created = or_raise(await create_session(storage, session()))

        assert created.metadata == session()
        assert await load_session(storage, "s") == Success(created)
        assert await keys(storage) == ["sessions/s/metadata.json"]

    @pytest.mark.parametrize("is_exact", [True, False])
    async def test_an_id_is_taken_once(
        self,
        storage: FaultyStorage,
        is_exact: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        storage.is_exact = is_exact
        or_raise(await create_session(storage, session(description="first")))

        second = await create_session(storage, session(description="second"))

        assert second == Failure(SessionAlreadyExists("s", "active"))
        assert second.failure().message == (
            "There is a session 's' in this store already, active. "
            "A recording is never overwritten: choose another id."
        )
        assert or_raise(await load_session(storage, "s")).metadata.description == "first"

    async def test_of_many_at_once_one_succeeds(self, storage: FaultyStorage) -> None:
        outcomes: list[Any] = []

        async def create(number: int) -> None:
            outcomes.append(await create_session(storage, session(description=str(number))))

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(create, number)

        (won,) = [each.unwrap() for each in outcomes if isinstance(each, Success)]
        lost = [each for each in outcomes if isinstance(each, Failure)]
        assert lost == [Failure(SessionAlreadyExists("s", "active"))] * 9
        assert await load_session(storage, "s") == Success(won)

    async def test_objects_without_metadata_take_an_id_too(self, storage: FaultyStorage) -> None:
        key = "sessions/s/raw/2025-11-23/01/traces-1763861000000-x.otlp.gz"
        or_raise(await storage.store_raw_data(b"somebody's", key))

        created = await create_session(storage, session())

        assert created == Failure(SessionAlreadyExists("s", None))
        assert created.failure().message.startswith("There is a session 's' in this store already.")
        assert await keys(storage) == [key]

    async def test_a_longer_id_is_another_session(self, storage: FaultyStorage) -> None:
        or_raise(await create_session(storage, session("s-2")))

        assert isinstance(await create_session(storage, session("s")), Success)

    async def test_a_store_without_conditions_is_named_in_the_log(
        self, inexact: FaultyStorage, caplog: pytest.LogCaptureFixture
    ) -> None:
        or_raise(await create_session(inexact, session()))

        (record,) = caplog.records
        assert (record.name, record.levelno) == ("otlp_capture.sessions.catalogue", logging.WARNING)
        assert record.getMessage() == (
            "The store has no conditional writes: two processes that start session s at once "
            "are not told apart"
        )

    @pytest.mark.parametrize("method", ["honours_conditions", "list_objects", "store_raw_data"])
    async def test_what_the_store_says_is_passed_on(
        self, storage: FaultyStorage, method: str
    ) -> None:
        storage.fail(method)

        assert await create_session(storage, session()) == Failure(storage.error)


class TestLoad:
    async def test_one_that_is_not_there_is_not_found(self, storage: FaultyStorage) -> None:
        missing = await load_session(storage, "s")

        assert missing == Failure(SessionNotFound("s"))
        assert missing.failure().message == (
            "There is no session 's' in this store. "
            "`otlp-capture sessions list` shows those that are."
        )

    async def test_one_that_cannot_be_is_told(self, storage: FaultyStorage) -> None:
        assert await load_session(storage, "../s") == Failure(InvalidSessionId("../s"))

    async def test_one_that_goes_while_it_is_loaded_is_not_found(
        self, storage: FaultyStorage
    ) -> None:
        or_raise(await create_session(storage, session()))
        storage.interrupt_read("metadata.json", lambda: discard_session(storage, "s"))

        assert await load_session(storage, "s") == Failure(SessionNotFound("s"))

    async def test_a_broken_document_is_told(self, storage: FaultyStorage) -> None:
        key = "sessions/s/metadata.json"
        or_raise(await storage.store_raw_data(b"{}", key))

        loaded = await load_session(storage, "s")

        lacking = "it lacks sessionId, startTime, status, s3Prefix, createdBy"
        assert loaded == Failure(MetadataCorrupted(key, lacking))

    async def test_a_document_of_another_session_is_told(self, storage: FaultyStorage) -> None:
        or_raise(await create_session(storage, session("t")))
        document = or_raise(await storage.retrieve_raw_data("sessions/t/metadata.json"))
        or_raise(await storage.store_raw_data(document, "sessions/s/metadata.json"))

        assert await load_session(storage, "s") == Failure(
            MetadataCorrupted("sessions/s/metadata.json", "sessionId is 't', not 's'")
        )

    @pytest.mark.parametrize("method", ["head", "retrieve_raw_data"])
    async def test_what_the_store_says_is_passed_on(
        self, storage: FaultyStorage, method: str
    ) -> None:
        or_raise(await create_session(storage, session()))
        storage.fail(method)

        assert await load_session(storage, "s") == Failure(storage.error)


class TestSave:
    async def test_it_writes_over_the_state_that_was_read(self, storage: FaultyStorage) -> None:
        first = or_raise(await create_session(storage, session()))

        second = or_raise(await save_session(storage, session(captured_logs=1), first.etag))
        stale = await save_session(storage, session(captured_logs=2), first.etag)

        assert await load_session(storage, "s") == Success(second)
        assert stale == Failure(SessionTakenOver("s"))
        assert stale.failure().message == (
            "Another process has taken over session 's': its metadata changed under this one. "
            "Record into a session of its own."
        )

    async def test_without_conditions_the_last_write_stays(self, inexact: FaultyStorage) -> None:
        or_raise(await create_session(inexact, session()))

        saved = or_raise(await save_session(inexact, session(captured_logs=1), "stale"))

        assert await load_session(inexact, "s") == Success(saved)

    @pytest.mark.parametrize("method", ["honours_conditions", "store_raw_data"])
    async def test_what_the_store_says_is_passed_on(
        self, storage: FaultyStorage, method: str
    ) -> None:
        first = or_raise(await create_session(storage, session()))
        storage.fail(method)

        assert await save_session(storage, session(), first.etag) == Failure(storage.error)


@pytest.mark.parametrize("is_exact", [True, False])
class TestDocument:
    @pytest.fixture
    async def document(self, storage: FaultyStorage, is_exact: bool) -> SessionDocument:  # noqa: FBT001 - a parameter of the test
        storage.is_exact = is_exact
        return SessionDocument(storage, or_raise(await create_session(storage, session())))

    async def stands(self, storage: FaultyStorage) -> CaptureSessionMetadata:
        return or_raise(await load_session(storage, "s")).metadata

    async def test_it_writes_over_its_own_writes(
        self, storage: FaultyStorage, document: SessionDocument
    ) -> None:
        for count in range(3):
            or_raise(await document.save(session(captured_logs=count)))

        assert await self.stands(storage) == session(captured_logs=2)

    async def test_a_write_whose_answer_was_lost_is_its_own(
        self, storage: FaultyStorage, document: SessionDocument
    ) -> None:
        storage.fail("store_raw_data", when="after")

        lost = await document.save(session(captured_logs=1))
        storage.fail("store_raw_data", when="before")
        not_done = await document.save(session(captured_logs=2))
        saved = await document.save(session(captured_logs=3))

        assert (lost, not_done) == (Failure(storage.error), Failure(storage.error))
        assert saved == Success(None)
        assert await self.stands(storage) == session(captured_logs=3)

    async def test_a_write_that_was_cancelled_is_its_own(
        self, storage: FaultyStorage, document: SessionDocument
    ) -> None:
        with anyio.CancelScope() as scope:
            storage.follow_write("metadata.json", scope.cancel)
            await document.save(session(captured_logs=1))
        assert scope.cancelled_caught
        assert await self.stands(storage) == session(captured_logs=1)

        assert await document.save(session(captured_logs=2)) == Success(None)
        assert await self.stands(storage) == session(captured_logs=2)

    async def test_the_write_of_another_process_stays(
        self, storage: FaultyStorage, document: SessionDocument
    ) -> None:
        other = session(last_checkpoint_time=moment(START) + timedelta(seconds=60))
        or_raise(
            await save_session(storage, other, or_raise(await load_session(storage, "s")).etag)
        )

        assert await document.save(session(captured_logs=1)) == Failure(SessionTakenOver("s"))
        assert await self.stands(storage) == other

    async def test_a_hold_that_another_process_puts_or_takes_away_stays_so(
        self, storage: FaultyStorage, document: SessionDocument
    ) -> None:
        for hold in (Hold("audit"), None):
            stored = or_raise(await load_session(storage, "s"))
            changed = attrs.evolve(stored.metadata, hold=hold)
            or_raise(await save_session(storage, changed, stored.etag))

            assert await document.save(session(captured_logs=1)) == Success(None)
            assert await document.save(session(captured_logs=2)) == Success(None)
            assert await self.stands(storage) == session(captured_logs=2, hold=hold)

    async def test_a_session_that_was_deleted_stays_so(
        self, storage: FaultyStorage, document: SessionDocument
    ) -> None:
        or_raise(await discard_session(storage, "s"))

        assert await document.save(session(captured_logs=1)) == Failure(SessionTakenOver("s"))
        assert await keys(storage) == []

    @pytest.mark.parametrize("method", ["honours_conditions", "store_raw_data"])
    async def test_what_the_store_says_is_passed_on(
        self, storage: FaultyStorage, document: SessionDocument, method: str
    ) -> None:
        storage.fail(method)

        assert await document.save(session(captured_logs=1)) == Failure(storage.error)

    async def test_a_store_that_cannot_be_looked_into_is_no_other_process(
        self, storage: FaultyStorage, document: SessionDocument
    ) -> None:
        storage.fail("store_raw_data", when="after")
        assert await document.save(session(captured_logs=1)) == Failure(storage.error)
        storage.fail("head")

        assert await document.save(session(captured_logs=2)) == Failure(storage.error)
        assert await document.save(session(captured_logs=3)) == Success(None)


class TestList:
    async def test_they_come_in_the_order_of_their_start(self, storage: FaultyStorage) -> None:
        late = moment(START) + timedelta(hours=1)
        for each in (session("c"), session("a", start_time=late), session("b")):
            or_raise(await create_session(storage, each))

        assert await list_sessions(storage) == Success(
            (session("b"), session("c"), session("a", start_time=late))
        )

    async def test_there_may_be_none(self, storage: FaultyStorage) -> None:
        assert await list_sessions(storage) == Success(())

    async def test_what_cannot_be_read_is_left_out_and_the_log_says_so(
        self, storage: FaultyStorage, caplog: pytest.LogCaptureFixture
    ) -> None:
        or_raise(await create_session(storage, session("good")))
        or_raise(await storage.store_raw_data(b"?", "sessions/broken/metadata.json"))
        or_raise(await storage.store_raw_data(b"?", "sessions/empty/raw/x"))
        or_raise(await storage.store_raw_data(b"?", "sessions/no..id/metadata.json"))

        assert await list_sessions(storage) == Success((session("good"),))
        for folder in ("broken", "empty", "no..id"):
            assert f"sessions/{folder}/ is left out" in caplog.text

    @pytest.mark.parametrize("method", ["list_folders", "retrieve_raw_data"])
    async def test_what_the_store_says_is_passed_on(
        self, storage: FaultyStorage, method: str
    ) -> None:
        or_raise(await create_session(storage, session()))
        storage.fail(method)

        assert await list_sessions(storage) == Failure(storage.error)


class TestDiscard:
    async def test_all_objects_go_and_nothing_else(self, storage: FaultyStorage) -> None:
        for name in ("s", "s-2"):
            or_raise(await create_session(storage, session(name)))
        for number in range(3):
            or_raise(await storage.store_raw_data(b"?", f"sessions/s/raw/{number}"))

        size_bytes = len(encode_metadata(session())) + 3
        assert await discard_session(storage, "s") == Success(Freed(4, size_bytes))
        assert await keys(storage) == ["sessions/s-2/metadata.json"]

    @pytest.mark.parametrize("within", ["raw/1", "metadata.json"])
    async def test_the_metadata_go_last_so_that_it_can_be_done_again(
        self, storage: FaultyStorage, within: str
    ) -> None:
        or_raise(await create_session(storage, session()))
        for number in range(3):
            or_raise(await storage.store_raw_data(b"?", f"sessions/s/raw/{number}"))
        storage.fail("delete_raw_data", within=within)

        assert await discard_session(storage, "s") == Failure(storage.error)
        assert "sessions/s/metadata.json" in await keys(storage)
        assert isinstance(await discard_session(storage, "s"), Success)
        assert await keys(storage) == []

    async def test_what_the_store_says_is_passed_on(self, storage: FaultyStorage) -> None:
        storage.fail("list_objects")

        assert await discard_session(storage, "s") == Failure(storage.error)


def test_a_stored_session_is_a_value() -> None:
    assert StoredSession(session(), "e") == StoredSession(session(), "e")
