"""The derived index of a session: its segments, and the frames inside them, in columns.

It is never needed for truth: rebuilding it from the segments changes nothing.
Source: docs/storage-format.md.
"""

import json
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final, cast

import attrs

from otlp_capture import otlp
from otlp_capture.deflate import crc32, deflate, header, inflate, trailer
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.frame_reading import read_frames
from otlp_capture.sessions.frames import STORED_LIMITS, Frame, SegmentCorrupted
from otlp_capture.sessions.keys import parse_segment_key

_VERSION: Final = 1
_MAX_BYTES: Final = 1 << 30
_SIGNALS: Final[dict[str, Signal]] = {signal: signal for signal in SIGNALS}
_COLUMNS: Final = {
    "offset": "offset",
    "size": "size_bytes",
    "rawSize": "raw_size_bytes",
    "recordCount": "record_count",
    "arrival": "received_unix_nano",
    "sequence": "sequence",
    "minTime": "min_time_unix_nano",
    "maxTime": "max_time_unix_nano",
}


@attrs.frozen
class ManifestCorrupted:
    """A part of a manifest cannot be read; its session can be read without it."""

    key: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and where."""
        return f"{self.key} is not part of a manifest: {self.reason}. Delete it: it is derived."


class FrameTable:  # noqa: PLW1641 - a table grows, so it has no hash
    """The frames of one segment, eight 64-bit columns: a million frames take 64 MB."""

    def __init__(self, frames: Iterable[Frame] = ()) -> None:
        self._columns = {name: array("Q") for name in _COLUMNS.values()}
        for frame in frames:
            self.append(frame)

    def append(self, frame: Frame) -> None:
        """Add *frame* behind the others."""
        for name, column in self._columns.items():
            column.append(getattr(frame, name))

    def column(self, name: str) -> "array[int]":
        """Return the column of the `Frame` attribute *name*."""
        return self._columns[name]

    def __len__(self) -> int:
        return len(self._columns["offset"])

    def __getitem__(self, row: int) -> Frame:
        return Frame(**{name: column[row] for name, column in self._columns.items()})

    def __iter__(self) -> Iterator[Frame]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameTable) and self._columns == other._columns

    def __repr__(self) -> str:
        return f"FrameTable({list(self)!r})"

    def to_json(self) -> dict[str, list[int]]:
        """Return the columns under their names in the manifest."""
        return {camel: self._columns[name].tolist() for camel, name in _COLUMNS.items()}

    @classmethod
    def from_json(cls, columns: dict[str, list[int]]) -> "FrameTable":
        """Read the columns.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: they are no such columns.
        """
        table = cls()
        table._columns = {name: array("Q", columns[camel]) for camel, name in _COLUMNS.items()}
        if len({len(column) for column in table._columns.values()}) != 1:
            raise ValueError("the columns differ in length")
        return table


@attrs.frozen
class SegmentIndex:
    """What the manifest knows of one segment.

    Attributes:
        key: where it lies.
        signal: what its requests are.
        size_bytes: the size of the whole object, a torn tail included.
        checksum: `crc32:` and eight hex digits, over the whole object.
        services: the `service.name` of its resources, sorted.
        frames: its frames, as they lie.
    """

    key: str
    signal: Signal
    size_bytes: int
    checksum: str
    services: tuple[str, ...]
    frames: FrameTable


@attrs.frozen
class IndexedSegment:
    """A segment's index, and where the segment stops making sense, if it does."""

    index: SegmentIndex
    damage: SegmentCorrupted | None = None


def index_segment(
    key: str, segment: bytes, signal: Signal, fallback_unix_nano: int
) -> IndexedSegment:
    """Read a whole segment and index the frames that are sound.

    Args:
        key: where it lies.
        segment: its bytes.
        signal: what its requests are.
        fallback_unix_nano: the arrival of members that other writers left without facts.
    """
    frames, services = FrameTable(), set[str]()
    damage: SegmentCorrupted | None = None
    for found in read_frames(key, segment, signal, fallback_unix_nano):
        if isinstance(found, Failure):
            damage = found.failure()
            break
        stored = found.unwrap()
        frames.append(stored.frame)
        services.update(_services(stored.request, signal))
    checksum = segment_checksum(segment)
    index = SegmentIndex(key, signal, len(segment), checksum, tuple(sorted(services)), frames)
    return IndexedSegment(index, damage)


