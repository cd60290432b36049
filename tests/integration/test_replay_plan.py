"""Plans of real captures, and of a session of a million requests."""

from pathlib import Path

import pytest

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage
from otlp_replay import ReplayConfig
from otlp_replay.plan import Amount, plan_replay
from tests.clocks import START, VirtualClock
from tests.memory import mebibytes_for
from tests.replays import SESSION
from tests.sessions import arriving, write_session

pytestmark = pytest.mark.anyio

COUNT = 1_000_000
MANY = f"""
from array import array
from otlp_capture.sessions import FrameTable, SegmentIndex, SessionIndex
from otlp_replay import ReplayConfig
from otlp_replay.plan import TargetWindow, picture_of
from otlp_replay.plan.draft import draft_of
from otlp_replay.plan.planning import plan_of

START, COUNT = 10**18, {COUNT}
spaced = array("Q", range(START, START + COUNT * 1_000_000, 1_000_000))
ones, numbers = array("Q", [1]) * COUNT, array("Q", range(COUNT))
frames = FrameTable.from_json(dict(
    offset=numbers, size=ones, rawSize=ones, recordCount=ones, arrival=spaced, sequence=numbers,
    minTime=spaced, maxTime=spaced,
))
index = SessionIndex((SegmentIndex("key", "logs", COUNT, "", (), frames),))
config = ReplayConfig(session_id="s")
"""


@pytest.mark.shared_data
async def test_real_captures_are_planned_as_they_lie(shared_data: Path, memory: S3Storage) -> None:
    requests: list[tuple[Signal, bytes]] = []
    for path in sorted((shared_data / "otlp" / "otel-proto").rglob("*.json")):
        requests += or_raise(otlp.decode_export_line(path.read_bytes()))
    recorded = arriving(requests)
    await write_session(memory, SESSION, recorded)

    config = ReplayConfig(session_id=SESSION)
    planned = or_raise(await plan_replay(memory, VirtualClock(START), config, dependencies=True))

    assert planned.by_signal == {
        signal: Amount(
            len(own := [request for each, request in requests if each == signal]),
            sum(or_raise(otlp.scan(request, signal)).record_count for request in own),
            sum(map(len, own)),
        )
        for signal in SIGNALS
    }
    assert planned.total.requests == len(requests) > 0
    events = list(planned.schedule.events)
    assert [each.original_timestamp for each in events] == [
        each.received_unix_nano for each in recorded
    ]
    runs = planned.schedule.parallelization_opportunities
    assert runs is not None
    assert [number for run in runs for number in run] == list(range(len(events)))


def test_a_million_requests_are_planned_in_columns() -> None:
    """A tenth of what an object for each request would take, and its attributes."""
    measured = """
plan = plan_of(draft_of({"s": index}, config), config, START, TargetWindow(), None)
assert plan.total.requests == COUNT and picture_of(plan)
"""

    assert mebibytes_for(measured, before=MANY) < 250
