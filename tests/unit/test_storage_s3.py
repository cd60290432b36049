"""What the store in a bucket does when the other side fails."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import attrs
import pytest
from aiohttp import web

from otlp_capture.layer import open_runtime
from otlp_capture.result import Success, or_raise
from otlp_capture.storage import (
    AccessDenied,
    BucketNotFound,
    ByteRange,
    ChecksumMismatch,
    CredentialsMissing,
    IfAbsent,
    IfMatch,
    InvalidKey,
    ObjectNotFound,
    PreconditionFailed,
    S3Config,
    S3Credentials,
    S3Storage,
    S3StorageTag,
    SourceUnreadable,
    StorageBusy,
    StorageError,
    StorageFault,
    StorageFull,
    StorageUnreachable,
    StorageUnusable,
    s3_download,
    s3_storage,
)
from tests.clocks import HANGS_AFTER_S, skip
from tests.servers.processes import free_port
from tests.servers.s3 import S3Server
from tests.servers.s3_faults import (
    FaultyS3,
    Handler,
    answers,
    answers_page,
    cuts_after,
    damages_the_body,
    faulty_s3,
    loses_the_answer,
    never_answers,
)

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4096


@pytest.fixture(autouse=True)
def aws_chain_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


@pytest.fixture(autouse=True)
def retries_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    backoff = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(backoff, lambda *_: 0.0)


@pytest.fixture
async def server() -> AsyncGenerator[FaultyS3]:
    async with faulty_s3() as server:
        yield server


@asynccontextmanager
async def opened(config: S3Config) -> AsyncGenerator[S3Storage]:
    async with open_runtime(s3_storage(config), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        yield storage


def config_of(endpoint_url: str, **changes: Any) -> S3Config:
    return attrs.evolve(
        S3Config(
            bucket="bucket",
            endpoint_url=endpoint_url,
            region="us-east-1",
            credentials=S3Credentials("access", "secret"),
            connect_timeout_s=HANGS_AFTER_S,
            read_timeout_s=HANGS_AFTER_S,
            deadline_s=HANGS_AFTER_S,
        ),
        **changes,
    )


@pytest.fixture
async def storage(server: FaultyS3) -> AsyncGenerator[S3Storage]:
    async with opened(config_of(server.endpoint_url)) as storage:
        yield storage


@pytest.fixture
async def impatient(server: FaultyS3) -> AsyncGenerator[S3Storage]:
    config = config_of(server.endpoint_url, deadline_s=0.3, read_timeout_s=10 * HANGS_AFTER_S)
    async with opened(config) as storage:
        yield storage


class TestReading:
    async def test_a_transfer_that_breaks_off_is_resumed_by_range(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(DATA, "key"))
        server.fail("GET", cuts_after(1000), cuts_after(5000))

        assert await storage.retrieve_raw_data("key") == Success(DATA)

        first, *resumed = [seen.headers for seen in server.seen if seen.method == "GET"]
        assert "Range" not in first
        starts = [int(headers["Range"].removeprefix("bytes=").split("-")[0]) for headers in resumed]
        assert 0 < starts[0] <= 1000 < starts[1] <= 6000
        etag = or_raise(await storage.head("key")).etag
        assert {headers["If-Match"] for headers in resumed} == {f'"{etag}"'}

    async def test_a_range_that_breaks_off_is_resumed_within_it(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(DATA, "key"))
        server.fail("GET", cuts_after(10))

        part = await storage.retrieve_raw_data("key", byte_range=ByteRange(100, 5000))

        assert part == Success(DATA[100:5100])
        assert server.seen[-1].headers["Range"].endswith("-5099")

    async def test_an_object_that_changes_while_it_is_read_is_never_mixed(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(DATA, "key"))

        async def cut_and_replace(request: web.Request, answer: Handler) -> web.StreamResponse:
            cut = await cuts_after(1000)(request, answer)
            server.put("key", b"other", {})
            return cut

        server.fail("GET", cut_and_replace)

        error = (await storage.retrieve_raw_data("key")).failure()

        assert isinstance(error, StorageBusy)
        assert "changed" in error.message

    async def test_a_transfer_without_progress_is_given_up(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(DATA, "key"))
        server.fail("GET", *[cuts_after(0)] * 20)

        assert isinstance((await storage.retrieve_raw_data("key")).failure(), StorageUnreachable)

    async def test_content_that_does_not_match_its_checksum_is_refused(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(DATA, "key"))
        held = server.objects["key"]
        server.objects["key"] = attrs.evolve(held, data=b"x" + DATA[1:])

        error = (await storage.retrieve_raw_data("key")).failure()

        assert isinstance(error, ChecksumMismatch)
        assert error.key == "key"

    async def test_resumed_content_is_checked_as_a_whole(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(DATA, "key"))
        held = server.objects["key"]
        server.objects["key"] = attrs.evolve(held, data=b"x" + DATA[1:])
        server.fail("GET", cuts_after(1000))

        assert isinstance((await storage.retrieve_raw_data("key")).failure(), ChecksumMismatch)

    async def test_a_server_that_ignores_ranges_is_found_out(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(DATA, "key"))

        async def ignore_range(request: web.Request, _: Handler) -> web.StreamResponse:
            return await server.answer(request.clone(headers={}))

        server.fail("GET", ignore_range)

        outcome = await storage.retrieve_raw_data("key", byte_range=ByteRange(5, 5))

        error = outcome.failure()
        assert isinstance(error, StorageFault)
        assert error.code == "RangeIgnored"

    async def test_a_listing_out_of_order_is_found_out(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.is_sorted = False
        server.put("b", b"", {})
        server.put("a", b"", {})

        first, second = [outcome async for outcome in storage.list_objects("")]

        assert or_raise(first).key == "b"
        error = second.failure()
        assert isinstance(error, StorageFault)
        assert error.code == "ListingOutOfOrder"

    async def test_objects_whose_name_no_key_can_have_are_passed_over(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        for key in (".spool/probe", "a/", "a//b", "b"):
            server.put(key, b"", {})

        assert [or_raise(found).key async for found in storage.list_objects("")] == ["b"]

    async def test_a_refused_question_is_no_absence(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("HEAD", answers(403, ""))
        server.fail("GET", *[answers(403, "AccessDenied")] * 3)

        assert isinstance((await storage.head("key")).failure(), AccessDenied)
        assert isinstance((await storage.retrieve_raw_data("key")).failure(), AccessDenied)
        for stream in (storage.list_objects(""), storage.list_folders("")):
            assert [type(outcome.failure()) async for outcome in stream] == [AccessDenied]

    async def test_a_missing_bucket_is_told_from_a_missing_object(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("GET", answers(404, "NoSuchBucket"))
        missing_bucket = await storage.head("key")
        missing_object = await storage.head("key")

        assert isinstance(missing_bucket.failure(), BucketNotFound)
        assert isinstance(missing_object.failure(), ObjectNotFound)
        assert "'bucket'" in missing_bucket.failure().message


class TestWriting:
    async def test_requests_carry_a_checksum_and_wait_for_no_permission(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        or_raise(await storage.store_raw_data(b"hello", "key"))

        headers = {name.lower(): value for name, value in server.seen[0].headers.items()}

        assert headers["x-amz-checksum-crc32"] == "NhCmhg=="
        assert headers["content-length"] == "5"
        assert {"expect", "transfer-encoding", "x-amz-trailer"}.isdisjoint(headers)
        assert server.objects["key"].data == b"hello"

    async def test_a_busy_server_is_asked_again(self, server: FaultyS3, storage: S3Storage) -> None:
        server.fail("PUT", answers(503, "SlowDown"), answers(500, "InternalError"))

        or_raise(await storage.store_raw_data(b"data", "key"))

        assert server.methods() == ["PUT"] * 3

    async def test_a_server_that_stays_busy_is_said_to_be(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("PUT", *[answers(503, "SlowDown")] * 3)

        error = (await storage.store_raw_data(b"data", "key")).failure()

        assert isinstance(error, StorageBusy)
        assert error.retryable
        assert "SlowDown" in error.message
        assert server.methods() == ["PUT"] * 3

    async def test_data_damaged_on_its_way_is_refused(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("PUT", damages_the_body(server))

        error = (await storage.store_raw_data(b"data", "key")).failure()

        assert isinstance(error, ChecksumMismatch)
        assert (error.key, error.retryable) == ("key", True)
        assert server.objects == {}

    @pytest.mark.parametrize(
        ("status", "code", "expected"),
        [
            (403, "AccessDenied", AccessDenied),
            (403, "SignatureDoesNotMatch", AccessDenied),
            (404, "NoSuchBucket", BucketNotFound),
            (507, "XMinioStorageFull", StorageFull),
            (507, "SomethingElse", StorageFull),
            (400, "KeyTooLongError", InvalidKey),
            (405, "MethodNotAllowed", StorageFault),
            (409, "OperationAborted", StorageBusy),
        ],
    )
    async def test_an_answer_becomes_the_error_it_means(
        self, server: FaultyS3, storage: S3Storage, status: int, code: str, expected: Any
    ) -> None:
        server.fail("PUT", *[answers(status, code)] * 3)

        error = (await storage.store_raw_data(b"data", "key")).failure()

        assert type(error) is expected
        assert error.message

    async def test_a_server_that_is_no_s3_is_a_fault(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("GET", answers_page(200, "<html><p>Welcome</p></html>"))

        error = (await storage.health_check()).failure()

        assert isinstance(error, StorageFault)
        assert "no S3 server" in error.message


class TestConditions:
    async def test_a_lost_answer_to_a_write_of_ours_is_success(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        assert or_raise(await storage.honours_conditions()) is True
        server.fail("PUT", loses_the_answer)

        stored = or_raise(await storage.store_raw_data(b"ours", "key", condition=IfAbsent()))

        assert (stored.key, stored.size_bytes) == ("key", 4)
        assert server.methods()[-3:] == ["PUT", "PUT", "HEAD"]

    async def test_a_lost_answer_to_a_replacement_of_ours_is_success(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        first = or_raise(await storage.store_raw_data(b"first", "key"))
        assert or_raise(await storage.honours_conditions()) is True
        server.fail("PUT", loses_the_answer)

        outcome = await storage.store_raw_data(b"ours", "key", condition=IfMatch(first.etag))

        assert or_raise(outcome).etag == or_raise(await storage.head("key")).etag

    async def test_the_same_content_of_another_writer_is_not_ours(self, storage: S3Storage) -> None:
        or_raise(await storage.store_raw_data(b"same", "key", condition=IfAbsent()))

        error = (await storage.store_raw_data(b"same", "key", condition=IfAbsent())).failure()

        assert isinstance(error, PreconditionFailed)

    async def test_the_probe_runs_once_for_all_who_wait_for_it(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(storage.honours_conditions)

        assert server.methods() == ["PUT", "PUT", "PUT", "PUT", "DELETE"]
        assert server.objects == {}

    @pytest.mark.parametrize("broken", [1, 2])
    async def test_a_server_that_ignores_one_condition_honours_none(
        self, server: FaultyS3, storage: S3Storage, broken: int
    ) -> None:
        async def ignore(request: web.Request, _: Handler) -> web.StreamResponse:
            return server.put("ignored", await request.read(), {})

        server.fail("PUT", *[lambda request, answer: answer(request)] * broken, ignore)

        assert or_raise(await storage.honours_conditions()) is False

    async def test_a_server_that_refuses_conditions_honours_none(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("PUT", answers(501, "NotImplemented"))

        assert or_raise(await storage.honours_conditions()) is False

    async def test_a_probe_that_fails_half_way_writes_nothing_more(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("PUT", lambda request, answer: answer(request), answers(403, "AccessDenied"))

        outcome = await storage.store_raw_data(b"data", "key", condition=IfAbsent())

        assert isinstance(outcome.failure(), AccessDenied)
        assert server.objects == {}

    async def test_a_failed_probe_is_tried_again(
        self, server: FaultyS3, storage: S3Storage
    ) -> None:
        server.fail("PUT", answers(403, "AccessDenied"))

        assert isinstance((await storage.honours_conditions()).failure(), AccessDenied)
        assert or_raise(await storage.honours_conditions()) is True

    async def test_a_probe_that_cannot_be_removed_is_logged(
        self, server: FaultyS3, storage: S3Storage, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.fail("DELETE", answers(403, "AccessDenied"))

        with caplog.at_level(logging.WARNING, "otlp_capture.storage"):
            assert or_raise(await storage.honours_conditions()) is True

        assert [record.message for record in caplog.records if "probe" in record.message]


class TestReach:
    async def test_a_refused_connection_is_unreachable_and_names_the_endpoint(self) -> None:
        endpoint = f"http://127.0.0.1:{free_port()}"

        async with opened(config_of(endpoint)) as storage:
            errors: list[StorageError] = [
                (await storage.health_check()).failure(),
                (await storage.store_raw_data(b"", "key")).failure(),
                *[outcome.failure() async for outcome in storage.list_objects("")],
            ]

        for error in errors:
            assert isinstance(error, StorageUnreachable)
            assert endpoint in error.message
            assert error.retryable

    async def test_a_server_that_never_answers_meets_the_deadline(
        self, server: FaultyS3, impatient: S3Storage
    ) -> None:
        server.fail("PUT", never_answers)
        server.fail("GET", never_answers, never_answers)

        with anyio.fail_after(HANGS_AFTER_S):
            outcomes = [
                await impatient.store_raw_data(b"data", "key"),
                await impatient.retrieve_raw_data("key"),
                await impatient.health_check(),
            ]

        assert {type(outcome.failure()) for outcome in outcomes} == {StorageUnreachable}

    async def test_the_deadline_grows_with_what_is_to_be_read(
        self, server: FaultyS3, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = config_of(
            server.endpoint_url, slowest_bytes_per_s=1_000, read_timeout_s=10 * HANGS_AFTER_S
        )
        is_read, read = asyncio.Event(), s3_download._read

        async def note_and_read(*arguments: Any) -> Any:
            is_read.set()
            return await read(*arguments)

        monkeypatch.setattr(s3_download, "_read", note_and_read)

        async def answers_late(request: web.Request, answer: Handler) -> web.StreamResponse:
            whole = await answer(request)
            slow = web.StreamResponse(status=whole.status, headers=whole.headers)
            slow.content_length = len(DATA)
            await slow.prepare(request)
            await slow.write(DATA[:1000])
            await is_read.wait()
            skip(2 * HANGS_AFTER_S)
            await asyncio.sleep(0.01)
            await slow.write(DATA[1000:])
            return slow

        async with opened(config) as storage:
            or_raise(await storage.store_raw_data(DATA, "key"))
            server.fail("GET", answers_late)

            assert await storage.retrieve_raw_data("key") == Success(DATA)

    async def test_a_request_can_be_cancelled(self, server: FaultyS3, storage: S3Storage) -> None:
        arrived = anyio.Event()

        async def hang(request: web.Request, answer: Handler) -> web.StreamResponse:
            arrived.set()
            return await never_answers(request, answer)

        server.fail("PUT", hang)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(storage.store_raw_data, b"data", "key")
            await arrived.wait()
            tasks.cancel_scope.cancel()

        or_raise(await storage.store_raw_data(b"after", "key"))
        assert server.objects["key"].data == b"after"

    async def test_a_small_pool_serves_many_operations(self, server: FaultyS3) -> None:
        config = config_of(server.endpoint_url, max_connections=1, max_large_transfers=1)
        async with opened(config) as storage:

            async def round_trip(number: int) -> None:
                or_raise(await storage.store_raw_data(DATA * 2, f"{number}"))
                or_raise(await storage.retrieve_raw_data(f"{number}"))

            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(round_trip, number)

        assert len(server.objects) == 6


class TestOpening:
    async def test_without_credentials_the_first_request_says_so(self, server: FaultyS3) -> None:
        async with opened(config_of(server.endpoint_url, credentials=None)) as storage:
            error = (await storage.health_check()).failure()

        assert isinstance(error, CredentialsMissing)
        assert "AWS_ACCESS_KEY_ID" in error.message

    async def test_credentials_come_from_the_environment(
        self, server: FaultyS3, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        async with opened(config_of(server.endpoint_url, credentials=None)) as storage:
            or_raise(await storage.health_check())

        assert "from-the-environment" in server.seen[0].headers["Authorization"]

    async def test_an_endpoint_of_the_environment_is_asked_path_style(
        self, server: FaultyS3, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint_url)
        config = attrs.evolve(config_of(server.endpoint_url), endpoint_url=None)
        async with opened(config) as storage:
            or_raise(await storage.store_raw_data(b"", "key"))

        assert [seen.key for seen in server.seen] == ["key"]

    @pytest.mark.parametrize(
        ("changes", "environment"),
        [
            ({"endpoint_url": "no url"}, {}),
            ({"region": "no region"}, {}),
            ({}, {"AWS_PROFILE": "no-such-profile"}),
        ],
    )
    async def test_a_configuration_that_is_not_valid_fails_to_open(
        self, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], environment: dict[str, str]
    ) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        config = attrs.evolve(config_of("http://127.0.0.1:1"), **changes)

        async with open_runtime(s3_storage(config), S3StorageTag) as outcome:
            assert isinstance(outcome.failure(), StorageUnusable)

    def test_secrets_are_not_shown(self) -> None:
        shown = repr(S3Credentials("access", "very-secret", "very-secret-token"))

        assert "very-secret" not in shown

    @pytest.mark.parametrize("changes", [{"max_attempts": 0}, {"part_size_bytes": 5}])
    def test_a_number_out_of_bounds_is_a_programming_error(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(changes))):
            S3Config(bucket="bucket", **changes)

    async def test_a_prefix_counts_to_the_length_of_a_key(self, server: FaultyS3) -> None:
        async with opened(config_of(server.endpoint_url, prefix="p" * 20)) as storage:
            error = (await storage.store_raw_data(b"", "k" * 1010)).failure()

        assert isinstance(error, InvalidKey)
        assert server.seen == []


class TestUploadInParts:
    @pytest.fixture
    def config(self, moto_s3: S3Server) -> S3Config:
        return moto_s3.config(
            moto_s3.make_bucket(), multipart_threshold_bytes=6 << 20, part_size_bytes=5 << 20
        )

    async def test_a_file_that_shrinks_leaves_no_upload_behind(
        self,
        config: S3Config,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(bytes(12 << 20))
        async with opened(config) as storage:
            part = client_of(storage).upload_part

            async def shrink(**parameters: Any) -> Any:
                with path.open("r+b") as file:
                    file.truncate(5 << 20)
                return await part(**parameters)

            monkeypatch.setattr(client_of(storage), "upload_part", shrink)
            error = (await storage.store_file(path, "key")).failure()

            assert isinstance(error, SourceUnreadable)
            assert error.path == path
            assert isinstance((await storage.head("key")).failure(), ObjectNotFound)
            uploads = await client_of(storage).list_multipart_uploads(Bucket=config.bucket)
            assert uploads.get("Uploads", []) == []
        assert caplog.records == []

    async def test_a_cancelled_upload_leaves_nothing_behind(
        self, config: S3Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(bytes(12 << 20))
        begun = anyio.Event()
        async with opened(config) as storage:

            async def hang(**_: Any) -> Any:
                begun.set()
                await anyio.sleep_forever()

            monkeypatch.setattr(client_of(storage), "upload_part", hang)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(storage.store_file, path, "key")
                await begun.wait()
                tasks.cancel_scope.cancel()

            uploads = await client_of(storage).list_multipart_uploads(Bucket=config.bucket)
            assert uploads.get("Uploads", []) == []

    async def test_a_lost_answer_to_the_last_step_is_success(
        self, config: S3Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(bytes(12 << 20))
        async with opened(config) as storage:
            complete = client_of(storage).complete_multipart_upload

            async def complete_and_lose(**parameters: Any) -> Any:
                await complete(**parameters)
                message = "the answer is lost"
                raise TimeoutError(message)

            monkeypatch.setattr(client_of(storage), "complete_multipart_upload", complete_and_lose)
            stored = or_raise(await storage.store_file(path, "key"))

            assert stored.size_bytes == 12 << 20


class TestRefusedUploadInParts:
    @pytest.fixture
    async def storage(self, server: FaultyS3) -> AsyncGenerator[S3Storage]:
        config = config_of(server.endpoint_url, multipart_threshold_bytes=1, max_attempts=1)
        async with opened(config) as storage:
            yield storage

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "file"
        path.write_bytes(b"data")
        return path

    async def test_an_upload_that_may_not_begin_is_refused(
        self, server: FaultyS3, storage: S3Storage, path: Path
    ) -> None:
        server.fail("POST", answers(403, "AccessDenied"))

        assert isinstance((await storage.store_file(path, "key")).failure(), AccessDenied)
        assert server.methods() == ["POST"]

    async def test_an_upload_whose_part_is_refused_is_aborted(
        self, server: FaultyS3, storage: S3Storage, path: Path
    ) -> None:
        server.fail("POST", begins_an_upload)
        server.fail("PUT", answers(507, "XMinioStorageFull"))

        assert isinstance((await storage.store_file(path, "key")).failure(), StorageFull)
        assert server.methods() == ["POST", "PUT", "DELETE"]

    async def test_an_upload_that_cannot_be_aborted_is_logged(
        self,
        server: FaultyS3,
        storage: S3Storage,
        path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        server.fail("POST", begins_an_upload)
        server.fail("PUT", answers(403, "AccessDenied"))
        server.fail("DELETE", answers(503, "SlowDown"))

        with caplog.at_level(logging.WARNING, "otlp_capture.storage"):
            assert isinstance((await storage.store_file(path, "key")).failure(), AccessDenied)

        assert [record for record in caplog.records if "unfinished" in record.message]


async def begins_an_upload(_: web.Request, __: Handler) -> web.StreamResponse:
    body = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
    return web.Response(text=body, content_type="application/xml")


async def test_a_listing_of_more_than_a_page_comes_whole(rclone_s3: S3Server) -> None:
    bucket = rclone_s3.make_bucket()
    assert rclone_s3.folder is not None
    expected = [f"many/{number:04}" for number in range(1100)]
    (rclone_s3.folder / bucket / "many").mkdir()
    for key in expected:
        (rclone_s3.folder / bucket / key).touch()

    async with opened(rclone_s3.config(bucket)) as storage:
        found = [or_raise(outcome).key async for outcome in storage.list_objects("many/")]

    assert found == expected


def client_of(storage: S3Storage) -> Any:
    return cast("Any", storage)._client


class TestConfig:
    def test_slashes_at_the_ends_of_a_prefix_are_left_out(self) -> None:
        assert S3Config(bucket="b", prefix="/team/a/") == S3Config(bucket="b", prefix="team/a")
