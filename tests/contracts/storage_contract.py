"""What every `S3Storage` must do. A store's tests subclass it and bring a fixture `storage`."""

import random
import string
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otlp_capture.result import Failure, Outcome, Success, or_raise
from otlp_capture.storage import (
    ByteRange,
    Condition,
    ConditionsUnsupported,
    IfAbsent,
    IfMatch,
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    S3Storage,
    SourceUnreadable,
    StorageError,
    StoredObject,
    key_fault,
    prefix_fault,
)

WORST_CLOCK_SKEW_NS = 5 * 10**9

INVALID_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/..",
    "./a",
    "a/./b",
    "a\\b",
    "..\\a",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "a\udc80b",
    "a\uffffb",
    ".spool/a",
    ".spool",
    "x" * 1025,
    "é" * 513,
]

INVALID_PREFIXES = ["/", "a//", "../", "a/../", "./", "a\\", "a\0", ".spool/", ".spool/writes"]

segments = st.text(
    alphabet=st.characters(
        codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\\ufffe\uffff"
    ),
    min_size=1,
    max_size=12,
).filter(lambda segment: segment not in {".", ".."} and len(segment.encode()) <= 48)

keys = st.lists(segments, min_size=1, max_size=5).map("/".join).filter(lambda k: not key_fault(k))

contents = st.binary(max_size=300)

on_a_server = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def listed(storage: S3Storage, prefix: str) -> list[StoredObject]:
    return [or_raise(outcome) async for outcome in storage.list_objects(prefix)]


async def listed_keys(storage: S3Storage, prefix: str) -> list[str]:
    return [found.key for found in await listed(storage, prefix)]


async def listed_folders(storage: S3Storage, prefix: str) -> list[str]:
    return [or_raise(outcome) async for outcome in storage.list_folders(prefix)]


def folder() -> str:
    """Name a folder that no other example uses."""
    return uuid.uuid4().hex


def without_time(found: StoredObject) -> StoredObject:
    return attrs.evolve(found, modified_unix_nano=0)


