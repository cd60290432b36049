"""How much a replay moves at full speed: read from a local store, moved in time, and sent.

What counts is the CPU time of the replaying process, all its threads; the server has its own. The
same road without the compiled walk stands beside it, and the bare sender's, which only sends.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from benchmarks.replaying import PROTOCOLS, Shown, Stage, session, staged, table, verdict
from benchmarks.senders import Protocol, Took

_MEGABYTE: Final = 1_000_000
_FLOOR: Final = 150.0
_SIZES: Final = {"100 kB": 100_000, "1 MB": 1_000_000}
_TOTAL_BYTES, _QUICK_TOTAL_BYTES = 600 * _MEGABYTE, 30 * _MEGABYTE
_SHARE_WITHOUT_KERNEL: Final = 0.1

_Compression = Literal["identity", "gzip"]


@attrs.frozen
class _Row:
    size: str
    road: str
    way: str
    took: Took
    raw_bytes: int
    count: int
    floor: float | None = None

    @property
    def megabytes_per_cpu_second(self) -> float:
        return self.raw_bytes / self.took.cpu_s / _MEGABYTE

    @property
    def is_met(self) -> bool:
        return self.floor is None or self.megabytes_per_cpu_second >= self.floor


def go_at_full_speed(directory: Path | None, *, quick: bool) -> Shown:
    """Replay sessions of large requests as fast as a bare server takes them."""
    rows: list[_Row] = []
    for name, size_bytes in _SIZES.items():
        count = (_QUICK_TOTAL_BYTES if quick else _TOTAL_BYTES) // size_bytes
        with session(directory, size_bytes, count) as folder:
            for protocol in PROTOCOLS:
                with staged(folder, size_bytes, count, protocol) as stage:
                    rows += _rows(stage, name, protocol)
    made = table(
        "max: as fast as a bare server takes it, timestamps shifted",
        "requests",
        "road",
        "way",
        numbers=("raw MB/s a core", "MB/s by the clock", "CPU µs a request", "others' share"),
        last="floor",
    )
    for row in rows:
        made.add_row(*_cells(row))
    return Shown(made, [_as_json(row) for row in rows], all(row.is_met for row in rows))


def _rows(stage: Stage, size: str, protocol: Protocol) -> Iterator[_Row]:
    compressions: tuple[_Compression, ...] = ("identity", "gzip")
    for compression in compressions:
        road = f"{protocol}, {compression}"
        has_floor = (protocol, compression) == ("http/protobuf", "identity")
        bare = stage.send_barely(protocol=protocol, is_gzip=compression == "gzip")
        yield _row(stage, size, road, "bare sender of one body", bare)
        took = stage.replay(protocol=protocol, compression=compression)
        row = _row(stage, size, road, "replay", took)
        yield attrs.evolve(row, floor=_FLOOR if has_floor else None)
        if has_floor:
            limit = max(1, round(stage.count * _SHARE_WITHOUT_KERNEL))
            slow = stage.replay(
                protocol=protocol, compression=compression, kernel="python", limit=limit
            )
            yield _row(stage, size, road, "replay without the compiled walk", slow, limit)


def _row(
    stage: Stage, size: str, road: str, way: str, took: Took, count: int | None = None
) -> _Row:
    count = count or stage.count
    return _Row(size, road, way, took, count * len(stage.request), count)


def _cells(row: _Row) -> Iterator[str]:
    yield row.size
    yield row.road
    yield row.way
    yield f"{row.megabytes_per_cpu_second:,.0f}"
    yield f"{row.raw_bytes / row.took.wall_s / _MEGABYTE:,.0f}"
    yield f"{row.took.cpu_s / row.count * 1e6:,.0f}"
    yield f"{row.took.others_share:.0%}"
    yield "" if row.floor is None else verdict(f"{row.floor:g} MB/s", is_met=row.is_met)


def _as_json(row: _Row) -> dict[str, Any]:
    return {
        "requests": row.size,
        "road": row.road,
        "way": row.way,
        "rawBytes": row.raw_bytes,
        "megabytesPerCpuSecond": row.megabytes_per_cpu_second,
        "cpuSeconds": row.took.cpu_s,
        "wallSeconds": row.took.wall_s,
        "othersShare": row.took.others_share,
        "speedFloor": row.floor,
        "meetsSpeed": row.is_met,
    }
