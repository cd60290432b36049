"""What a store in a directory does with a file system that does not behave."""

import errno
import fcntl
import itertools
import os
import stat
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp_capture.layer import open_runtime
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.storage import (
    AccessDenied,
    IfAbsent,
    IfMatch,
    InvalidKey,
    KeyConflict,
    ObjectNotFound,
    PreconditionFailed,
    S3Storage,
    S3StorageTag,
    SourceUnreadable,
    StorageBusy,
    StorageFault,
    StorageFull,
    StorageUnreachable,
    StorageUnusable,
    key_fault,
    local_files,
    local_storage,
    prefix_fault,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def storage(root: Path) -> AsyncGenerator[S3Storage]:
    async with open_runtime(local_storage(root), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        yield storage


async def keys(storage: S3Storage, prefix: str = "") -> list[str]:
    return [or_raise(found).key async for found in storage.list_objects(prefix)]


def spooled(root: Path) -> list[Path]:
    return list((root / ".spool/writes").iterdir())


class TestLinks:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_bytes(b"secret")
        return outside

    async def test_a_linked_folder_is_neither_read_nor_written_nor_listed(
        self, storage: S3Storage, root: Path, outside: Path
    ) -> None:
        (root / "link").symlink_to(outside)

        assert isinstance(
            (await storage.retrieve_raw_data("link/secret")).failure(), ObjectNotFound
        )
        assert isinstance((await storage.head("link/secret")).failure(), ObjectNotFound)
        assert isinstance((await storage.store_raw_data(b"", "link/new")).failure(), KeyConflict)
        assert await storage.delete_raw_data("link/secret") == Success(None)
        assert await keys(storage) == await keys(storage, "link/") == []
        assert [path.name for path in outside.iterdir()] == ["secret"]

    async def test_a_linked_file_is_not_read_and_a_write_replaces_the_link(
        self, storage: S3Storage, root: Path, outside: Path
    ) -> None:
        (root / "link").symlink_to(outside / "secret")

        assert isinstance((await storage.retrieve_raw_data("link")).failure(), ObjectNotFound)
        assert await storage.delete_raw_data("link") == Success(None)
        assert await keys(storage) == []
        or_raise(await storage.store_raw_data(b"mine", "link"))

        assert (outside / "secret").read_bytes() == b"secret"
        assert await storage.retrieve_raw_data("link") == Success(b"mine")

    async def test_a_spool_that_leads_outside_is_refused(self, root: Path, outside: Path) -> None:
        root.mkdir()
        (root / ".spool").symlink_to(outside)

        async with open_runtime(local_storage(root), S3StorageTag) as opened:
            assert isinstance(opened.failure(), StorageUnusable)

    async def test_the_root_itself_may_be_a_link(self, tmp_path: Path, outside: Path) -> None:
        (tmp_path / "root").symlink_to(outside)

        async with open_runtime(local_storage(tmp_path / "root"), S3StorageTag) as opened:
            (storage,) = or_raise(opened)
            assert await keys(storage) == ["secret"]

    async def test_pipes_and_sockets_are_no_objects(self, storage: S3Storage, root: Path) -> None:
        os.mkfifo(root / "pipe")

        assert isinstance((await storage.retrieve_raw_data("pipe")).failure(), ObjectNotFound)
        assert await keys(storage) == []


class TestFiles:
    async def test_an_object_is_a_file_at_its_key(self, storage: S3Storage, root: Path) -> None:
        or_raise(await storage.store_raw_data(b"data", "a/b/c"))

        assert (root / "a/b/c").read_bytes() == b"data"
        assert spooled(root) == []

    async def test_files_of_other_tools_are_objects(self, storage: S3Storage, root: Path) -> None:
        (root / "a").mkdir()
        (root / "a/b").write_bytes(b"data")

        found = or_raise(await storage.head("a/b"))

        assert await storage.retrieve_raw_data("a/b") == Success(b"data")
        assert [found] == [or_raise(one) async for one in storage.list_objects("")]
        assert found.etag == or_raise(await storage.store_raw_data(b"data", "a/b")).etag

    async def test_a_file_changed_in_place_has_another_etag(
        self, storage: S3Storage, root: Path
    ) -> None:
        first = or_raise(await storage.store_raw_data(b"data", "a"))

        (root / "a").write_bytes(b"changed")

        changed = or_raise(await storage.head("a"))
        assert (changed.size_bytes, changed.etag != first.etag) == (7, True)

    async def test_etags_need_no_extended_attributes(
        self, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = or_raise(await storage.store_raw_data(b"data", "a"))

        def refuse(*_: Any) -> Any:
            raise OSError(errno.ENOTSUP, "not supported")

        monkeypatch.setattr(os, "getxattr", refuse)
        monkeypatch.setattr(os, "setxattr", refuse)

        assert or_raise(await storage.head("a")) == first
        assert or_raise(await storage.store_raw_data(b"data", "b")).etag == first.etag

    async def test_names_that_no_key_can_have_are_passed_over(
        self, storage: S3Storage, root: Path
    ) -> None:
        (root / "a\nb").touch()
        (root / "a\\b").touch()
        (root / os.fsdecode(b"a\xff")).touch()
        (root / "good").touch()

        assert await keys(storage) == ["good"]

    async def test_a_listing_is_in_byte_order_and_lists_no_spool(
        self, storage: S3Storage, root: Path
    ) -> None:
        names = ["a/b", "a-b/c", "a.b", "a0", ".spool0", ".spoo", "é", "z/y/x"]
        for name in names:
            or_raise(await storage.store_raw_data(b"", name))

        assert (root / ".spool").is_dir()
        assert await keys(storage) == sorted(names, key=str.encode)
        assert await keys(storage, ".spool") == [".spool0"]

    async def test_a_listing_of_more_than_a_batch_comes_whole(
        self, storage: S3Storage, root: Path
    ) -> None:
        (root / "many").mkdir()
        expected = [f"many/{number:04}" for number in range(1100)]
        for key in expected:
            (root / key).touch()

        assert await keys(storage) == expected

    async def test_what_a_crash_left_is_not_listed_and_removed_once_it_is_old(
        self, storage: S3Storage, root: Path
    ) -> None:
        old, new, held = (root / ".spool/writes" / name for name in ("old", "new", "held"))
        for path in (old, new, held):
            path.write_bytes(b"half")
        long_ago = time.time() - 7200
        os.utime(old, (long_ago, long_ago))
        os.utime(held, (long_ago, long_ago))

        with held.open() as writer:
            fcntl.flock(writer, fcntl.LOCK_EX)
            async with open_runtime(local_storage(root), S3StorageTag) as opened:
                or_raise(opened)

        assert sorted(spooled(root)) == [held, new]
        assert await keys(storage) == []

    async def test_the_spool_and_names_that_no_key_can_have_are_no_folders(
        self, storage: S3Storage, root: Path
    ) -> None:
        for name in ("good", "a\\b", "a\nb", os.fsdecode(b"a\xff")):
            (root / name).mkdir()
        (root / "link").symlink_to(root / "good")

        folders = [or_raise(found) async for found in storage.list_folders("")]

        assert folders == ["good/"]

    async def test_a_deleted_object_leaves_no_empty_folders(
        self, storage: S3Storage, root: Path
    ) -> None:
        or_raise(await storage.store_raw_data(b"", "a/b/c/d"))
        or_raise(await storage.store_raw_data(b"", "a/e"))

        or_raise(await storage.delete_raw_data("a/b/c/d"))

        assert sorted(path.name for path in root.rglob("*") if ".spool" not in path.parts) == [
            "a",
            "e",
        ]
        or_raise(await storage.store_raw_data(b"", "a/b"))

    async def test_deleting_a_folder_s_name_deletes_nothing(self, storage: S3Storage) -> None:
        or_raise(await storage.store_raw_data(b"", "a/b"))

        assert await storage.delete_raw_data("a") == Success(None)

        assert await keys(storage) == ["a/b"]

    async def test_writes_survive_deletes_that_remove_their_folder(
        self, storage: S3Storage
    ) -> None:
        async def store(number: int) -> None:
            for _ in range(20):
                or_raise(await storage.store_raw_data(b"", f"a/b/{number}"))
                or_raise(await storage.delete_raw_data(f"a/b/{number}"))
            or_raise(await storage.store_raw_data(b"", f"a/b/{number}"))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(store, number)

        assert len(await keys(storage)) == 6

    async def test_a_folder_and_a_file_cannot_have_one_name(self, storage: S3Storage) -> None:
        or_raise(await storage.store_raw_data(b"", "file"))
        or_raise(await storage.store_raw_data(b"", "folder/file"))

        for key in ("file/below", "folder"):
            error = (await storage.store_raw_data(b"", key)).failure()
            assert isinstance(error, KeyConflict)
            assert key in error.message
        assert await keys(storage) == ["file", "folder/file"]

    async def test_a_segment_longer_than_a_file_name_is_an_invalid_key(
        self, storage: S3Storage
    ) -> None:
        for outcome in (
            await storage.store_raw_data(b"", "a/" + "x" * 256),
            await storage.head("x" * 256),
        ):
            assert isinstance(outcome.failure(), InvalidKey)
        assert await keys(storage) == []

    async def test_a_pipe_is_no_source(self, storage: S3Storage, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        assert isinstance(
            (await storage.store_file(tmp_path / "pipe", "key")).failure(), SourceUnreadable
        )

    async def test_a_source_that_shrinks_stores_nothing(
        self, storage: S3Storage, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "source"
        path.write_bytes(bytes(3 << 20))
        write = os.write

        def shrink(descriptor: int, data: Any) -> int:
            os.truncate(path, 1 << 20)
            return write(descriptor, data)

        monkeypatch.setattr(os, "write", shrink)
        error = (await storage.store_file(path, "key")).failure()

        assert isinstance(error, SourceUnreadable)
        assert (await keys(storage), spooled(root)) == ([], [])


class TestTrouble:
    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (errno.ENOSPC, StorageFull),
            (errno.EDQUOT, StorageFull),
            (errno.EROFS, AccessDenied),
            (errno.EIO, StorageFault),
        ],
    )
    @pytest.mark.parametrize("call", ["write", "fsync", "rename"])
    async def test_a_refused_write_leaves_the_old_object_and_nothing_else(
        self,
        storage: S3Storage,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        call: str,
        number: int,
        expected: Any,
    ) -> None:
        or_raise(await storage.store_raw_data(b"old", "key"))

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fails(number))
            error = (await storage.store_raw_data(b"new", "key")).failure()

        assert type(error) is expected
        assert "key" in error.message
        assert await storage.retrieve_raw_data("key") == Success(b"old")
        assert spooled(root) == []

    async def test_a_partial_write_goes_on(
        self, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write
        monkeypatch.setattr(os, "write", lambda to, data: write(to, data[:7]))

        or_raise(await storage.store_raw_data(bytes(range(100)), "key"))

        assert await storage.retrieve_raw_data("key") == Success(bytes(range(100)))

    async def test_content_is_synced_before_it_has_its_name_and_folders_after(
        self, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        happened: list[str] = []
        fsync, rename = os.fsync, os.rename

        def note_sync(descriptor: int) -> None:
            happened.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
            fsync(descriptor)

        def note_rename(*args: Any, **options: Any) -> None:
            happened.append("rename")
            rename(*args, **options)

        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(os, "rename", note_rename)
        or_raise(await storage.store_raw_data(b"", "new/folders/key"))

        assert happened == ["file", "folder", "folder", "rename", "folder"]

    async def test_a_root_that_is_gone_is_unreachable(self, storage: S3Storage, root: Path) -> None:
        root.rename(root.with_name("elsewhere"))

        for outcome in (
            await storage.head("key"),
            await storage.store_raw_data(b"", "key"),
            await storage.delete_raw_data("key"),
            await storage.health_check(),
            *[found async for found in storage.list_objects("")],
        ):
            error = outcome.failure()
            assert isinstance(error, StorageUnreachable)
            assert str(root) in error.message
        assert not root.exists()

    @pytest.mark.parametrize("place", ["file", "file/below"])
    async def test_a_root_that_is_a_file_does_not_open(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").touch()

        async with open_runtime(local_storage(tmp_path / place), S3StorageTag) as opened:
            error = opened.failure()

        assert isinstance(error, StorageUnusable)
        assert str(tmp_path / place) in error.message

    async def test_a_root_that_cannot_be_written_does_not_open(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda *_, **__: False)

        async with open_runtime(local_storage(root), S3StorageTag) as opened:
            assert isinstance(opened.failure(), AccessDenied)

    async def test_a_root_with_a_nul_does_not_open(self) -> None:
        async with open_runtime(local_storage("a\0b"), S3StorageTag) as opened:
            assert isinstance(opened.failure(), StorageUnusable)

    async def test_a_lock_that_is_never_released_is_given_up(
        self, storage: S3Storage, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_files, "_LOCK_PATIENCE_S", 0.05)
        or_raise(await storage.store_raw_data(b"", "key"))
        locks = [path.open() for path in (root / ".spool/locks").iterdir()]
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_EX)

        outcomes = [
            await storage.store_raw_data(b"", "key"),
            await storage.store_raw_data(b"", "key", condition=IfAbsent()),
            await storage.delete_raw_data("key"),
        ]

        for lock in locks:
            lock.close()
        assert {type(outcome.failure()) for outcome in outcomes} == {StorageBusy}
        or_raise(await storage.store_raw_data(b"", "key"))

    async def test_a_cancelled_copy_stores_nothing(
        self, storage: S3Storage, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "source"
        path.write_bytes(bytes(5 << 20))
        write = os.write

        async with anyio.create_task_group() as tasks:

            def cancel(descriptor: int, data: Any) -> int:
                anyio.from_thread.run_sync(tasks.cancel_scope.cancel)
                return write(descriptor, data)

            monkeypatch.setattr(os, "write", cancel)
            tasks.start_soon(storage.store_file, path, "key")

        assert (await keys(storage), spooled(root)) == ([], [])


def fails(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


WRITER = """
import sys, anyio
from otlp_capture.layer import open_runtime
from otlp_capture.result import Success, or_raise
from otlp_capture.storage import IfAbsent, IfMatch, S3StorageTag, local_storage

async def main(root, number):
    async with open_runtime(local_storage(root), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        won = 0
        for key in range(40):
            outcome = await storage.store_raw_data(number, f"r/{key}", condition=IfAbsent())
            won += isinstance(outcome, Success)
        added = 0
        while added < 25:
            found = or_raise(await storage.head("counter"))
            count = int(or_raise(await storage.retrieve_raw_data("counter")))
            outcome = await storage.store_raw_data(
                b"%d" % (count + 1), "counter", condition=IfMatch(found.etag)
            )
            added += isinstance(outcome, Success)
        print(won)

anyio.run(main, sys.argv[1], sys.argv[2].encode())
"""


async def test_conditions_are_exact_between_processes(storage: S3Storage, root: Path) -> None:
    or_raise(await storage.store_raw_data(b"0", "counter"))
    won: list[int] = []

    async def write(number: int) -> None:
        command = [sys.executable, "-c", WRITER, str(root), str(number)]
        won.append(int((await anyio.run_process(command)).stdout))

    async with anyio.create_task_group() as writers:
        for number in range(3):
            writers.start_soon(write, number)

    assert sum(won) == 40
    assert await storage.retrieve_raw_data("counter") == Success(b"75")


async def test_if_match_reads_the_content_it_is_about(storage: S3Storage, root: Path) -> None:
    first = or_raise(await storage.store_raw_data(b"first", "key"))
    (root / "key").write_bytes(b"other")

    outcome = await storage.store_raw_data(b"new", "key", condition=IfMatch(first.etag))

    assert outcome == Failure(PreconditionFailed("key", f"file:{root}", IfMatch(first.etag)))
    assert (root / "key").read_bytes() == b"other"


@given(
    names=st.sets(
        st.lists(st.sampled_from(["a", "b", "a-", "a.", "é", "0"]), min_size=1, max_size=3).map(
            "/".join
        ),
        max_size=12,
    ),
    prefix=st.text("ab-./é0", max_size=4).filter(lambda prefix: not prefix_fault(prefix)),
)
@settings(max_examples=60)
async def test_a_walk_lists_what_sorting_everything_would(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], prefix: str
) -> None:
    wanted = [
        name
        for name in sorted(names)
        if not any(other.startswith(f"{name}/") for other in names) and not key_fault(name)
    ]
    root = tmp_path_factory.mktemp("walk")
    for name in wanted:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()

    async with open_runtime(local_storage(root), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        listed = await keys(storage, prefix)

    assert listed == [name for name in sorted(wanted, key=str.encode) if name.startswith(prefix)]
    assert all(one < other for one, other in itertools.pairwise(listed))
