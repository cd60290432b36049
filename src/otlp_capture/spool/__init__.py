"""What was acknowledged and is not published yet: segments on a disk of this machine."""

from otlp_capture.spool.budget import DEFAULT_BUDGET_BYTES as DEFAULT_BUDGET_BYTES
from otlp_capture.spool.budget import SpoolBudget as SpoolBudget
from otlp_capture.spool.claims import SpoolClaim as SpoolClaim
from otlp_capture.spool.folder import SpoolFolder as SpoolFolder
from otlp_capture.spool.folder import open_spool as open_spool
from otlp_capture.spool.folder import waiting_bytes as waiting_bytes
from otlp_capture.spool.health import SpoolHealth as SpoolHealth
from otlp_capture.spool.publishing import Publisher as Publisher
from otlp_capture.spool.recovery import Recovered as Recovered
from otlp_capture.spool.recovery import publish_leftovers as publish_leftovers
from otlp_capture.spool.recovery import quarantine as quarantine
from otlp_capture.spool.recovery import ring_leftovers as ring_leftovers
from otlp_capture.spool.segment import FileSegment as FileSegment
from otlp_capture.spool.segment import MemorySegment as MemorySegment
from otlp_capture.spool.segment import MovedSegment as MovedSegment
from otlp_capture.spool.segment import SealedSegment as SealedSegment
from otlp_capture.spool.segment import SegmentMaker as SegmentMaker
from otlp_capture.spool.shelf import Shelf as Shelf
from otlp_capture.spool.shelf import Shelved as Shelved
from otlp_capture.spool.writer import DEFAULT_PUBLISH_AFTER_S as DEFAULT_PUBLISH_AFTER_S
from otlp_capture.spool.writer import DEFAULT_PUBLISH_BYTES as DEFAULT_PUBLISH_BYTES
from otlp_capture.spool.writer import SpoolWriter as SpoolWriter

__all__ = [
    "DEFAULT_BUDGET_BYTES",
    "DEFAULT_PUBLISH_AFTER_S",
    "DEFAULT_PUBLISH_BYTES",
    "FileSegment",
    "MemorySegment",
    "MovedSegment",
    "Publisher",
    "Recovered",
    "SealedSegment",
    "SegmentMaker",
    "Shelf",
    "Shelved",
    "SpoolBudget",
    "SpoolClaim",
    "SpoolFolder",
    "SpoolHealth",
    "SpoolWriter",
    "open_spool",
    "publish_leftovers",
    "quarantine",
    "ring_leftovers",
    "waiting_bytes",
]
