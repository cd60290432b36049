"""A segment while it grows: frames of one signal, back to back."""

import attrs

from otlp_capture.otlp import RequestFacts, Signal
from otlp_capture.sessions.frames import Arrival, Frame
from otlp_capture.sessions.keys import new_segment_key
from otlp_capture.sessions.manifest import FrameTable, SegmentIndex, segment_checksum


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


@attrs.frozen
class SealedSegment:
    """A segment that will not grow any more, and its index."""

    content: bytes
    index: SegmentIndex


class OpenSegment:
    """Frames of one signal under a key that the first of them dates.

    Args:
        session_id: whose segment it is.
        first: the frame that it begins with; it is not added yet.
    """

    def __init__(self, session_id: str, first: NewFrame) -> None:
        self.signal: Signal = first.signal
        self.key = new_segment_key(session_id, first.signal, first.arrival.received_unix_nano)
        self.size_bytes = 0
        self._members: list[bytes] = []
        self._frames = FrameTable()
        self._services: set[str] = set()

    def add(self, new: NewFrame) -> KeptFrame:
        """Lay *new* behind the others, and say where it lies."""
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
        self._members.append(new.member)
        self._frames.append(frame)
        self._services.update(new.facts.services)
        self.size_bytes += len(new.member)
        return KeptFrame(self.key, frame)

    def seal(self) -> SealedSegment:
        """Return the whole segment."""
        content = b"".join(self._members)
        index = SegmentIndex(
            key=self.key,
            signal=self.signal,
            size_bytes=len(content),
            checksum=segment_checksum(content),
            services=tuple(sorted(self._services)),
            frames=self._frames,
        )
        return SealedSegment(content, index)
