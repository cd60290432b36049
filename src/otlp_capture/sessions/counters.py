"""What a session's metadata count, from what its segments hold."""

from collections.abc import Iterable
from typing import Final

import attrs

from otlp_capture.otlp import Signal
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
