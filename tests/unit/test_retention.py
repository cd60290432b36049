"""The retention service: policies, schedules, archives, and what they refuse."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from otlp_capture.clock import moment
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.retention import (
    ArchiveConflict,
    ArchiveMissing,
    CleanupError,
    CleanupOutcome,
    CleanupResult,
    ContinuousMetrics,
    ContinuousRetention,
    CopyDiffers,
    InvalidPolicy,
    LabelRule,
    PolicyFile,
    PolicyUnreadable,
    RetentionPolicy,
    SessionsMetrics,
    SessionsRetention,
    StorageMetrics,
    archive_session,
    check_policy,
    parse_label_rule,
    parse_policy,
    read_policy_file,
)
from otlp_capture.retention.copying import copy_object
from otlp_capture.sessions import SessionNotFound, encode_metadata, load_session
from otlp_capture.storage import AccessDenied, IfAbsent, StorageUnreachable, StoredObject
from otlp_capture.upkeep import (
    SessionActive,
    SessionChanged,
    SessionHeld,
    hold_session,
    release_session,
)
from tests.clocks import VirtualClock
from tests.faulty_storage import FaultyStorage
from tests.retention import Kept, contents, opened_retention, put
from tests.sessions import opened_memory

pytestmark = pytest.mark.anyio

OLD = RetentionPolicy(sessions=SessionsRetention(default_retention_days=5))
ARCHIVING = RetentionPolicy(sessions=SessionsRetention(archive_after_days=5))


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
async def archive() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


class TestPolicy:
    @pytest.mark.parametrize(
        ("policy", "field"),
        [
            ({"sessions": {"default_retention_days": -1}}, "sessions.default_retention_days"),
            ({"sessions": {"default_retention_days": True}}, "sessions.default_retention_days"),
            ({"sessions": {"default_retention_days": 400}}, "sessions.default_retention_days"),
            ({"sessions": {"max_retention_days": 1e9}}, "sessions.max_retention_days"),
            ({"sessions": {"archive_after_days": float("nan")}}, "sessions.archive_after_days"),
            ({"sessions": {"cleanup_enabled": 1}}, "sessions.cleanup_enabled"),
            ({"sessions": {"keep": 1}}, "sessions.keep"),
            ({"sessions": 1}, "sessions"),
            ({"continuous": {"retention_days": "7"}}, "continuous.retention_days"),
            ({"continuous": {"cleanup_schedule": "often"}}, "continuous.cleanup_schedule"),
            ({"continuous": {"cleanup_schedule": "0 0 30 2 *"}}, "continuous.cleanup_schedule"),
            ({"continuous": {"cleanup_schedule": 5}}, "continuous.cleanup_schedule"),
            ({"labels": {}}, "labels"),
            ({"labels": [{"name": "a"}]}, "labels[0]"),
            ({"labels": [{"name": "a", "days": "long"}]}, "labels[0]"),
            ({"labels": [{"name": "a", "days": 1, "more": 2}]}, "labels[0]"),
            ({"labels": [7]}, "labels[0]"),
            ({"labels": [{"name": "a", "days": 400}]}, "labels[0].days"),
            ({"labels": [{"name": "", "days": 4}]}, "labels[0].name"),
            ({"max_total_bytes": -1}, "max_total_bytes"),
            ({"max_total_bytes": 1.5}, "max_total_bytes"),
            ({"archive_to": 7}, "archive_to"),
            ({"archive": 7}, "archive"),
        ],
    )
    def test_what_cannot_be_names_its_field(self, policy: dict[str, Any], field: str) -> None:
        refused = parse_policy(policy).failure()

        assert (type(refused), refused.field) == (InvalidPolicy, field)
        assert refused.message.startswith(f"{field} cannot be ")

    def test_a_file_says_all_of_it(self, tmp_path: Path) -> None:
        path = tmp_path / "retention.toml"
        path.write_text("""
            max_total_bytes = 5_000_000_000
            archive_to = "file:./archive"
            labels = [
              { name = "keep", days = "forever" },
              { name = "env", value = "ci", days = 1.5 },
            ]
            [continuous]
            retention_days = 3
            cleanup_schedule = "30 1 * * 0"
            enabled = false
            [sessions]
            default_retention_days = 14
            max_retention_days = 90
            archive_after_days = 7
            cleanup_enabled = true
        """)

        assert read_policy_file(path) == Success(
            PolicyFile(
                RetentionPolicy(
                    continuous=ContinuousRetention(
                        retention_days=3, cleanup_schedule="30 1 * * 0", enabled=False
                    ),
                    sessions=SessionsRetention(
                        default_retention_days=14, max_retention_days=90, archive_after_days=7
                    ),
                    labels=(LabelRule("keep", None, None), LabelRule("env", "ci", 1.5)),
                    max_total_bytes=5_000_000_000,
                ),
                "file:./archive",
            )
        )

    def test_a_file_that_cannot_be_read_is_told(self, tmp_path: Path) -> None:
        missing, broken = tmp_path / "missing", tmp_path / "broken"
        broken.write_bytes(b"a = \xff")

        assert read_policy_file(missing) == Failure(
            PolicyUnreadable(str(missing), "No such file or directory")
        )
        assert isinstance(read_policy_file(broken).failure(), PolicyUnreadable)

    @pytest.mark.parametrize("text", ["", "a", "a=b", "a:3", "=b:3", "a=b:", "a=b:soon"])
    def test_a_label_rule_that_is_none_is_told(self, text: str) -> None:
        assert isinstance(parse_label_rule(text).failure(), InvalidPolicy)

    def test_the_default_can_be_followed(self) -> None:
        assert check_policy(RetentionPolicy()) == Success(RetentionPolicy())


class TestUsage:
    async def test_all_is_counted(self, storage: FaultyStorage, clock: VirtualClock) -> None:
        for kept in (
            Kept(name="a"),
            Kept(name="b", status="active"),
            Kept(name="c", is_held=True),
            Kept(name="d", status="failed"),
        ):
            await put(storage, kept)
        or_raise(await storage.store_raw_data(b"?", "sessions/none/raw/x"))
        stored = [
            or_raise(await storage.store_raw_data(b"??", f"continuous/{name}"))
            for name in ("2025-11-20/raw/x", "2025-02-30/raw/x", "x")
        ]
        everything = await contents(storage)
        total = sum(map(len, everything.values()))

        async with opened_retention(storage, clock) as service:
            used = await service.get_storage_usage()

        assert used == Success(
            StorageMetrics(
                continuous_path=ContinuousMetrics(
                    total_objects=3,
                    total_size_bytes=6,
                    oldest_object_date=moment(min(each.modified_unix_nano for each in stored)),
                    newest_object_date=moment(max(each.modified_unix_nano for each in stored)),
                ),
                sessions_path=SessionsMetrics(
                    total_objects=13,
                    total_size_bytes=total - 6,
                    active_sessions=1,
                    completed_sessions=2,
                    failed_sessions=1,
                    held_sessions=1,
                    unreadable_sessions=1,
                ),
                total_size_bytes=total,
            )
        )

    @pytest.mark.parametrize("method", ["list_objects", "head", "retrieve_raw_data"])
    async def test_what_the_store_says_is_passed_on(
        self, storage: FaultyStorage, clock: VirtualClock, method: str
    ) -> None:
        await put(storage, Kept(name="a"))
        async with opened_retention(storage, clock) as service:
            storage.fail(method)
            assert await service.get_storage_usage() == Failure(storage.error)
            storage.fail(method)
            assert await service.plan_retention(OLD) == Failure(storage.error)


class TestRun:
    async def test_what_changed_since_the_plan_is_left_and_told(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        for name in "abcd":
            await put(storage, Kept(name=name, age_days=9))
        async with opened_retention(storage, clock) as service:
            plan = or_raise(await service.plan_retention(OLD))
            or_raise(await hold_session(storage, clock, "a", "audit"))
            await put(storage, Kept(name="b", age_days=9, labels={"keep": "1"}))
            await put(storage, Kept(name="c", age_days=9, status="active"))

            result = or_raise(await service.run_retention(plan))

        assert result.processed_paths == ("sessions/d/",)
        assert result.errors == (
            CleanupError("sessions/a/", SessionHeld("a", "audit")),
            CleanupError("sessions/b/", SessionChanged("b")),
            CleanupError("sessions/c/", SessionActive("c")),
        )
        assert result.errors[0].message.startswith("sessions/a/: Session 'a' is under a hold")
        assert {key.split("/")[1] for key in await contents(storage)} == set("abc")

    async def test_a_store_that_cannot_be_reached_ends_the_run(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        for name in "abc":
            await put(storage, Kept(name=name, age_days=9))
        async with opened_retention(storage, clock) as service:
            plan = or_raise(await service.plan_retention(OLD))
            storage.fail("head")
            unreachable = or_raise(await service.run_retention(plan))
            storage.error = StorageUnreachable("memory:", "again")
            storage.fail("head", times=9)
            storage.error = AccessDenied("memory:", "k", "no")
            denied = or_raise(await service.run_retention(plan))

        assert [error.path for error in unreachable.errors] == ["sessions/a/"]
        assert [error.path for error in denied.errors] == ["sessions/a/"]

    async def test_what_can_not_be_read_is_left_and_shown(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        or_raise(await storage.store_raw_data(b"{}", "sessions/broken/metadata.json"))
        or_raise(await storage.store_raw_data(b"{}", "sessions/no..id/metadata.json"))
        async with opened_retention(storage, clock) as service:
            plan = or_raise(await service.plan_retention(attrs.evolve(OLD, max_total_bytes=0)))

        assert (plan.actions, plan.shortfall_bytes) == ((), 4)
        assert [each.session_id for each in plan.protected] == ["broken", "no..id"]

    async def test_continuous_days_go_by_themselves(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        for name in ("2025-11-21", "2025-11-22", "2025-11-23", "notes"):
            or_raise(await storage.store_raw_data(b"12", f"continuous/{name}/raw/x"))
        await put(storage, Kept(name="old", age_days=99))
        async with opened_retention(storage, clock) as service:
            first = or_raise(await service.cleanup_continuous_data(1))
            second = or_raise(await service.cleanup_continuous_data(0))
            refused = await service.cleanup_continuous_data(-1)

        assert first == CleanupResult(
            deleted_objects=1, freed_space_bytes=2, processed_paths=("continuous/2025-11-21/",)
        )
        assert second.processed_paths == ("continuous/2025-11-22/",)
        assert isinstance(refused.failure(), InvalidPolicy)
        assert len(await contents(storage, "sessions/")) == 3

    async def test_one_session_is_kept_to_a_policy(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        for name, age in (("young", 1), ("old", 9), ("older", 10)):
            await put(storage, Kept(name=name, age_days=age))
        bounded = attrs.evolve(OLD, max_total_bytes=0)
        async with opened_retention(storage, clock) as service:
            young = or_raise(await service.manage_session_data("young", bounded))
            old = or_raise(await service.manage_session_data("old", bounded))
            missing = await service.manage_session_data("missing", OLD)
            archiving = await service.manage_session_data("older", ARCHIVING)

        assert (young.processed_paths, old.processed_paths) == ((), ("sessions/old/",))
        assert missing == Failure(SessionNotFound("missing"))
        assert archiving == Failure(ArchiveMissing())
        assert {key.split("/")[1] for key in await contents(storage)} == {"young", "older"}


class TestArchive:
    async def test_old_sessions_are_archived(
        self, storage: FaultyStorage, archive: FaultyStorage, clock: VirtualClock
    ) -> None:
        for kept in (
            Kept(name="old", age_days=9),
            Kept(name="young", age_days=1),
            Kept(name="held", age_days=9, is_held=True),
            Kept(name="active", age_days=9, status="active"),
        ):
            await put(storage, kept)
        async with opened_retention(storage, clock, archive) as service:
            result = or_raise(await service.archive_old_sessions(5))
        async with opened_retention(storage, clock) as service:
            missing = await service.archive_old_sessions(5)
            unplanned = await service.plan_retention(ARCHIVING)

        assert (result.archived_paths, result.deleted_objects) == (("sessions/old/",), 3)
        assert {key.split("/")[1] for key in await contents(archive)} == {"old"}
        assert missing == unplanned == Failure(ArchiveMissing())

    async def test_one_that_is_not_to_be_touched_is_not(
        self, storage: FaultyStorage, archive: FaultyStorage, clock: VirtualClock
    ) -> None:
        await put(storage, Kept(name="held", is_held=True))
        await put(storage, Kept(name="active", status="active"))
        before = await contents(storage)

        held = await archive_session(storage, archive, clock, "held")
        active = await archive_session(storage, archive, clock, "active")

        assert held == Failure(SessionHeld("held", "audit"))
        assert active == Failure(SessionActive("active"))
        assert (await contents(storage), await contents(archive)) == (before, {})

    @pytest.mark.parametrize(
        ("key", "data"),
        [
            ("metadata.json", encode_metadata(Kept(name="s", age_days=3).metadata)),
            ("metadata.json", b"{}"),
            ("raw/other", b"?"),
        ],
    )
    async def test_something_else_under_its_id_stops_it(
        self,
        storage: FaultyStorage,
        archive: FaultyStorage,
        clock: VirtualClock,
        key: str,
        data: bytes,
    ) -> None:
        await put(storage, Kept(name="s", age_days=9))
        before = await contents(storage)
        or_raise(await archive.store_raw_data(data, f"sessions/s/{key}"))

        refused = await archive_session(storage, archive, clock, "s")

        assert refused == Failure(ArchiveConflict("s", f"sessions/s/{key}"))
        assert await contents(storage) == before
        assert await contents(archive) == {f"sessions/s/{key}": data}

    async def test_a_copy_that_is_begun_is_gone_on_with(
        self, storage: FaultyStorage, archive: FaultyStorage, clock: VirtualClock
    ) -> None:
        await put(storage, Kept(name="s", age_days=9))
        before = await contents(storage)
        for key, data in (("manifest/b", b"xxx"), ("raw/a", b"y" * 10)):
            or_raise(await archive.store_raw_data(data, f"sessions/s/{key}"))
        archive.written.clear()

        or_raise(await archive_session(storage, archive, clock, "s"))

        assert (await contents(storage), await contents(archive)) == ({}, before)
        assert archive.written[1:] == ["sessions/s/raw/a", "sessions/s/metadata.json"]

    async def test_a_hold_between_two_attempts_does_not_make_it_another(
        self, storage: FaultyStorage, archive: FaultyStorage, clock: VirtualClock
    ) -> None:
        await put(storage, Kept(name="s", age_days=9))
        storage.fail("store_raw_data")
        failed = await archive_session(storage, archive, clock, "s")
        or_raise(await hold_session(storage, clock, "s"))
        held = await archive_session(storage, archive, clock, "s")
        or_raise(await release_session(storage, "s"))

        or_raise(await archive_session(storage, archive, clock, "s"))

        assert (failed, held) == (Failure(storage.error), Failure(SessionHeld("s", None)))
        assert await contents(storage) == {}
        assert len(await contents(archive)) == 3

    async def test_a_session_that_changes_while_it_is_copied_stays(
        self, storage: FaultyStorage, archive: FaultyStorage, clock: VirtualClock
    ) -> None:
        await put(storage, Kept(name="s", age_days=9))
        archive.interrupt_write("raw/a", lambda: hold_session(storage, clock, "s"))

        refused = await archive_session(storage, archive, clock, "s")

        assert refused == Failure(SessionChanged("s"))
        assert len(await contents(storage)) == 3
        assert "sessions/s/metadata.json" not in await contents(archive)

    async def test_a_copy_that_came_out_wrong_keeps_the_original(
        self, storage: FaultyStorage, archive: FaultyStorage, clock: VirtualClock
    ) -> None:
        await put(storage, Kept(name="s", age_days=9))
        before = await contents(storage)

        async def spoil() -> StoredObject:
            return or_raise(await archive.store_raw_data(b"y" * 10, "sessions/s/raw/a"))

        archive.interrupt_read("raw/a", spoil)

        refused = await archive_session(storage, archive, clock, "s")

        assert isinstance(refused.failure(), CopyDiffers)
        assert "raw/a is not the original: it has 10 bytes" in refused.failure().message
        assert await contents(storage) == before

    @pytest.mark.parametrize("size", [0, 5, 10, 11, 25])
    async def test_large_objects_go_in_pieces(
        self, storage: FaultyStorage, archive: FaultyStorage, size: int
    ) -> None:
        content = bytes(range(size))
        or_raise(await storage.store_raw_data(content, "k"))

        for _ in range(2):
            copied = await copy_object(storage, archive, "s", "k", size, piece_bytes=10)
            assert copied == Success(None)

        assert await contents(archive) == {"k": content}
        assert max(storage.read_bytes) <= 10

    async def test_an_archive_that_answers_badly_keeps_the_original(
        self, storage: FaultyStorage, archive: FaultyStorage, clock: VirtualClock
    ) -> None:
        await put(storage, Kept(name="s", age_days=9))
        archive.interrupt_write(
            "metadata.json",
            lambda: archive._inner.store_raw_data(
                b"{}", "sessions/s/metadata.json", condition=IfAbsent()
            ),
        )

        refused = await archive_session(storage, archive, clock, "s")

        conflict = ArchiveConflict("s", "sessions/s/metadata.json")
        assert refused == Failure(conflict)
        assert isinstance(await load_session(storage, "s"), Success)


class TestSchedule:
    POLICY = attrs.evolve(OLD, continuous=ContinuousRetention(cleanup_schedule="0 2 * * *"))

    async def test_runs_come_when_the_expression_says(
        self, storage: FaultyStorage, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "otlp_capture.retention.service")
        await put(storage, Kept(name="now", age_days=9))
        await put(storage, Kept(name="tomorrow", age_days=4.5))
        runs: list[CleanupOutcome] = []
        async with opened_retention(storage, clock) as service:
            due = await service.schedule_retention_jobs(self.POLICY, ran=runs.append)
            to_two = 2 * 3_600 - (1 * 3_600 + 23 * 60 + 20)
            await clock.advance(to_two - 1)
            before = len(runs)
            await clock.advance(1)
            first = len(runs)
            await clock.advance(86_400)

        assert due == Success(datetime(2025, 11, 23, 2, tzinfo=UTC))
        assert (before, first) == (0, 1)
        assert [or_raise(run).processed_paths for run in runs] == [
            ("sessions/now/",),
            ("sessions/tomorrow/",),
        ]
        assert "Retention freed 3 objects" in caplog.text

    async def test_a_clock_that_is_set_is_followed(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        runs: list[CleanupOutcome] = []
        async with opened_retention(storage, clock) as service:
            or_raise(await service.schedule_retention_jobs(self.POLICY, ran=runs.append))
            await clock.has_sleepers()
            clock.step_wall_time(3_600)
            await clock.advance(300)

        assert len(runs) == 1

    async def test_a_new_schedule_ends_the_one_before(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        first, second = list[CleanupOutcome](), list[CleanupOutcome]()
        async with opened_retention(storage, clock) as service:
            for runs in (first, second):
                or_raise(await service.schedule_retention_jobs(self.POLICY, ran=runs.append))
                await clock.has_sleepers()
            await clock.advance(3_600)

        assert (len(first), len(second)) == (0, 1)

    async def test_a_run_that_fails_is_told_and_the_next_one_comes(
        self, storage: FaultyStorage, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        runs: list[CleanupOutcome] = []
        async with opened_retention(storage, clock) as service:
            or_raise(await service.schedule_retention_jobs(self.POLICY, ran=runs.append))
            storage.fail("list_objects")
            await clock.advance(3_600)
            await clock.advance(86_400)

        assert runs == [Failure(storage.error), Success(CleanupResult())]
        assert "Retention did not run: Cannot reach memory:" in caplog.text

    async def test_what_cannot_be_followed_is_refused(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        never = attrs.evolve(OLD, continuous=ContinuousRetention(cleanup_schedule="?"))
        async with opened_retention(storage, clock) as service:
            refused = await service.schedule_retention_jobs(never)
            missing = await service.schedule_retention_jobs(ARCHIVING)

        assert isinstance(refused.failure(), InvalidPolicy)
        assert missing == Failure(ArchiveMissing())