class StorageContract:
    @given(key=keys, data=contents)
    @example(key="sessions/a/raw/2026-11-23/00/traces-1-2.otlp.gz", data=b"")
    @example(key="a b+c%20d&e=f?g#h;i,j:k@l", data=b"query characters")
    @example(key="é/日本/𝄞", data=bytes(range(256)))
    @example(key=" leading and trailing /…/a ", data=b"spaces")
    @example(key="a.b/c.", data=b"dots")
    @on_a_server
    async def test_what_was_stored_is_retrieved_headed_and_listed(
        self, storage: S3Storage, key: str, data: bytes
    ) -> None:
        key = f"{folder()}/{key}"

        began_ns = time.time_ns()
        stored = or_raise(await storage.store_raw_data(data, key))
        ended_ns = time.time_ns()

        assert (stored.key, stored.size_bytes) == (key, len(data))
        assert await storage.retrieve_raw_data(key) == Success(data)
        headed = or_raise(await storage.head(key))
        assert without_time(headed) == without_time(stored)
        for told in (stored, headed):
            earliest_ns, latest_ns = began_ns - WORST_CLOCK_SKEW_NS, ended_ns + WORST_CLOCK_SKEW_NS
            assert earliest_ns <= told.modified_unix_nano <= latest_ns
        assert [without_time(found) for found in await listed(storage, key)] == [
            without_time(stored)
        ]

    @given(
        data=st.binary(min_size=1, max_size=200),
        start=st.integers(0, 220),
        length=st.integers(1, 2**40),
    )
    @example(data=b"0123456789", start=9, length=1)
    @example(data=b"0123456789", start=10, length=1)
    @on_a_server
    async def test_a_range_is_clipped_at_the_end_and_refused_past_it(
        self, storage: S3Storage, data: bytes, start: int, length: int
    ) -> None:
        key = f"{folder()}/ranged"
        or_raise(await storage.store_raw_data(data, key))

        outcome = await storage.retrieve_raw_data(key, byte_range=ByteRange(start, length))

        match outcome:
            case Failure(error):
                assert isinstance(error, RangeNotSatisfiable)
                assert (error.key, error.start) == (key, start)
                assert start >= len(data)
            case Success(part):
                assert start < len(data)
                assert part == data[start : start + length]

    async def test_an_empty_object_has_no_range(self, storage: S3Storage) -> None:
        or_raise(await storage.store_raw_data(b"", "empty"))

        outcome = await storage.retrieve_raw_data("empty", byte_range=ByteRange(0, 1))

        assert isinstance(outcome.failure(), RangeNotSatisfiable)

    async def test_a_range_of_an_absent_object_is_not_found(self, storage: S3Storage) -> None:
        outcome = await storage.retrieve_raw_data("absent", byte_range=ByteRange(0, 1))

        assert isinstance(outcome.failure(), ObjectNotFound)

    async def test_an_absent_object_is_not_found(self, storage: S3Storage) -> None:
        or_raise(await storage.store_raw_data(b"", "a/b"))

        for key in ("absent", "absent/too", "a"):
            for outcome in (await storage.retrieve_raw_data(key), await storage.head(key)):
                error = outcome.failure()
                assert isinstance(error, ObjectNotFound)
                assert error.key == key
                assert key in error.message

    async def test_a_write_replaces_what_was_there_and_its_etag(self, storage: S3Storage) -> None:
        first = or_raise(await storage.store_raw_data(b"first", "twice"))
        again = or_raise(await storage.store_raw_data(b"first", "twice"))
        second = or_raise(await storage.store_raw_data(b"second", "twice"))

        assert await storage.retrieve_raw_data("twice") == Success(b"second")
        assert first.etag == again.etag != second.etag
        assert await listed_keys(storage, "") == ["twice"]

    async def test_a_deleted_object_is_gone_and_deleting_it_again_succeeds(
        self, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(b"", "a/b/c"))
        or_raise(await storage.store_raw_data(b"", "a/d"))

        assert await storage.delete_raw_data("a/b/c") == Success(None)
        assert await storage.delete_raw_data("a/b/c") == Success(None)
        assert await storage.delete_raw_data("never/was") == Success(None)

        assert isinstance((await storage.head("a/b/c")).failure(), ObjectNotFound)
        assert await listed_keys(storage, "") == ["a/d"]

    @given(
        operations=st.lists(
            st.tuples(
                st.sampled_from(["store", "delete", "retrieve"]),
                st.sampled_from(["a", "b/c", "b/d/e", "b-", "b0", "b.c"]),
                st.binary(max_size=8),
            ),
            max_size=12,
        )
    )
    @settings(on_a_server, max_examples=15)
    async def test_it_behaves_as_a_dictionary(
        self, storage: S3Storage, operations: list[tuple[str, str, bytes]]
    ) -> None:
        base = folder()
        model: dict[str, bytes] = {}
        for operation, name, data in operations:
            key = f"{base}/{name}"
            match operation:
                case "store":
                    or_raise(await storage.store_raw_data(data, key))
                    model[key] = data
                case "delete":
                    or_raise(await storage.delete_raw_data(key))
                    model.pop(key, None)
                case _:
                    retrieved = await storage.retrieve_raw_data(key)
                    assert retrieved.value_or(None) == model.get(key)

        assert await listed_keys(storage, f"{base}/") == sorted(model, key=str.encode)

    async def test_a_listing_is_in_the_order_of_the_keys_bytes_across_folders(
        self, storage: S3Storage
    ) -> None:
        names = ["d-x/1", "d/1", "d.x", "d0", "d/z/1", "d é", "d/+ &", "d/日本", "D", "d/𝄞", "d/｡"]
        for name in names:
            or_raise(await storage.store_raw_data(b"", name))

        assert await listed_keys(storage, "") == sorted(names, key=str.encode)

    async def test_a_prefix_is_any_beginning_of_a_key(self, storage: S3Storage) -> None:
        for key in ("a/b/1", "a/b/2", "a/bc", "ab"):
            or_raise(await storage.store_raw_data(b"", key))
        expected = {
            "": ["a/b/1", "a/b/2", "a/bc", "ab"],
            "a": ["a/b/1", "a/b/2", "a/bc", "ab"],
            "a/": ["a/b/1", "a/b/2", "a/bc"],
            "a/b": ["a/b/1", "a/b/2", "a/bc"],
            "a/b/": ["a/b/1", "a/b/2"],
            "a/b/1": ["a/b/1"],
            "a/b/1/": [],
            "a/b/.": [],
            "none": [],
            "none/at/all": [],
        }

        assert {prefix: await listed_keys(storage, prefix) for prefix in expected} == expected

    async def test_folders_are_what_keys_share_up_to_the_next_slash(
        self, storage: S3Storage
    ) -> None:
        for key in ("a", "b/1", "b/2/3", "b-/1", "b0/1", "c/d/e", "é/1"):
            or_raise(await storage.store_raw_data(b"", key))
        expected = {
            "": ["b-/", "b/", "b0/", "c/", "é/"],
            "b": ["b-/", "b/", "b0/"],
            "b/": ["b/2/"],
            "b/2": ["b/2/"],
            "c/d/": [],
            "none/": [],
        }

        assert {prefix: await listed_folders(storage, prefix) for prefix in expected} == expected

    async def test_folders_go_on_across_pages(self, storage: S3Storage) -> None:
        for number in range(20):
            or_raise(await storage.store_raw_data(b"", f"pages/{number:02}/a"))
            or_raise(await storage.store_raw_data(b"", f"pages/{number:02}/b"))

        assert await listed_folders(storage, "pages/") == [f"pages/{n:02}/" for n in range(20)]

    async def test_a_listing_goes_on_across_pages(self, storage: S3Storage) -> None:
        expected = [f"pages/{number:03}" for number in range(40)]
        for key in expected:
            or_raise(await storage.store_raw_data(b"", key))

        assert await listed_keys(storage, "pages/") == expected

    async def test_a_listing_may_be_left_early(self, storage: S3Storage) -> None:
        for number in range(9):
            or_raise(await storage.store_raw_data(b"", f"early/{number}"))

        async for outcome in storage.list_objects("early/"):
            assert or_raise(outcome).key == "early/0"
            break

        assert len(await listed_keys(storage, "early/")) == 9

    async def test_a_file_is_stored_with_its_content(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        path = tmp_path / "source"
        path.write_bytes(b"content" * 1000)

        stored = or_raise(await storage.store_file(path, "from/file"))

        assert (stored.key, stored.size_bytes) == ("from/file", 7000)
        assert await storage.retrieve_raw_data("from/file") == Success(b"content" * 1000)
        assert without_time(or_raise(await storage.head("from/file"))) == without_time(stored)
        assert path.read_bytes() == b"content" * 1000

    async def test_a_large_file_is_stored_with_its_content(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        path = tmp_path / "large"
        data = random.Random(0).randbytes(12 << 20)
        path.write_bytes(data)

        stored = or_raise(await storage.store_file(path, "large"))

        assert stored.size_bytes == len(data)
        assert await storage.retrieve_raw_data("large") == Success(data)
        assert await storage.retrieve_raw_data(
            "large", byte_range=ByteRange(len(data) - 8, 100)
        ) == Success(data[-8:])

    async def test_a_published_file_is_in_the_store_and_nowhere_else(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        for content in (b"first" * 1000, b"second"):
            path = tmp_path / "sealed"
            path.write_bytes(content)

            published = or_raise(await storage.publish_file(path, "from/spool"))

            assert (published.key, published.size_bytes) == ("from/spool", len(content))
            assert await storage.retrieve_raw_data("from/spool") == Success(content)
            headed = or_raise(await storage.head("from/spool"))
            assert without_time(headed) == without_time(published)
            assert not path.exists()
        assert await listed_keys(storage, "") == ["from/spool"]

    async def test_each_publication_has_an_etag_of_its_own(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        etags = set[str]()
        for content in (b"one", b"two"):
            (tmp_path / "sealed").write_bytes(content)
            etags.add(or_raise(await storage.publish_file(tmp_path / "sealed", "key")).etag)

        assert len(etags) == 2

    async def test_a_file_that_cannot_be_published_is_named(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        for path in (tmp_path / "missing", tmp_path):
            error = (await storage.publish_file(path, "key")).failure()

            assert isinstance(error, SourceUnreadable)
            assert error.path == path
        assert await listed_keys(storage, "") == []

    async def test_an_empty_file_is_an_empty_object(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        (tmp_path / "nothing").touch()

        or_raise(await storage.store_file(tmp_path / "nothing", "nothing"))

        assert await storage.retrieve_raw_data("nothing") == Success(b"")

    async def test_a_file_that_cannot_be_read_is_named(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        for path in (tmp_path / "missing", tmp_path):
            error = (await storage.store_file(path, "key")).failure()

            assert isinstance(error, SourceUnreadable)
            assert error.path == path
        assert await listed_keys(storage, "") == []

    async def test_an_invalid_key_never_reaches_the_store(
        self, untouchable: S3Storage, tmp_path: Path
    ) -> None:
        path = tmp_path / "source"
        path.touch()

        for key in INVALID_KEYS:
            outcomes: list[Outcome[Any, StorageError]] = [
                await untouchable.store_raw_data(b"", key),
                await untouchable.store_raw_data(b"", key, condition=IfAbsent()),
                await untouchable.store_file(path, key),
                await untouchable.publish_file(path, key),
                await untouchable.retrieve_raw_data(key),
                await untouchable.head(key),
                await untouchable.delete_raw_data(key),
            ]
            assert [outcome.failure() for outcome in outcomes] == [key_fault(key)] * 7

    async def test_an_invalid_prefix_never_reaches_the_store(self, untouchable: S3Storage) -> None:
        for prefix in INVALID_PREFIXES:
            outcomes = [outcome async for outcome in untouchable.list_objects(prefix)]
            assert [outcome.failure() for outcome in outcomes] == [prefix_fault(prefix)]
            folders = [outcome async for outcome in untouchable.list_folders(prefix)]
            assert [outcome.failure() for outcome in folders] == [prefix_fault(prefix)]

    async def test_a_healthy_store_says_so(self, storage: S3Storage) -> None:
        assert await storage.health_check() == Success(None)

    async def test_trying_out_conditions_leaves_nothing_behind(
        self, storage: S3Storage, names_in_store: Callable[[], list[str]]
    ) -> None:
        before = names_in_store()

        first = or_raise(await storage.honours_conditions())

        assert await storage.honours_conditions() == Success(first)
        assert await listed_keys(storage, "") == []
        assert names_in_store() == before

    async def test_if_absent_writes_once(self, storage: S3Storage) -> None:
        outcome = await storage.store_raw_data(b"first", "once", condition=IfAbsent())
        again = await storage.store_raw_data(b"second", "once", condition=IfAbsent())

        if not or_raise(await storage.honours_conditions()):
            assert [outcome.failure(), again.failure()] == [unsupported(again)] * 2
            assert await listed_keys(storage, "") == []
            return
        stored = or_raise(outcome)
        assert (stored.key, stored.size_bytes) == ("once", 5)
        assert_unmet(again, "once", IfAbsent())
        assert await storage.retrieve_raw_data("once") == Success(b"first")

    async def test_if_match_replaces_only_what_it_names(self, storage: S3Storage) -> None:
        first = or_raise(await storage.store_raw_data(b"first", "named"))
        outcome = await storage.store_raw_data(b"second", "named", condition=IfMatch(first.etag))
        late = await storage.store_raw_data(b"third", "named", condition=IfMatch(first.etag))

        if not or_raise(await storage.honours_conditions()):
            assert [outcome.failure(), late.failure()] == [unsupported(late)] * 2
            assert await storage.retrieve_raw_data("named") == Success(b"first")
            return
        assert or_raise(outcome).etag == or_raise(await storage.head("named")).etag != first.etag
        assert_unmet(late, "named", IfMatch(first.etag))
        assert await storage.retrieve_raw_data("named") == Success(b"second")

    async def test_if_match_never_holds_for_an_absent_object(self, storage: S3Storage) -> None:
        outcome = await storage.store_raw_data(b"", "absent", condition=IfMatch("e" * 32))

        if or_raise(await storage.honours_conditions()):
            assert_unmet(outcome, "absent", IfMatch("e" * 32))
        assert await listed_keys(storage, "") == []

    async def test_of_concurrent_if_absent_writers_exactly_one_wins(
        self, storage: S3Storage
    ) -> None:
        outcomes: list[Outcome[StoredObject, StorageError]] = []

        async def write(number: int) -> None:
            data = f"writer {number}".encode()
            outcomes.append(await storage.store_raw_data(data, "race", condition=IfAbsent()))

        async with anyio.create_task_group() as writers:
            for number in range(8):
                writers.start_soon(write, number)

        won = [outcome for outcome in outcomes if isinstance(outcome, Success)]
        if or_raise(await storage.honours_conditions()):
            assert len(won) == 1
            assert or_raise(won[0]).etag == or_raise(await storage.head("race")).etag
        else:
            assert won == []

    async def test_of_concurrent_if_match_writers_none_overwrites_another(
        self, storage: S3Storage
    ) -> None:
        if not or_raise(await storage.honours_conditions()):
            return
        or_raise(await storage.store_raw_data(b"0", "counter"))

        async def increment() -> None:
            while True:
                found = or_raise(await storage.head("counter"))
                count = int(or_raise(await storage.retrieve_raw_data("counter")))
                match await storage.store_raw_data(
                    str(count + 1).encode(), "counter", condition=IfMatch(found.etag)
                ):
                    case Success(_):
                        return
                    case Failure(error):
                        assert isinstance(error, PreconditionFailed)

        async with anyio.create_task_group() as writers:
            for _ in range(4):
                writers.start_soon(increment)

        assert await storage.retrieve_raw_data("counter") == Success(b"4")

    async def test_concurrent_operations_keep_apart(self, storage: S3Storage) -> None:
        async def round_trip(number: int) -> None:
            data = string.ascii_letters.encode() * number
            or_raise(await storage.store_raw_data(data, f"many/{number}"))
            assert await storage.retrieve_raw_data(f"many/{number}") == Success(data)

        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(round_trip, number)

        assert len(await listed_keys(storage, "many/")) == 40


def unsupported(outcome: Outcome[StoredObject, StorageError]) -> ConditionsUnsupported:
    error = outcome.failure()
    assert isinstance(error, ConditionsUnsupported)
    return error


def assert_unmet(
    outcome: Outcome[StoredObject, StorageError], key: str, condition: Condition
) -> None:
    error = outcome.failure()
    assert isinstance(error, PreconditionFailed)
    assert (error.key, error.condition) == (key, condition)
    assert key in error.message
