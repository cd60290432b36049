"""What a session's metadata count, from what its segments hold."""

from collections.abc import Iterable
from typing import Final

import attrs

from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.sessions.frames import Frame
from otlp_capture.sessions.manifest import SegmentIndex
from otlp_capture.sessions.metadata import CaptureSessionMetadata, RecordCounts

_COUNTER: Final[dict[Signal, str]] = {
    "traces": "captured_traces",
    "metrics": "captured_metrics",
    "logs": "captured_logs",
}
_RECORDS: Final[dict[Signal, str]] = {
    "traces": "spans",
    "metrics": "data_points",
    "logs": "log_records",
}


def counted(
    metadata: CaptureSessionMetadata, segments: Iterable[SegmentIndex]
) -> CaptureSessionMetadata:
    """Add what *segments* hold to the counters of *metadata*."""
    for segment in segments:
        frames, signal = segment.frames, segment.signal
        records = metadata.record_counts
        name = _RECORDS[signal]
        total = getattr(records, name) + sum(frames.column("record_count"))
        metadata = attrs.evolve(
            metadata,
            **{_COUNTER[signal]: getattr(metadata, _COUNTER[signal]) + len(frames)},
            total_size_bytes=metadata.total_size_bytes + segment.size_bytes,
            total_raw_bytes=metadata.total_raw_bytes + sum(frames.column("raw_size_bytes")),
            record_counts=attrs.evolve(records, **{name: total}),
        )
    return metadata


class LiveCounts:
    """What has come into a session since its metadata were read: counted at each request."""

    def __init__(self) -> None:
        self.requests = dict.fromkeys(SIGNALS, 0)
        self.records = dict.fromkeys(SIGNALS, 0)
        self.size_bytes = self.raw_bytes = 0

    def add(self, signal: Signal, frame: Frame) -> None:
        """Count a request."""
        self.requests[signal] += 1
        self.records[signal] += frame.record_count
        self.size_bytes += frame.size_bytes
        self.raw_bytes += frame.raw_size_bytes

    def over(self, metadata: CaptureSessionMetadata) -> CaptureSessionMetadata:
        """Add what was counted to the counters of *metadata*."""
        counters = {
            name: getattr(metadata, name) + self.requests[signal]
            for signal, name in _COUNTER.items()
        }
        records = {
            name: getattr(metadata.record_counts, name) + self.records[signal]
            for signal, name in _RECORDS.items()
        }
        return attrs.evolve(
            metadata,
            **counters,
            record_counts=RecordCounts(**records),
            total_size_bytes=metadata.total_size_bytes + self.size_bytes,
            total_raw_bytes=metadata.total_raw_bytes + self.raw_bytes,
        )


def uncounted(metadata: CaptureSessionMetadata) -> CaptureSessionMetadata:
    """Set the counters of *metadata* to zero."""
    return attrs.evolve(
        metadata,
        captured_traces=0,
        captured_metrics=0,
        captured_logs=0,
        total_size_bytes=0,
        total_raw_bytes=0,
        record_counts=RecordCounts(),
    )
