"""A segment while it grows: frames of one signal, back to back."""

import attrs

from otlp_capture.deflate import crc32
from otlp_capture.otlp import RequestFacts, Signal
from otlp_capture.sessions.frames import Arrival, Frame
from otlp_capture.sessions.keys import new_segment_key
from otlp_capture.sessions.manifest import FrameTable, SegmentIndex, checksum_text


@attrs.frozen
class NewFrame:
    """An encoded frame on its way into a segment.

    Attributes:
        signal: what its request is.
        member: the gzip member.
        raw_size_bytes: how long the request is.
        facts: what was found in the request.
        arrival: when it came.
    """

    signal: Signal
    member: bytes
    raw_size_bytes: int
    facts: RequestFacts
    arrival: Arrival


@attrs.frozen
class KeptFrame:
    """Where a frame came to lie."""

    key: str
    frame: Frame


class SegmentTally:
    """What is known of a segment while it grows: all but its bytes.

    Args:
        session_id: whose segment it is.
        first: the frame that it begins with, which dates its key; it is not added yet.
    """

    def __init__(self, session_id: str, first: NewFrame) -> None:
        self.signal: Signal = first.signal
        self.key = new_segment_key(session_id, first.signal, first.arrival.received_unix_nano)
        self.size_bytes = 0
        self._crc = 0
        self._frames = FrameTable()
        self._services: set[str] = set()

    def add(self, new: NewFrame) -> KeptFrame:
        """Count *new* behind the others, and say where it lies."""
        frame = Frame(
            offset=self.size_bytes,
            size_bytes=len(new.member),
            raw_size_bytes=new.raw_size_bytes,
            record_count=new.facts.record_count,
            received_unix_nano=new.arrival.received_unix_nano,
            sequence=new.arrival.sequence,
            min_time_unix_nano=new.facts.min_time_unix_nano,
            max_time_unix_nano=new.facts.max_time_unix_nano,
        )
        self._frames.append(frame)
        self._services.update(new.facts.services)
        self._crc = crc32(new.member, self._crc)
        self.size_bytes += len(new.member)
        return KeptFrame(self.key, frame)

    def index(self) -> SegmentIndex:
        """Return the segment's index as it stands."""
        return SegmentIndex(
            key=self.key,
            signal=self.signal,
            size_bytes=self.size_bytes,
            checksum=checksum_text(self._crc),
            services=tuple(sorted(self._services)),
            frames=self._frames,
        )


@attrs.frozen
class SealedSegment:
    """A segment that will not grow any more, and its index."""

    content: bytes
    index: SegmentIndex


class OpenSegment(SegmentTally):
    """Frames of one signal in memory, under a key that the first of them dates.

    Args:
        session_id: whose segment it is.
        first: the frame that it begins with; it is not added yet.
    """

    def __init__(self, session_id: str, first: NewFrame) -> None:
        super().__init__(session_id, first)
        self._members: list[bytes] = []

    def add(self, new: NewFrame) -> KeptFrame:
        """Lay *new* behind the others, and say where it lies."""
        self._members.append(new.member)
        return super().add(new)

    def seal(self) -> SealedSegment:
        """Return the whole segment."""
        return SealedSegment(b"".join(self._members), self.index())
