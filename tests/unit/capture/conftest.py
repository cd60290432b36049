"""A capture service over a store in memory that fails on demand, and a clock that stands still."""

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from otlp_capture.capture import (
    OtlpCaptureService,
)
from tests.captures import Background, opened_capture
from tests.clocks import VirtualClock
from tests.faulty_storage import FaultyStorage
from tests.sessions import opened_memory


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def capture(storage: FaultyStorage, clock: VirtualClock) -> AsyncIterator[OtlpCaptureService]:
    async with opened_capture(storage, clock) as service:
        yield service


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    async with anyio.create_task_group() as tasks:
        yield Background(tasks)
