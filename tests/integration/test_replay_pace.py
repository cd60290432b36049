"""A replay keeps the pace at which its session was recorded, on the real clock."""

import random
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.interchange import import_file
from otlp_capture.result import or_raise
from otlp_capture.sessions import in_order, index_session
from otlp_replay import DeliveryCounts, ReplayConfig, ReplayStatus
from tests.replays import SESSION, interleaved, opened_service, over
from tests.servers.target import Target, open_target
from tests.sessions import SECOND, START, Recorded, opened_memory, write_session

pytestmark = pytest.mark.anyio

BUSY_MACHINE_S = 0.25


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
        median, p99, most = (1e3 * late[int(len(late) * part)] for part in (0.5, 0.99, 0.9999))
        return (
            f"took {self.took:.4f} s, planned {self.planned:.4f} s; "
            f"lateness: median {median:.2f} ms, p99 {p99:.2f} ms, most {most:.2f} ms"
        )


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


@pytest.mark.parametrize(("speed", "recorded_s"), [(1, 3), (10, 30)])
async def test_a_session_is_replayed_at_its_pace(speed: float, recorded_s: float) -> None:
    requests = bursts(recorded_s)
    async with opened_memory() as storage, open_target() as target:
        await write_session(storage, SESSION, requests)
        async with opened_service(storage, SYSTEM_CLOCK) as service:
            config = ReplayConfig(
                session_id=SESSION, target_endpoint=target.url, speed_multiplier=speed
            )
            or_raise(await service.start_replay(config))
            status = await over(service)

    pace = Pace.of(status, target, [each.received_unix_nano for each in requests], speed)
    assert target.bodies == [recorded.request for recorded in requests]
    assert pace.took == pytest.approx(recorded_s / speed, abs=BUSY_MACHINE_S), str(pace)
    assert pace.lateness[0] > -BUSY_MACHINE_S, str(pace)
    assert pace.lateness[-1] < BUSY_MACHINE_S, str(pace)


@pytest.mark.slow
@pytest.mark.shared_data
async def test_a_real_capture_takes_its_time_within_a_tenth_of_a_second(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened_memory() as storage, open_target() as target:
        capture = shared_data / "otlp/otel-tui/test_data.json"
        or_raise(await import_file(storage, SYSTEM_CLOCK, capture, SESSION))
        refs = in_order(or_raise(await index_session(storage, SESSION)))
        async with opened_service(storage, SYSTEM_CLOCK) as service:
            config = ReplayConfig(session_id=SESSION, target_endpoint=target.url)
            or_raise(await service.start_replay(config))
            status = await over(service)

    pace = Pace.of(status, target, [ref.frame.received_unix_nano for ref in refs], 1)
    with capsys.disabled():
        print(f"\n{pace}")  # noqa: T201 - the figure is what one runs this for
    assert status.delivery == DeliveryCounts(delivered=97)
    assert pace.planned == pytest.approx(49.9, abs=0.05)
    assert pace.took == pytest.approx(pace.planned, abs=0.1)
    assert pace.lateness[-1] < 0.1
