"""Whether a replay keeps time: 1,000 requests a second, beside senders that are no replay.

A thread that does nothing but sleep shows what the machine does to anybody; a loop that sleeps and
sends by the same library shows what an event loop does. Where others were busy meanwhile, a bound
that is missed fails nothing: it says more of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from benchmarks.replaying import PROTOCOLS, Shown, Stage, is_quiet, session, staged, table, verdict
from benchmarks.senders import Pace, Protocol, Took

_SIZE_BYTES: Final = 4_000
_RATE: Final = 1_000.0
_SECONDS, _QUICK_SECONDS = 30, 5
_DRIFT_BELOW_MS: Final = 5.0
_MEDIAN_BELOW_MS: Final = 0.3
_P99_BELOW_MS: Final = 5.0


@attrs.frozen
class _Row:
    protocol: Protocol
    sender: str
    took: Took
    count: int
    is_replay: bool = False

    @property
    def pace(self) -> Pace:
        assert self.took.pace is not None
        return self.took.pace

    @property
    def misses(self) -> list[str]:
        """Which bounds of a replay are missed."""
        bounds = (
            ("drift", abs(self.pace.end_drift_ms), _DRIFT_BELOW_MS),
            ("median", self.pace.median_ms, _MEDIAN_BELOW_MS),
            ("p99", self.pace.p99_ms, _P99_BELOW_MS),
        )
        return [name for name, value, bound in bounds if self.is_replay and value >= bound]

    @property
    def is_met(self) -> bool:
        return not self.misses or not is_quiet(self.took)


def keep_pace(directory: Path | None, *, quick: bool) -> Shown:
    """Replay a session at its own pace, normally and precisely, over HTTP and gRPC."""
    count = round(_RATE * (_QUICK_SECONDS if quick else _SECONDS))
    rows: list[_Row] = []
    with session(directory, _SIZE_BYTES, count, _RATE) as folder:
        for protocol in PROTOCOLS:
            with staged(folder, _SIZE_BYTES, count, protocol) as stage:
                rows += _rows(stage, protocol)
    made = table(
        f"pace: {count:,} requests of 4 kB, {_RATE:,.0f} a second",
        "protocol",
        "sender",
        numbers=(
            "end drift ms",
            "lateness median ms",
            "p99 ms",
            "worst ms",
            "CPU µs a request",
            "others' share",
        ),
        last=f"{_DRIFT_BELOW_MS:g}, {_MEDIAN_BELOW_MS:g} and {_P99_BELOW_MS:g} ms",
    )
    for row in rows:
        made.add_row(*_cells(row))
    return Shown(made, [_as_json(row) for row in rows], all(row.is_met for row in rows))


def _rows(stage: Stage, protocol: Protocol) -> Iterator[_Row]:
    sleeper = stage.send_barely(protocol="nothing", rate=_RATE)
    yield _Row(protocol, "a thread that sleeps, and sends nothing", sleeper, stage.count)
    bare = stage.send_barely(protocol=protocol, rate=_RATE)
    yield _Row(protocol, "a loop that sleeps and sends", bare, stage.count)
    for precision in ("normal", "high"):
        took = stage.replay(protocol=protocol, speed=1.0, precision=precision, is_heard=True)
        yield _Row(protocol, f"replay, precision {precision}", took, stage.count, is_replay=True)


def _cells(row: _Row) -> Iterator[str]:
    pace = row.pace
    yield row.protocol
    yield row.sender
    yield from (
        f"{value:.3f}" for value in (pace.end_drift_ms, pace.median_ms, pace.p99_ms, pace.worst_ms)
    )
    yield f"{row.took.cpu_s / row.count * 1e6:,.0f}"
    yield f"{row.took.others_share:.0%}"
    yield _judged(row)


def _judged(row: _Row) -> str:
    if not row.is_replay:
        return "reference"
    if not row.misses:
        return verdict("all", is_met=True)
    missed = ", ".join(row.misses)
    if is_quiet(row.took):
        return verdict(missed, is_met=False)
    return f"[yellow]{missed} missed, but others were busy[/]"


def _as_json(row: _Row) -> dict[str, Any]:
    return {
        "protocol": row.protocol,
        "sender": row.sender,
        "requests": row.count,
        "endDriftMilliseconds": row.pace.end_drift_ms,
        "medianMilliseconds": row.pace.median_ms,
        "p99Milliseconds": row.pace.p99_ms,
        "worstMilliseconds": row.pace.worst_ms,
        "cpuSeconds": row.took.cpu_s,
        "wallSeconds": row.took.wall_s,
        "othersShare": row.took.others_share,
        "isQuiet": is_quiet(row.took),
        "missed": row.misses,
    }
