"""Whether somebody records a session, by what its metadata say."""

from typing import Final

from otlp_capture.clock import unix_nano
from otlp_capture.sessions.metadata import CaptureSessionMetadata

ORPHANED_NS: Final = 60_000_000_000
"""An active session whose recorder has said nothing for so long is nobody's."""


def idle_ns(metadata: CaptureSessionMetadata, now_ns: int) -> int:
    """Return how long ago somebody who records the session has said so."""
    said = unix_nano(metadata.last_checkpoint_time or metadata.start_time)
    return max(now_ns - said, 0)
