"""Every store keeps the contract."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from otlp_capture.layer import Layer, open_runtime
from otlp_capture.result import or_raise
from otlp_capture.storage import (
    S3Storage,
    S3StorageTag,
    StorageError,
    local_storage,
    memory_storage,
    s3_storage,
)
from tests.contracts.storage_contract import StorageContract
from tests.servers.processes import free_port
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.anyio


@attrs.frozen
class Store:
    """One store under test.

    Attributes:
        layer: makes it, empty.
        untouchable: makes one that fails on any attempt to reach it.
        names: tells everything that lies in it, listed or not.
    """

    layer: Layer[StorageError]
    untouchable: Layer[StorageError]
    names: Callable[[], list[str]]


def names_below(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.parts[len(folder.parts)] != ".spool"
    )


@pytest.fixture
def memory() -> Store:
    layer = memory_storage()
    return Store(layer, layer, list)


@pytest.fixture
def local(tmp_path: Path) -> Store:
    layer = local_storage(tmp_path / "store")
    return Store(layer, layer, lambda: names_below(tmp_path / "store"))


def in_a_bucket(server: S3Server, **changes: Any) -> Store:
    bucket = server.make_bucket()
    folder = server.folder
    return Store(
        s3_storage(server.config(bucket, page_size=7, **changes)),
        s3_storage(attrs.evolve(server.config(bucket), endpoint_url=nowhere())),
        list if folder is None else lambda: names_below(folder / bucket),
    )


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def rclone(rclone_s3: S3Server) -> Store:
    return in_a_bucket(rclone_s3)


@pytest.fixture
def rclone_with_prefix(rclone_s3: S3Server) -> Store:
    return in_a_bucket(rclone_s3, prefix="a/prefix of its own")


@pytest.fixture
def moto(moto_s3: S3Server) -> Store:
    return in_a_bucket(moto_s3)


@pytest.fixture
def moto_in_parts(moto_s3: S3Server) -> Store:
    return in_a_bucket(
        moto_s3, prefix="p", multipart_threshold_bytes=6 << 20, part_size_bytes=5 << 20
    )


@pytest.mark.parametrize(
    "store", ["memory", "local", "rclone", "rclone_with_prefix", "moto", "moto_in_parts"]
)
class TestStorage(StorageContract):
    @pytest.fixture
    def opened_store(self, request: pytest.FixtureRequest, store: str) -> Store:
        opened: Store = request.getfixturevalue(store)
        return opened

    @pytest.fixture
    async def storage(self, opened_store: Store) -> AsyncGenerator[S3Storage]:
        async with open_runtime(opened_store.layer, S3StorageTag) as opened:
            (storage,) = or_raise(opened)
            yield storage

    @pytest.fixture
    async def untouchable(self, opened_store: Store) -> AsyncGenerator[S3Storage]:
        async with open_runtime(opened_store.untouchable, S3StorageTag) as opened:
            (storage,) = or_raise(opened)
            yield storage

    @pytest.fixture
    def names_in_store(self, opened_store: Store) -> Callable[[], list[str]]:
        return opened_store.names
