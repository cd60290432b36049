"""Recording: the service that keeps export requests in sessions."""

from otlp_capture.capture.errors import CaptureError as CaptureError
from otlp_capture.capture.errors import CompressionFailure as CompressionFailure
from otlp_capture.capture.errors import InvalidConfig as InvalidConfig
from otlp_capture.capture.errors import SessionAlreadyActive as SessionAlreadyActive
from otlp_capture.capture.errors import SessionEnded as SessionEnded
from otlp_capture.capture.errors import SignalNotEnabled as SignalNotEnabled
from otlp_capture.capture.errors import StorageFailure as StorageFailure
from otlp_capture.capture.errors import (
    UnsupportedContentEncoding as UnsupportedContentEncoding,
)
from otlp_capture.capture.intake import Witness as Witness
from otlp_capture.capture.model import CaptureConfig as CaptureConfig
from otlp_capture.capture.model import CapturedDataReference as CapturedDataReference
from otlp_capture.capture.model import CaptureSettings as CaptureSettings
from otlp_capture.capture.model import Durability as Durability
from otlp_capture.capture.model import SpoolStatus as SpoolStatus
from otlp_capture.capture.protocol import OtlpCaptureService as OtlpCaptureService
from otlp_capture.capture.protocol import OtlpCaptureServiceTag as OtlpCaptureServiceTag
from otlp_capture.capture.ring import RingConfig as RingConfig
from otlp_capture.capture.ring import RingStatus as RingStatus
from otlp_capture.capture.service import OtlpCaptureServiceLive as OtlpCaptureServiceLive
from otlp_capture.capture.service import capture_service as capture_service

__all__ = [
    "CaptureConfig",
    "CaptureError",
    "CaptureSettings",
    "CapturedDataReference",
    "CompressionFailure",
    "Durability",
    "InvalidConfig",
    "OtlpCaptureService",
    "OtlpCaptureServiceLive",
    "OtlpCaptureServiceTag",
    "RingConfig",
    "RingStatus",
    "SessionAlreadyActive",
    "SessionEnded",
    "SignalNotEnabled",
    "SpoolStatus",
    "StorageFailure",
    "UnsupportedContentEncoding",
    "Witness",
    "capture_service",
]
