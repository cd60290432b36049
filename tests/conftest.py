"""Fixtures that tests everywhere share, and how Hypothesis runs.

No property fails because the machine is slow: examples have no deadline, and drawing them may take
its time. Settings of a test's own that name health checks name `too_slow` again. A change is
judged by the same examples each time; `nox -s laws` searches among others.
"""

import os
from collections.abc import AsyncIterator, Generator
from functools import cache
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import HealthCheck, settings

from otlp_capture.storage import S3Storage
from tests.servers.s3 import moto_s3 as moto_s3
from tests.servers.s3 import rclone_s3 as rclone_s3
from tests.sessions import opened_memory

settings.register_profile(
    "searching", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "same examples", settings.get_profile("searching"), derandomize=True, max_examples=60
)
settings.load_profile("same examples")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option for those who have less time."""
    parser.addoption(
        "--crash-step",
        type=int,
        default=1,
        metavar="N",
        help="inject a fault at each N-th system call only (nox -s crash)",
    )


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name gzip by what it is for: it holds the second of its making, and workers must agree."""
    return argname if isinstance(val, bytes) and b"\x1f\x8b\x08" in val else None


@pytest.fixture(scope="session", autouse=True)
def read_service_models_once() -> Generator[None]:
    """Keep what botocore reads from its files, which each client would read again."""
    load_file = cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: load_file(path))
        yield


@pytest.fixture(scope="session", autouse=True)
def spool_here(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Keep the spools of stores that lie on no disk out of the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


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
