"""A bucket that is away, refuses, or loses its answers: the spool keeps what was acknowledged."""

import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs
import pytest
from aiohttp import web

from otlp_capture.capture import CaptureConfig, CaptureSettings, OtlpCaptureService
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import SIGNALS
from otlp_capture.receiver import HttpReceiverSettings, open_http_receiver
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Config, S3Credentials, S3StorageTag, s3_storage
from tests.captures import opened_capture
from tests.clocks import HANGS_AFTER_S, VirtualClock
from tests.lives import Journal, Kept, Lives, clients, lives, pause
from tests.raw_http import Answer, ask, post
from tests.receiving import members
from tests.servers.s3_faults import (
    Fault,
    FaultyS3,
    Handler,
    answers,
    cuts_the_connection,
    faulty_s3,
    loses_the_answer,
)
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

BUDGET_BYTES: Final = 12_000
TROUBLES: Final[dict[str, Fault]] = {
    "answers 503": answers(503, "ServiceUnavailable"),
    "cuts connections": cuts_the_connection,
    "loses the answer": loses_the_answer,
}


@pytest.fixture
async def server() -> AsyncGenerator[FaultyS3]:
    async with faulty_s3() as running:
        yield running


def kept_by(server: FaultyS3) -> Kept:
    """Read what the bucket has of the session with zlib alone."""
    kept: Kept = Counter()
    for key, held in server.objects.items():
        if "/raw/" in key:
            signal: Any = key.rpartition("/")[2].partition("-")[0]
            kept.update((signal, request) for request in members(held.data))
    return kept


def counted_by(server: FaultyS3) -> tuple[str, int]:
    metadata = json.loads(server.objects["sessions/s/metadata.json"].data)
    counts = [metadata[f"captured{signal.capitalize()}"] for signal in SIGNALS]
    return metadata["status"], sum(counts)


def unpublished(spool: Path) -> list[Path]:
    return list(spool.rglob("*.otlp.gz"))


@attrs.frozen
class Clients:
    """Sends requests over HTTP, each on a connection of its own."""

    capture: OtlpCaptureService
    port: int
    journal: Journal

    async def send(self) -> Answer:
        number = sum(self.journal.sent.values())
        signal = SIGNALS[number % 3]
        text = f"{number} {random.Random(number).randbytes(500).hex()}"
        request = small_request(signal, text=text)
        self.journal.number(signal, request)
        answer = await ask(self.port, post(f"/v1/{signal}", request, "application/x-protobuf"))
        self.journal.answered(signal, request, answer.status)
        return answer


@asynccontextmanager
async def recording(server: FaultyS3, spool: Path, clock: VirtualClock) -> AsyncIterator[Clients]:
    config = S3Config(
        bucket="bucket",
        endpoint_url=server.endpoint_url,
        region="us-east-1",
        credentials=S3Credentials("access", "secret"),
        connect_timeout_s=HANGS_AFTER_S,
        read_timeout_s=HANGS_AFTER_S,
        deadline_s=HANGS_AFTER_S,
        max_attempts=1,
    )
    settings = CaptureSettings(
        spool_directory=spool, spool_budget_bytes=BUDGET_BYTES, publish_after_s=5.0
    )
    async with open_runtime(s3_storage(config), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        async with opened_capture(storage, clock, settings) as capture:
            or_raise(await capture.start_capture(CaptureConfig(session_id="s")))
            receiving = open_http_receiver(capture, "s", HttpReceiverSettings(port=0))
            async with receiving as listening:
                yield Clients(capture, or_raise(listening).port, Journal())


class TestOutage:
    @pytest.mark.parametrize("trouble", TROUBLES)
    async def test_clients_see_it_only_when_the_spool_is_full_and_all_is_published_once_after_it(
        self, server: FaultyS3, tmp_path: Path, trouble: str
    ) -> None:
        clock = VirtualClock()
        async with recording(server, tmp_path, clock) as running:
            assert (await running.send()).status == 200
            server.always["PUT"] = TROUBLES[trouble]
            answer = await running.send()
            while answer.status == 200:
                await clock.advance(6.0)
                answer = await running.send()
            # A minute of it has passed, and the spool is full.
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert running.journal.statuses[200] > 10
            acknowledged = running.journal.acknowledged.copy()

            server.always.clear()
            while unpublished(tmp_path):
                await clock.advance(1.0)
            assert kept_by(server) == acknowledged
            assert (await running.send()).status == 200
            stopped = or_raise(await running.capture.stop_capture("s"))

        journal = running.journal
        assert kept_by(server) == journal.acknowledged
        assert counted_by(server) == ("completed", journal.acknowledged.total())
        assert stopped.captured_requests == journal.acknowledged.total()
        assert not unpublished(tmp_path)

    async def test_a_session_is_not_ended_while_something_is_not_published(
        self, server: FaultyS3, tmp_path: Path
    ) -> None:
        async with recording(server, tmp_path, VirtualClock()) as running:
            assert (await running.send()).status == 200
            server.always["PUT"] = TROUBLES["answers 503"]
            failed = await running.capture.stop_capture("s")
            assert failed.failure().retryable
            server.always.clear()
            or_raise(await running.capture.stop_capture("s"))

        assert kept_by(server) == running.journal.acknowledged
        assert counted_by(server) == ("completed", 1)


def moody(chosen: random.Random) -> Fault:
    """Answer well, or as each of the troubles, by chance."""

    async def fault(request: web.Request, answer: Handler) -> web.StreamResponse:
        if "/raw/" not in request.path or chosen.random() < 0.6:
            return await answer(request)
        return await chosen.choice(list(TROUBLES.values()))(request, answer)

    return fault


class TestKilled:
    @pytest.mark.parametrize("seed", range(2))
    async def test_what_was_acknowledged_is_in_the_bucket_once(
        self, server: FaultyS3, tmp_path: Path, seed: int
    ) -> None:
        chosen = random.Random(seed)
        journal = Journal()
        server.always["PUT"] = moody(chosen)
        life: dict[str, Any] = {
            "store": f"s3://bucket/?endpoint={server.endpoint_url}&region=us-east-1",
            "session": "s",
            "spool": str(tmp_path),
            "settings": {"publish_after_s": 0.05, "publish_bytes": 100_000},
        }

        def kill(number: int, forks: Lives) -> None:
            forks.begin(life)
            told = forks.told()
            if "port" not in told:  # a session is not taken up while the bucket is away
                assert "Cannot reach" in told["failed"] or "too busy" in told["failed"], told
                forks.over()
                return
            with clients(told["port"], journal, number):
                pause(chosen.uniform(0.05, 0.4))
                forks.signal(SIGKILL)
                forks.over()

        def end(forks: Lives) -> dict[str, Any]:
            forks.begin({**life, "stops": True})
            return forks.over()

        environment = {
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SERVES_S3": "yes",
        }
        with lives(environment=environment) as forks:
            for number in range(6):
                await anyio.to_thread.run_sync(kill, number, forks)
            server.always.clear()
            told = await anyio.to_thread.run_sync(end, forks)

        assert told == {"ended": kept_by(server).total(), "exit": 0}
        journal.check(kept_by(server))
        assert journal.acknowledged
        assert counted_by(server) == ("completed", told["ended"])
        assert not unpublished(tmp_path)
