"""The counters of a session, by their names in its document."""

from collections.abc import Mapping
from typing import Any, Final, cast

from otlp_capture.sessions import CaptureSessionMetadata, metadata_document

_COUNTERS: Final = (
    "capturedTraces",
    "capturedMetrics",
    "capturedLogs",
    "totalSizeBytes",
    "totalRawBytes",
)
_RECORDS: Final = ("spans", "dataPoints", "logRecords")


def counters(metadata: CaptureSessionMetadata) -> dict[str, int]:
    """Return the counters of *metadata* under their names in the document."""
    return stated_counters(metadata_document(metadata))


def stated_counters(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the counters that a document states; other writers leave out some."""
    records = document.get("recordCounts")
    parts = cast("dict[str, Any]", records) if isinstance(records, dict) else {}
    found = {name: document.get(name) for name in _COUNTERS}
    found |= {f"recordCounts.{name}": parts.get(name) for name in _RECORDS}
    return {name: value for name, value in found.items() if isinstance(value, int)}
