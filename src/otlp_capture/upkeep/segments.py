"""One segment, looked through frame by frame, a window at a time."""

from array import array
from collections.abc import Callable
from typing import Final

import anyio.to_thread
import attrs

from otlp_capture import otlp
from otlp_capture.deflate import crc32
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    STORED_LIMITS,
    Frame,
    FrameTable,
    SegmentCorrupted,
    SegmentIndex,
    SegmentName,
    has_facts,
    index_frames,
    open_frame,
)
from otlp_capture.storage import ByteRange, S3Storage, StorageError, StoredObject
from otlp_capture.upkeep.findings import FindingKind, FindingsLog

_WINDOW_BYTES: Final = 16 << 20
_LONGEST_FRAME_BYTES: Final = 2 * STORED_LIMITS.max_bytes


@attrs.frozen
class Places:
    """Where the frames lie that have a sequence number: a column each, 24 bytes a frame."""

    sequences: "array[int]" = attrs.field(factory=lambda: array("Q"))
    arrivals: "array[int]" = attrs.field(factory=lambda: array("Q"))
    offsets: "array[int]" = attrs.field(factory=lambda: array("Q"))


@attrs.frozen
class InspectedSegment:
    """What a segment holds.

    Attributes:
        index: its index; of a damaged one, the frames before the damage.
        is_sound: whether it makes sense to its end.
        frames: how many frames can be read, also behind a damaged one.
        foreign_frames: how many of them other writers have left, without facts of their arrival.
        places: where the others lie.
    """

    index: SegmentIndex
    is_sound: bool
    frames: int
    foreign_frames: int
    places: Places


async def inspect_segment(
    storage: S3Storage,
    stored: StoredObject,
    name: SegmentName,
    log: FindingsLog,
    *,
    read: Callable[[int], None],
    window_bytes: int = _WINDOW_BYTES,
) -> Outcome[InspectedSegment, StorageError]:
    """Look through a segment; memory is bounded by a window, or by its largest frame.

    Args:
        storage: where it is.
        stored: the object.
        name: what its key says.
        log: takes what is found.
        read: told how many bytes more have been looked through.
        window_bytes: how much is read at once, where the segment is larger.

    Fails with:
        StorageError: the store did not answer well.
    """
    fallback_ns = stored.modified_unix_nano
    if name.timestamp_ms is not None:
        fallback_ns = name.timestamp_ms * 1_000_000
    walk = _Walk(stored.key, name.signal, fallback_ns, log)
    at, size, window = 0, stored.size_bytes, window_bytes
    while at < size:
        within = ByteRange(at, window) if at or window < size else None
        content = await storage.retrieve_raw_data(stored.key, byte_range=within)
        if isinstance(content, Failure):
            return content
        is_last = at + len(content.unwrap()) >= size or window >= _LONGEST_FRAME_BYTES
        reached = await anyio.to_thread.run_sync(walk.take, content.unwrap(), at, is_last)
        read(reached - at)
        window = window_bytes if reached > at else 2 * window
        at = reached
    return Success(walk.inspected(size))


class _Walk:
    """Goes through a segment's bytes, which come in windows that begin where it asks for."""

    def __init__(self, key: str, signal: Signal, fallback_ns: int, log: FindingsLog) -> None:
        self._key, self._fallback_ns = key, fallback_ns
        self._signal: Signal = signal
        self._log = log
        self._crc = 0
        self._is_sound, self._is_lost = True, False
        self._table, self._services = FrameTable(), set[str]()
        self._frames, self._foreign = 0, 0
        self._places = Places()

    def take(self, window: bytes, start: int, is_last: bool) -> int:  # noqa: FBT001 - a thread is handed positions
        """Look through a window, and return where the next one has to begin."""
        view = memoryview(window)
        end = len(view) if self._is_lost else self._walked(view, start, is_last=is_last)
        self._crc = crc32(view[:end], self._crc)
        return start + end

    def inspected(self, size_bytes: int) -> InspectedSegment:
        """Return what was found, at the end."""
        services = tuple(sorted(self._services))
        checksum = f"crc32:{self._crc:08x}"
        index = SegmentIndex(self._key, self._signal, size_bytes, checksum, services, self._table)
        return InspectedSegment(index, self._is_sound, self._frames, self._foreign, self._places)

    def _walked(self, view: memoryview, start: int, *, is_last: bool) -> int:
        for found in index_frames(self._key, view, self._signal, self._fallback_ns):
            if isinstance(found, Failure):
                damage = found.failure()
                if damage.part == "tail" and not is_last:
                    return damage.offset
                kind: FindingKind = "tornTail" if damage.part == "tail" else _kind(damage)
                left = len(view) - damage.offset
                detail = f"{_reason(damage)}; nothing can be read from here on"
                if is_last:
                    detail += f" ({left:,} bytes)"
                self._damage(kind, start + damage.offset, detail)
                self._is_lost = True
                return len(view)
            frame = found.unwrap()
            self._open(frame, view[frame.offset : frame.offset + frame.size_bytes], start)
        return len(view)

    def _open(self, frame: Frame, member: memoryview, start: int) -> None:
        offset = start + frame.offset
        opened = open_frame(self._key, member, frame, self._signal)
        if isinstance(opened, Failure):
            self._damage(_kind(opened.failure()), offset, _reason(opened.failure()))
            return
        scanned = otlp.scan(opened.unwrap(), self._signal, limits=STORED_LIMITS)
        if isinstance(scanned, Failure):
            self._log.add("unreadableRequest", self._key, offset, scanned.failure().message)
        self._frames += 1
        if has_facts(member):
            self._places.sequences.append(frame.sequence)
            self._places.arrivals.append(frame.received_unix_nano)
            self._places.offsets.append(offset)
        else:
            self._foreign += 1
        if isinstance(scanned, Success):
            self._compare(frame, scanned.unwrap(), offset)
        if self._is_sound:
            self._table.append(attrs.evolve(frame, offset=offset))
            self._services.update(scanned.map(lambda facts: facts.services).value_or(()))

    def _compare(self, frame: Frame, facts: otlp.RequestFacts, offset: int) -> None:
        for what, told, held in (
            ("records", frame.record_count, facts.record_count),
            ("as earliest time", frame.min_time_unix_nano, facts.min_time_unix_nano),
            ("as latest time", frame.max_time_unix_nano, facts.max_time_unix_nano),
        ):
            if told != held:
                detail = f"its header tells {told} {what}, its request has {held}"
                self._log.add("wrongFacts", self._key, offset, detail)

    def _damage(self, kind: FindingKind, offset: int, detail: str) -> None:
        self._is_sound = False
        self._log.add(kind, self._key, offset, detail)


def _kind(damage: SegmentCorrupted) -> FindingKind:
    return "unreadableRequest" if damage.part == "content" else "damagedFrame"


def _reason(damage: SegmentCorrupted) -> str:
    """Return the reason without the place, which counts from the window's beginning."""
    at_zero = damage.reason.removeprefix("the gzip member at byte 0 ")
    return at_zero.removeprefix(f"the gzip member at byte {damage.offset} ").removesuffix(".")
