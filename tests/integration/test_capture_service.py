"""The capture service on every store."""

import gzip
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.capture import (
    CaptureSettings,
    OtlpCaptureService,
    SessionAlreadyActive,
)
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    SessionTakenOver,
    index_session,
    uncounted,
)
from otlp_capture.storage import (
    S3Storage,
    S3StorageTag,
    local_storage,
    memory_storage,
    s3_storage,
)
from tests.captures import (
    AT_ONCE,
    CONFIG,
    LOGS,
    METRICS,
    TRACES,
    Held,
    crashing_capture,
    held,
    indexed,
    keep,
    opened_capture,
    recounted,
    stored,
)
from tests.clocks import START, VirtualClock
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def storage(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[S3Storage]:
    layer: Any = memory_storage()
    if kind == "local":
        layer = local_storage(tmp_path / "store")
    elif kind != "memory":
        server = request.getfixturevalue(f"{kind}_s3")
        layer = s3_storage(server.config(server.make_bucket(), prefix="below/it"))
    async with open_runtime(layer, S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        yield storage


@pytest.mark.parametrize("kind", ["memory", "local", "moto", "rclone"])
class TestOnEveryStore:
    async def test_a_session_is_recorded_and_read_back(
        self, storage: S3Storage, clock: VirtualClock
    ) -> None:
        async with opened_capture(storage, clock) as capture:
            started = or_raise(await capture.start_capture(CONFIG))
            for signal in SIGNALS:
                await keep(capture, small_request(signal), signal)
            running = or_raise(await capture.get_capture_status("s"))
            stopped = or_raise(await capture.stop_capture("s"))
            listed = or_raise(await capture.list_capture_sessions())

        assert await held(storage) == [
            Held("traces", TRACES, 0),
            Held("metrics", METRICS, 1),
            Held("logs", LOGS, 2),
        ]
        counts = (stopped.captured_traces, stopped.captured_metrics, stopped.captured_logs)
        assert counts == (1, 1, 1)
        assert running == attrs.evolve(
            stopped,
            status="active",
            end_time=None,
            end_reason=None,
            recorder_id=running.recorder_id,
        )
        assert started == uncounted(running)
        assert listed == (stopped,)
        assert await stored(storage) == stopped == await recounted(storage, stopped)
        assert or_raise(await index_session(storage, "s")) == await indexed(storage)

    async def test_what_is_sent_is_accepted_or_refused_and_what_is_accepted_is_held(
        self, storage: S3Storage, clock: VirtualClock
    ) -> None:
        accepted: list[tuple[Signal, bytes]] = []
        refused: list[str] = []
        sent = 0

        async def send(capture: OtlpCaptureService, client: int) -> None:
            nonlocal sent
            for number in range(12):
                signal = SIGNALS[(client + number) % 3]
                request = small_request(signal, text=f"{client}.{number}" * 40 * number)
                ways: list[tuple[bytes, dict[str, Any]]] = [
                    (request, {}),
                    (gzip.compress(request), {"content_encoding": "gzip"}),
                    (or_raise(otlp.encode(request, signal, "json")), {"encoding": "json"}),
                    (b"\xff" * 11 + request, {}),
                ]
                body, options = ways[number % 4]
                sent += 1
                outcome = await capture.capture_otlp_data("s", body, signal, **options)
                match outcome:
                    case Success(_):
                        accepted.append((signal, request))
                    case Failure(error):
                        refused.append(type(error).__name__)

        async with opened_capture(storage, clock, CaptureSettings(linger_s=0.005)) as capture:
            or_raise(await capture.start_capture(CONFIG))
            async with anyio.create_task_group() as tasks:
                for client in range(8):
                    tasks.start_soon(send, capture, client)
            stopped = or_raise(await capture.stop_capture("s"))

        kept = await held(storage)
        assert (sent, len(refused)) == (96, 24)
        assert set(refused) == {"InvalidRequest"}
        assert Counter((each.signal, each.request) for each in kept) == Counter(accepted)
        assert len({each.sequence for each in kept}) == len(accepted) == 72
        assert stopped.captured_requests == 72
        assert stopped == await recounted(storage, stopped)

    async def test_a_crashed_session_is_taken_up_where_it_was(
        self, storage: S3Storage, clock: VirtualClock
    ) -> None:
        async with crashing_capture(storage, clock) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            for _ in range(3):
                await keep(crashed)
        later = VirtualClock(START + 60_000_000_000)

        async with opened_capture(storage, later) as capture:
            resumed = or_raise(await capture.resume_capture("s"))
            await keep(capture, TRACES, "traces")
            stopped = or_raise(await capture.stop_capture("s"))

        assert (resumed.captured_logs, resumed.captured_traces) == (3, 0)
        assert [each.sequence for each in await held(storage)] == [0, 1, 2, 3]
        assert (stopped.captured_logs, stopped.captured_traces) == (3, 1)
        assert stopped == await recounted(storage, stopped)

    async def test_a_session_whose_process_lives_is_not_taken_up_on_its_machine(
        self, kind: str, storage: S3Storage, clock: VirtualClock
    ) -> None:
        later = VirtualClock(START + 3_600_000_000_000)
        async with (
            opened_capture(storage, clock) as living,
            opened_capture(storage, later) as capture,
        ):
            or_raise(await living.start_capture(CONFIG))

            outcome = await capture.resume_capture("s")

            if kind == "memory":
                assert isinstance(outcome, Success), "nothing but the checkpoints tells"
            else:
                assert outcome == Failure(SessionAlreadyActive("s", 3_600.0, is_held_here=True))


@pytest.mark.parametrize("kind", ["memory", "moto", "rclone"])
class TestOnStoresOfManyMachines:
    """A directory and its spool are on one machine, where nobody loses a session."""

    async def test_a_process_that_lost_its_session_notices(
        self, kind: str, storage: S3Storage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        later = VirtualClock(START + 60_000_000_000)
        machines = [
            attrs.evolve(AT_ONCE, spool_directory=tmp_path / name if kind != "memory" else None)
            for name in ("one", "another")
        ]
        async with (
            opened_capture(storage, clock, machines[0]) as stale,
            opened_capture(storage, later, machines[1]) as capture,
        ):
            or_raise(await stale.start_capture(CONFIG))
            await keep(stale)
            or_raise(await capture.resume_capture("s"))
            await keep(stale, TRACES, "traces")

            assert await stale.stop_capture("s") == Failure(SessionTakenOver("s"))
            assert await stale.capture_otlp_data("s", LOGS, "logs") == Failure(
                SessionTakenOver("s")
            )
            stopped = or_raise(await capture.stop_capture("s"))

        assert (stopped.captured_logs, stopped.captured_traces) == (1, 1)
        assert stopped == await stored(storage) == await recounted(storage, stopped)