def _services(request: bytes, signal: Signal) -> tuple[str, ...]:
    scanned = otlp.scan(request, signal, limits=STORED_LIMITS)
    return scanned.unwrap().services if isinstance(scanned, Success) else ()


def segment_checksum(segment: bytes) -> str:
    """Return the checksum of a whole segment as the manifest writes it."""
    return checksum_text(crc32(segment))


def checksum_text(crc: int) -> str:
    """Return a CRC-32 as the manifest writes it.

    >>> checksum_text(255)
    'crc32:000000ff'
    """
    return f"crc32:{crc:08x}"


def encode_manifest(segments: Iterable[SegmentIndex]) -> bytes:
    """Write one part of a manifest: gzip over JSON, the segments in the order of their keys."""
    document = {
        "schemaVersion": _VERSION,
        "segments": [
            {
                "key": segment.key,
                "signal": segment.signal,
                "sizeBytes": segment.size_bytes,
                "checksum": segment.checksum,
                "services": list(segment.services),
                "frames": segment.frames.to_json(),
            }
            for segment in sorted(segments, key=lambda segment: segment.key)
        ],
    }
    raw = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return header() + deflate(raw) + trailer(raw)


def decode_manifest(key: str, part: bytes) -> Outcome[tuple[SegmentIndex, ...], ManifestCorrupted]:
    """Read one part of a manifest.

    Args:
        key: where it was read, for the message of an error.
        part: its bytes.

    Fails with:
        ManifestCorrupted: it is damaged, or of another version.
    """
    inflated = inflate(part, max_bytes=_MAX_BYTES)
    if isinstance(inflated, Failure):
        return Failure(ManifestCorrupted(key, inflated.failure().message))
    try:
        text = str(inflated.unwrap().raw, "utf-8")
        # Of a large part neither the bytes nor all of its numbers are held beside the text.
        del inflated
        document = json.loads(text, object_hook=_as_table)
        if document["schemaVersion"] != _VERSION:
            reason = f"its version is {document['schemaVersion']!r}; this reads {_VERSION}"
            return Failure(ManifestCorrupted(key, reason))
        return Success(tuple(_segment_index(entry) for entry in document["segments"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        return Failure(ManifestCorrupted(key, f"{type(error).__name__}: {error}"))


def _as_table(found: dict[str, Any]) -> "dict[str, Any] | FrameTable":
    """Make a table of the frames of a segment as soon as they are read."""
    return FrameTable.from_json(found) if found.keys() >= _COLUMNS.keys() else found


def _table(found: "FrameTable | dict[str, list[int]]") -> FrameTable:
    return found if isinstance(found, FrameTable) else FrameTable.from_json(found)


def _segment_index(entry: dict[str, Any]) -> SegmentIndex:
    segment = SegmentIndex(
        key=str(entry["key"]),
        signal=_SIGNALS[entry["signal"]],
        size_bytes=int(entry["sizeBytes"]),
        checksum=str(entry["checksum"]),
        services=tuple(str(service) for service in cast("list[Any]", entry["services"])),
        frames=_table(entry["frames"]),
    )
    columns = segment.frames.column("offset"), segment.frames.column("size_bytes")
    if any(
        not size or offset + size > segment.size_bytes
        for offset, size in zip(*columns, strict=True)
    ):
        raise ValueError(f"a frame lies outside of {segment.key}")
    return segment


def by_hour(segments: Iterable[SegmentIndex]) -> dict[str, list[SegmentIndex]]:
    """Group segments by their hour folder, `YYYY-MM-DD/HH`, as the manifest's parts are."""
    hours: dict[str, list[SegmentIndex]] = {}
    for segment in segments:
        name = parse_segment_key(segment.key)
        assert name is not None, "it was found, or made, under such a key"
        hours.setdefault(name.hour, []).append(segment)
    return hours
