"""Fixtures that tests everywhere share."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from otlp_capture.storage import S3Storage
from tests.servers.s3 import moto_s3 as moto_s3
from tests.servers.s3 import rclone_s3 as rclone_s3
from tests.sessions import opened_memory


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, unless their module says otherwise."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Tell where the real captures lie; skip where they do not."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("OTLP_CAPTURE_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(
            f"no real captures at {folder}: put them beside the checkout, "
            f"or name their folder in OTLP_CAPTURE_SHARED_DATA"
        )
    return folder


@pytest.fixture
async def memory() -> AsyncIterator[S3Storage]:
    """Open a store in memory for one test."""
    async with opened_memory() as opened:
        yield opened
