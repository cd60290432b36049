"""Speeds, loops, copies, windows and pauses together: each request leaves when it is to.

What is planned is worked out here once more, in fractions, by the words of docs/semantics.md.
"""

from fractions import Fraction
from itertools import product
from math import floor

import attrs
import pytest

from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage
from otlp_replay import After, DeliveryCounts
from tests.replays import SESSION, interleaved
from tests.sessions import SECOND, START, Recorded, write_session
from tests.virtual_replays import virtual_replay

pytestmark = pytest.mark.anyio

_GAPS_NS = [0, 1, 999_999_999, 250_000_003, 0, 3 * SECOND, 700_000_000, 10 * SECOND, 5, 400_000_000]


def recorded() -> list[Recorded]:
    arrivals, now = [], START
    for gap_ns in (_GAPS_NS * 2)[:12]:
        now += gap_ns
        arrivals.append(now)
    return [Recorded(*each, at) for each, at in zip(interleaved(4), arrivals, strict=True)]


@attrs.frozen
class Plan:
    """One point of the grid."""

    speed: float
    loops: int
    copies: int
    window: tuple[After | None, After | None]
    pause_s: tuple[float, float] | None
    max_gap_s: float | None

    def line(self, arrivals: list[int]) -> list[int]:
        """Return where the requests of a loop lie."""
        start, end = self.window
        first = START + (start.ns if start else 0)
        last = arrivals[-1] + (end.ns if end else 1)
        line, before, cut = list[int](), first, 0
        for arrival in arrivals:
            if first <= arrival < last:
                if self.max_gap_s is not None:
                    cut += max(0, arrival - before - round(self.max_gap_s * SECOND))
                line.append(arrival - first - cut)
                before = arrival
        return line

    def planned(self, arrivals: list[int]) -> list[int]:
        """Return when each request is due, on a clock that begins with the replay."""
        line, speed = self.line(arrivals), Fraction(str(self.speed))
        span = line[-1] - line[0]
        period = span + span // (len(line) - 1)
        places = [loop * period + place for loop in range(self.loops) for place in line]
        due = [floor(place / speed) for place in places]
        if self.pause_s is not None:
            at_ns, long_ns = (round(each * SECOND) for each in self.pause_s)
            here = floor(at_ns * speed)
            due = [
                at if at <= at_ns else at_ns + long_ns + floor((place - here) / speed)
                for at, place in zip(due, places, strict=True)
            ]
        return [at for at in due for _ in range(self.copies)]


WINDOWS = [(None, None), (After(SECOND), None), (After(500_000_000), After(-SECOND))]


@pytest.mark.parametrize("max_gap_s", [None, 2.0])
@pytest.mark.parametrize("speed", [0.3, 1, 7, 1000])
async def test_each_request_leaves_when_it_is_planned(
    memory: S3Storage, speed: float, max_gap_s: float | None
) -> None:
    requests = recorded()
    await write_session(memory, SESSION, requests)
    arrivals = [each.received_unix_nano for each in requests]
    for loops, copies, window, pause_s in product(
        (1, 3), (1, 2), WINDOWS, (None, (1.5 / speed, 3600.0))
    ):
        plan = Plan(speed, loops, copies, window, pause_s, max_gap_s)
        async with virtual_replay(
            memory,
            speed_multiplier=speed,
            loops=loops,
            copies=copies,
            replay_from=window[0],
            replay_until=window[1],
            max_gap_s=max_gap_s,
        ) as replay:
            if pause_s is not None:
                await replay.until(pause_s[0])
                assert or_raise(await replay.service.pause(SESSION)).is_paused
                await replay.until(sum(pause_s))
                assert not or_raise(await replay.service.resume(SESSION)).is_paused
            status = await replay.run_out()

        expected = plan.planned(arrivals)
        assert replay.noting.dispatched == [
            (number, due, due) for number, due in enumerate(expected)
        ], plan
        count = len(expected)
        assert (status.status, status.total_records) == ("completed", count), plan
        assert status.delivery == status.delivery_records == DeliveryCounts(delivered=count), plan


async def test_a_session_of_an_hour_is_replayed_in_seconds(memory: S3Storage) -> None:
    requests = [
        Recorded(*each, START + number * SECOND) for number, each in enumerate(interleaved(1_200))
    ]
    await write_session(memory, SESSION, requests, requests_per_segment=500)
    async with virtual_replay(memory) as replay:
        status = await replay.run_out()

    due = [number * SECOND for number in range(3_600)]
    assert replay.noting.dispatched == [(number, at, at) for number, at in enumerate(due)]
    assert status.delivery == DeliveryCounts(delivered=3_600)
