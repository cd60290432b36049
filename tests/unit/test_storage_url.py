"""Which URLs name a store, and what is said of those that name none."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.layer import open_runtime
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.storage import InvalidStoreUrl, S3Config, S3StorageTag, storage_from_url, url

CREDENTIALS = "AWS_ACCESS_KEY_ID"


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Tell what a URL names, instead of making its layer."""
    monkeypatch.setattr(url, "local_storage", lambda path: ("directory", path))
    monkeypatch.setattr(url, "memory_storage", lambda: "memory")
    monkeypatch.setattr(url, "s3_storage", lambda config: config)
    return storage_from_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file:./otlp-data", ("directory", "./otlp-data")),
        ("file:otlp-data", ("directory", "otlp-data")),
        ("file:../a/b", ("directory", "../a/b")),
        ("file:/abs/olute", ("directory", "/abs/olute")),
        ("file:///abs/olute", ("directory", "/abs/olute")),
        ("file://localhost/abs", ("directory", "/abs")),
        ("FILE:./upper", ("directory", "./upper")),
        ("file:./a%20b%23c%3F", ("directory", "./a b#c?")),
        ("memory:", "memory"),
        ("memory://", "memory"),
        ("s3://bucket", S3Config(bucket="bucket")),
        ("s3://bucket/", S3Config(bucket="bucket")),
        ("s3://Bucket_1.x/a/b%20c/", S3Config(bucket="Bucket_1.x", prefix="a/b c")),
        (
            "s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1",
            S3Config(
                bucket="bucket",
                prefix="prefix",
                endpoint_url="http://127.0.0.1:9000",
                region="us-east-1",
            ),
        ),
        (
            "s3://bucket?endpoint=https%3A%2F%2Fs3.example.org%2Fbase",
            S3Config(bucket="bucket", endpoint_url="https://s3.example.org/base"),
        ),
        (
            "s3://bucket?endpoint=http://[::1]:9000",
            S3Config(bucket="bucket", endpoint_url="http://[::1]:9000"),
        ),
    ],
)
def test_a_url_names_a_store(named: Callable[[str], Any], text: str, expected: Any) -> None:
    assert named(text) == Success(expected)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("./dir", "'file:./dir'"),
        ("/abs/dir", "'file:/abs/dir'"),
        ("dir", "'file:dir'"),
        ("http://127.0.0.1:9000/bucket", "file, memory and s3"),
        ("file:", "file:./otlp-data"),
        ("file://otlp-data", "file:./"),
        ("file://./otlp-data", "file:./"),
        ("file:~/data", "'~'"),
        ("file:./a?b=c", "%3F"),
        ("file:./a#b", "%23"),
        ("file:./a%00b", "NUL"),
        ("memory:x", "'memory:'"),
        ("memory:?a=b", "'memory:'"),
        ("s3:bucket", "bucket name"),
        ("s3://", "bucket name"),
        ("s3://127.0.0.1:9000/bucket", "?endpoint="),
        ("s3://bucket/a//b", "empty segment"),
        ("s3://bucket/../b", "'..'"),
        ("s3://bucket/.spool", ".spool/"),
        ("s3://bucket?profile=x", "endpoint and region"),
        ("s3://bucket?region=a&region=b", "twice"),
        ("s3://bucket?region=", "us-east-1"),
        ("s3://bucket?region=us east", "us-east-1"),
        ("s3://bucket?endpoint=", "http://host:port"),
        ("s3://bucket?endpoint=127.0.0.1:9000", "http://host:port"),
        ("s3://bucket?endpoint=http://", "http://host:port"),
        ("s3://bucket?endpoint=http://h:99999", "endpoint"),
        ("s3://bucket?endpoint=http://h:0", "endpoint"),
        ("s3://bucket?endpoint=http://[::1", "endpoint"),
        ("s3://bucket?endpoint=http://h%3Fx=1", "query"),
        ("s3://[::1", "IPv6"),
    ],
)
def test_a_url_that_names_no_store_is_refused_with_a_hint(text: str, hint: str) -> None:
    error = storage_from_url(text).failure()

    assert isinstance(error, InvalidStoreUrl)
    assert hint in error.reason
    assert repr(text)[:-1].partition("?")[0] in error.message
    assert "file:./otlp-data" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIAEXAMPLE:hunter2@bucket/prefix",
        "s3://bucket?secret_access_key=hunter2",
        "s3://bucket?region=us-east-1&aws_session_token=hunter2",
        "s3://bucket?endpoint=http://user:hunter2@127.0.0.1:9000",
        "s3://bucket?endpoint=http%3A%2F%2Fuser%3Ahunter2%40127.0.0.1",
        "s3://bucket?password=hunter2&endpoint=http://h",
        "s3://bucket?endpoint=user:hunter2@127.0.0.1",
        "s3://AKIAEXAMPLE:a/hunter2@bucket",
        "s3://AKIAEXAMPLE:hunter2/a@bucket",
    ],
)
def test_credentials_are_refused_and_not_repeated(text: str) -> None:
    error = storage_from_url(text).failure()

    assert CREDENTIALS in error.message
    assert "hunter2" not in error.message
    assert "hunter2" not in repr(error)


@pytest.mark.parametrize(
    "text", ["https://user:hunter2@host/bucket", "user:hunter2@host", "hunter2/a@host"]
)
def test_secrets_are_not_repeated_whatever_is_wrong(text: str) -> None:
    error = storage_from_url(text).failure()

    assert "hunter2" not in error.message


@given(text=st.text(max_size=60) | st.text("s3:/file?&=#%@.[]mb0", max_size=40))
def test_any_text_names_a_store_or_is_refused(text: str) -> None:
    match storage_from_url(text):
        case Failure(error):
            assert error.reason
            assert isinstance(error.message, str)
        case Success(layer):
            assert repr(layer).startswith("scoped('otlp_capture.S3Storage'")


@pytest.mark.anyio
async def test_a_relative_directory_is_meant_from_where_the_process_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layer = or_raise(storage_from_url("file:./data"))

    async with open_runtime(layer, S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        monkeypatch.chdir(os.sep)
        or_raise(await storage.store_raw_data(b"here", "a/b"))

    assert (tmp_path / "data/a/b").read_bytes() == b"here"
