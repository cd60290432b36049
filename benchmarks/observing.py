"""What it costs to observe a replay, and a certificate of the machine's bare clock.

`python -m benchmarks.observing` paces 5,000 times at 1,000 a second with nothing to send, prints
the certificate of that, and then what a request costs the certificate and the ledger, and how long
a ledger of a million events is read.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import anyio

from otlp_capture.clock import SYSTEM_CLOCK, moment
from otlp_capture.result import or_raise
from otlp_capture.sessions import Frame, FrameRef, SegmentIndex
from otlp_replay.deliveries import open_ledger, read_ledger, replay_identity
from otlp_replay.events import Event, Settled, Stamps
from otlp_replay.fidelity import Fidelity, certificate, summary_lines

_PACED: Final = 5_000
_EVERY_NS: Final = 1_000_000
_MANY: Final = 1_000_000


async def main() -> None:
    """Print it all."""
    fidelity, started = Fidelity(), moment(SYSTEM_CLOCK.time_ns())
    anchor_ns = SYSTEM_CLOCK.monotonic_ns() + _EVERY_NS
    for event in events(_PACED):
        due_ns = anchor_ns + event.number * _EVERY_NS
        await SYSTEM_CLOCK.sleep_until(due_ns)
        now_ns = SYSTEM_CLOCK.monotonic_ns()
        fidelity.settle(settled(event, Stamps(due_ns, now_ns)))
    held = certificate(
        fidelity,
        replay_id="bare-clock",
        session_ids=("none",),
        target="nowhere",
        speed=1.0,
        planned_requests=_PACED,
        status="completed",
        started_at=started,
        completed_at=moment(SYSTEM_CLOCK.time_ns()),
    )
    put("\n".join(summary_lines(held)))
    put(f"Certificate {_each_us(Fidelity().settle):.1f} us a request")
    with tempfile.TemporaryDirectory(prefix="otlp-ledger-") as folder:
        _ledger(Path(folder) / "ledger")


def put(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")


def _ledger(path: Path) -> None:
    ledger = or_raise(open_ledger(path, replay_id="r", identity=replay_identity({})))

    def both(each: Settled) -> None:
        ledger.intend(each.event)
        ledger.settle(each)

    put(f"Ledger      {_each_us(both):.1f} us a request, intent and result")
    ledger.close()
    began_ns = time.perf_counter_ns()
    prior = or_raise(read_ledger(path))
    took_s = (time.perf_counter_ns() - began_ns) / 1e9
    put(f"            {prior.count('delivered'):,} events read in {took_s:.2f} s")


def _each_us(hear: Callable[[Settled], None]) -> float:
    told = [
        settled(
            event,
            Stamps(
                at_ns := event.number * _EVERY_NS, at_ns + 80_000, at_ns + 90_000, at_ns + 900_000
            ),
        )
        for event in events(_MANY)
    ]
    began_ns = time.perf_counter_ns()
    for each in told:
        hear(each)
    return (time.perf_counter_ns() - began_ns) / 1e3 / _MANY


def events(count: int) -> Iterator[Event]:
    """Yield events of which number, signal and records are asked."""
    segment: Any = SegmentIndex.__new__(SegmentIndex)
    object.__setattr__(segment, "signal", "traces")
    frame: Any = Frame.__new__(Frame)
    object.__setattr__(frame, "record_count", 10)
    ref = FrameRef(segment, frame)
    return (
        Event(number=number, session_id="none", ref=ref, offset_ns=0) for number in range(count)
    )


def settled(event: Event, stamps: Stamps) -> Settled:
    """Return that an event was delivered."""
    return Settled(
        event=event,
        stamps=stamps,
        outcome="delivered",
        record_count=10,
        size_bytes=4_000,
        attempts=1,
        status="200",
    )


if __name__ == "__main__":
    anyio.run(main)
