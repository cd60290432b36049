"""A replay keeps the pace at which its session was recorded.

By a clock that the tests move, each request leaves at its instant exactly. On the real clock none
leaves early; how late they are is up to the machine, and is measured by `nox -s pace` alone.
"""

import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median

import anyio
import attrs
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.interchange import import_file
from otlp_capture.result import or_raise
from otlp_capture.sessions import in_order, index_session
from otlp_capture.storage import S3Storage
from otlp_replay import DeliveryCounts, ReplayConfig, ReplayStatus
from tests.clocks import HANGS_AFTER_S, VirtualClock
from tests.replays import SESSION, at_once, interleaved, opened_service, over
from tests.servers.target import Target, open_target
from tests.sessions import SECOND, START, Recorded, write_session

pytestmark = pytest.mark.anyio


@attrs.frozen
class Pace:
    """How a replay kept its time, in seconds.

    Attributes:
        took: from the start of the replay to its end.
        planned: what it ought to have taken.
        lateness: of each request at the target, measured from the first; sorted.
    """

    took: float
    planned: float
    lateness: list[float]

    @classmethod
    def of(
        cls, status: ReplayStatus, target: Target, arrivals: Sequence[int], speed: float
    ) -> "Pace":
        assert status.started_at is not None
        assert status.completed_at is not None
        plan_s = [(arrival - arrivals[0]) / SECOND / speed for arrival in arrivals]
        first_ns = target.received[0].at_ns
        came_s = [(received.at_ns - first_ns) / SECOND for received in target.received]
        return cls(
            took=(status.completed_at - status.started_at).total_seconds(),
            planned=plan_s[-1],
            lateness=sorted(came - planned for came, planned in zip(came_s, plan_s, strict=True)),
        )

    def __str__(self) -> str:
        late = self.lateness
        middle, p99, most = (1e3 * late[int(len(late) * part)] for part in (0.5, 0.99, 0.9999))
        return (
            f"took {self.took:.4f} s, planned {self.planned:.4f} s; "
            f"lateness: median {middle:.2f} ms, p99 {p99:.2f} ms, most {most:.2f} ms"
        )

    def assert_kept(self) -> None:
        """Assert that half of the requests came on time, and that nothing added up to the end."""
        assert abs(median(self.lateness)) < 0.02, str(self)
        assert abs(self.took - self.planned) < 0.1, str(self)


def bursts(seconds: float) -> list[Recorded]:
    """Return requests of all signals, some of which come at the same moment, some after a pause."""
    chance = random.Random(1)
    requests = interleaved(round(seconds * 30))
    gaps = [chance.choice([0, 0, chance.random() ** 4]) for _ in requests]
    gaps[0] = 0
    whole = sum(gaps)
    arrivals, now = [], 0.0
    for gap in gaps:
        now += gap / whole * seconds
        arrivals.append(START + round(now * SECOND))
    return [Recorded(*request, at) for request, at in zip(requests, arrivals, strict=True)]


@pytest.mark.parametrize("speed", [0.3, 1.0, 10.0])
async def test_each_request_leaves_at_its_instant(memory: S3Storage, speed: float) -> None:
    requests, clock = bursts(2), VirtualClock()
    due_ns = [
        int((recorded.received_unix_nano - START) / Fraction(str(speed))) for recorded in requests
    ]
    slept_for_ns: list[int] = []
    came: list[int] = []
    await write_session(memory, SESSION, requests)
    async with open_target() as target, opened_service(memory, clock) as service:
        or_raise(await service.start_replay(at_once(target.url, speed_multiplier=speed)))
        for instant_ns in sorted(set(due_ns)):
            if instant_ns:
                await clock.has_sleepers()
                slept_for_ns += clock.deadlines_ns
                came.append(len(target.received))
                await clock.advance((instant_ns - clock.monotonic_ns()) / 1e9)
            await target.has_received(sum(due <= instant_ns for due in due_ns))
        await over(service)

    assert slept_for_ns == sorted({due for due in due_ns if due})
    assert came == [sum(due < instant for due in due_ns) for instant in slept_for_ns]
    assert target.bodies == [recorded.request for recorded in requests]


class NotingClock:
    """The real clock; it notes when it was asked first, which is what a replay counts from."""

    def __init__(self) -> None:
        self.began_ns: int | None = None

    def time_ns(self) -> int:
        return SYSTEM_CLOCK.time_ns()

    def monotonic_ns(self) -> int:
        now_ns = SYSTEM_CLOCK.monotonic_ns()
        self.began_ns = self.began_ns or now_ns
        return now_ns

    async def sleep_until(self, deadline_ns: int) -> None:
        await SYSTEM_CLOCK.sleep_until(deadline_ns)


async def replayed_at(speed: float, storage: S3Storage, target: Target) -> tuple[ReplayStatus, int]:
    """Replay on the real clock, and tell how it ended and when it began."""
    config = ReplayConfig(session_id=SESSION, target_endpoint=target.url, speed_multiplier=speed)
    clock = NotingClock()
    async with opened_service(storage, clock) as service:
        or_raise(await service.start_replay(config))
        status = await over(service)
    assert clock.began_ns is not None
    return status, clock.began_ns


async def test_on_the_real_clock_nothing_leaves_early(memory: S3Storage) -> None:
    speed, requests = 20, bursts(8)
    await write_session(memory, SESSION, requests)
    async with open_target() as target:
        with anyio.fail_after(HANGS_AFTER_S):
            _, began_ns = await replayed_at(speed, memory, target)

    assert target.bodies == [recorded.request for recorded in requests]
    early_ns = [
        (recorded.received_unix_nano - START) // speed - (received.at_ns - began_ns)
        for recorded, received in zip(requests, target.received, strict=True)
    ]
    assert max(early_ns) <= 0


@pytest.mark.slow
@pytest.mark.parametrize(("speed", "recorded_s"), [(1, 3), (10, 30)])
async def test_a_session_is_replayed_at_its_pace(
    memory: S3Storage, capsys: pytest.CaptureFixture[str], speed: float, recorded_s: float
) -> None:
    requests = bursts(recorded_s)
    await write_session(memory, SESSION, requests)
    async with open_target() as target:
        status, _ = await replayed_at(speed, memory, target)

    pace = Pace.of(status, target, [each.received_unix_nano for each in requests], speed)
    tell(pace, capsys)
    assert target.bodies == [recorded.request for recorded in requests]
    pace.assert_kept()


@pytest.mark.slow
@pytest.mark.shared_data
async def test_a_real_capture_is_replayed_at_its_pace(
    memory: S3Storage, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = shared_data / "otlp/otel-tui/test_data.json"
    or_raise(await import_file(memory, SYSTEM_CLOCK, capture, SESSION))
    refs = in_order(or_raise(await index_session(memory, SESSION)))
    async with open_target() as target:
        status, _ = await replayed_at(1, memory, target)

    pace = Pace.of(status, target, [ref.frame.received_unix_nano for ref in refs], 1)
    tell(pace, capsys)
    assert status.delivery == DeliveryCounts(delivered=97)
    assert pace.planned == pytest.approx(49.9, abs=0.05)
    pace.assert_kept()


def tell(pace: Pace, capsys: pytest.CaptureFixture[str]) -> None:
    """Print what one runs these tests for."""
    with capsys.disabled():
        print(f"\n{pace}")  # noqa: T201 - it is the result
