"""Record OTLP traffic as sessions in object storage.

The services are wired by tag: see `otlp_capture.layer`. Replay and comparison are in
`otlp_replay`, labels in `annotations`.
"""

from otlp_capture.capture import CaptureConfig as CaptureConfig
from otlp_capture.capture import CapturedDataReference as CapturedDataReference
from otlp_capture.capture import CaptureError as CaptureError
from otlp_capture.capture import CaptureSettings as CaptureSettings
from otlp_capture.capture import OtlpCaptureService as OtlpCaptureService
from otlp_capture.capture import OtlpCaptureServiceLive as OtlpCaptureServiceLive
from otlp_capture.capture import OtlpCaptureServiceTag as OtlpCaptureServiceTag
from otlp_capture.capture import RingConfig as RingConfig
from otlp_capture.capture import RingStatus as RingStatus
from otlp_capture.capture import capture_service as capture_service
from otlp_capture.clock import Clock as Clock
from otlp_capture.clock import ClockTag as ClockTag
from otlp_capture.clock import SystemClock as SystemClock
from otlp_capture.forward import Forwarding as Forwarding
from otlp_capture.forward import ForwardSettings as ForwardSettings
from otlp_capture.forward import open_forwarding as open_forwarding
from otlp_capture.forward import parse_destination as parse_destination
from otlp_capture.interchange import ExportConfig as ExportConfig
from otlp_capture.interchange import export_session as export_session
from otlp_capture.interchange import import_file as import_file
from otlp_capture.interchange import import_folder as import_folder
from otlp_capture.interchange import import_objects as import_objects
from otlp_capture.layer import Layer as Layer
from otlp_capture.layer import Miswired as Miswired
from otlp_capture.layer import Scope as Scope
from otlp_capture.layer import Tag as Tag
from otlp_capture.layer import merge as merge
from otlp_capture.layer import open_runtime as open_runtime
from otlp_capture.layer import plan as plan
from otlp_capture.layer import provide as provide
from otlp_capture.layer import scoped as scoped
from otlp_capture.layer import stub as stub
from otlp_capture.layer import succeed as succeed
from otlp_capture.layer import wire as wire
from otlp_capture.otlp import Signal as Signal
from otlp_capture.receiver import AccessSettings as AccessSettings
from otlp_capture.receiver import GrpcReceiverSettings as GrpcReceiverSettings
from otlp_capture.receiver import HttpReceiver as HttpReceiver
from otlp_capture.receiver import HttpReceiverSettings as HttpReceiverSettings
from otlp_capture.receiver import Receiver as Receiver
from otlp_capture.receiver import TlsFiles as TlsFiles
from otlp_capture.receiver import exporter_environment as exporter_environment
from otlp_capture.receiver import open_http_receiver as open_http_receiver
from otlp_capture.receiver import open_receiver as open_receiver
from otlp_capture.redaction import Redactor as Redactor
from otlp_capture.redaction import load_redactor as load_redactor
from otlp_capture.result import Failure as Failure
from otlp_capture.result import Outcome as Outcome
from otlp_capture.result import OutcomeFailed as OutcomeFailed
from otlp_capture.result import Success as Success
from otlp_capture.result import or_raise as or_raise
from otlp_capture.retention import CleanupResult as CleanupResult
from otlp_capture.retention import ContinuousRetention as ContinuousRetention
from otlp_capture.retention import LabelRule as LabelRule
from otlp_capture.retention import RetentionPlan as RetentionPlan
from otlp_capture.retention import RetentionPolicy as RetentionPolicy
from otlp_capture.retention import RetentionService as RetentionService
from otlp_capture.retention import RetentionServiceLive as RetentionServiceLive
from otlp_capture.retention import RetentionServiceTag as RetentionServiceTag
from otlp_capture.retention import SessionsRetention as SessionsRetention
from otlp_capture.retention import StorageMetrics as StorageMetrics
from otlp_capture.retention import retention_service as retention_service
from otlp_capture.sessions import CaptureSessionMetadata as CaptureSessionMetadata
from otlp_capture.storage import S3Config as S3Config
from otlp_capture.storage import S3Storage as S3Storage
from otlp_capture.storage import S3StorageTag as S3StorageTag
from otlp_capture.storage import local_storage as local_storage
from otlp_capture.storage import memory_storage as memory_storage
from otlp_capture.storage import s3_storage as s3_storage
from otlp_capture.storage import storage_from_url as storage_from_url
from otlp_capture.upkeep import VerifyReport as VerifyReport
from otlp_capture.upkeep import delete_session as delete_session
from otlp_capture.upkeep import hold_session as hold_session
from otlp_capture.upkeep import reindex_session as reindex_session
from otlp_capture.upkeep import release_session as release_session
from otlp_capture.upkeep import verify_session as verify_session

__all__ = [
    "AccessSettings",
    "CaptureConfig",
    "CaptureError",
    "CaptureSessionMetadata",
    "CaptureSettings",
    "CapturedDataReference",
    "CleanupResult",
    "Clock",
    "ClockTag",
    "ContinuousRetention",
    "ExportConfig",
    "Failure",
    "ForwardSettings",
    "Forwarding",
    "GrpcReceiverSettings",
    "HttpReceiver",
    "HttpReceiverSettings",
    "LabelRule",
    "Layer",
    "Miswired",
    "OtlpCaptureService",
    "OtlpCaptureServiceLive",
    "OtlpCaptureServiceTag",
    "Outcome",
    "OutcomeFailed",
    "Receiver",
    "Redactor",
    "RetentionPlan",
    "RetentionPolicy",
    "RetentionService",
    "RetentionServiceLive",
    "RetentionServiceTag",
    "RingConfig",
    "RingStatus",
    "S3Config",
    "S3Storage",
    "S3StorageTag",
    "Scope",
    "SessionsRetention",
    "Signal",
    "StorageMetrics",
    "Success",
    "SystemClock",
    "Tag",
    "TlsFiles",
    "VerifyReport",
    "capture_service",
    "delete_session",
    "export_session",
    "exporter_environment",
    "hold_session",
    "import_file",
    "import_folder",
    "import_objects",
    "load_redactor",
    "local_storage",
    "memory_storage",
    "merge",
    "open_forwarding",
    "open_http_receiver",
    "open_receiver",
    "open_runtime",
    "or_raise",
    "parse_destination",
    "plan",
    "provide",
    "reindex_session",
    "release_session",
    "retention_service",
    "s3_storage",
    "scoped",
    "storage_from_url",
    "stub",
    "succeed",
    "verify_session",
    "wire",
]
