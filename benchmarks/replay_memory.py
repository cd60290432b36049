"""How much memory a replay takes of a session that is much larger."""

from pathlib import Path
from typing import Any, Final

from benchmarks.replaying import Shown, session, staged, table, verdict

_MEGABYTE: Final = 1_000_000
_BELOW_BYTES: Final = 200 * _MEGABYTE
_SIZES: Final = {"4 kB": 4_000, "100 kB": 100_000}
_TOTAL_BYTES, _QUICK_TOTAL_BYTES = 2_000 * _MEGABYTE, 100 * _MEGABYTE


def take_memory(directory: Path | None, *, quick: bool) -> Shown:
    """Replay sessions of 2 GB at full speed, and say how much was resident at the most."""
    made = table(
        "replay-memory: at full speed",
        "session",
        numbers=("most resident MB", "CPU µs a request", "wall s"),
        last="bound",
    )
    rows: list[dict[str, Any]] = []
    for name, size_bytes in _SIZES.items():
        count = (_QUICK_TOTAL_BYTES if quick else _TOTAL_BYTES) // size_bytes
        with (
            session(directory, size_bytes, count) as folder,
            staged(folder, size_bytes, count, "http/protobuf") as stage,
        ):
            took = stage.replay()
            raw_bytes = count * len(stage.request)
        is_met = took.peak_bytes < _BELOW_BYTES
        made.add_row(
            f"{raw_bytes / 1e9:.1f} GB, {count:,} requests of {name}",
            f"{took.peak_bytes / _MEGABYTE:,.0f}",
            f"{took.cpu_s / count * 1e6:,.0f}",
            f"{took.wall_s:,.0f}",
            verdict(f"{_BELOW_BYTES // _MEGABYTE} MB", is_met=is_met),
        )
        row = {"requests": count, "rawBytes": raw_bytes, "peakMemoryBytes": took.peak_bytes}
        times = {"cpuSeconds": took.cpu_s, "wallSeconds": took.wall_s}
        rows.append({**row, **times, "boundBytes": _BELOW_BYTES, "meetsBound": is_met})
    return Shown(made, rows, all(row["meetsBound"] for row in rows))
