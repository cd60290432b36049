"""Retention: what a store keeps, for how long, and where the rest goes."""

from otlp_capture.retention.archive import archive_session as archive_session
from otlp_capture.retention.errors import ArchiveConflict as ArchiveConflict
from otlp_capture.retention.errors import ArchiveError as ArchiveError
from otlp_capture.retention.errors import ArchiveIsSource as ArchiveIsSource
from otlp_capture.retention.errors import ArchiveMissing as ArchiveMissing
from otlp_capture.retention.errors import CopyDiffers as CopyDiffers
from otlp_capture.retention.errors import InvalidPolicy as InvalidPolicy
from otlp_capture.retention.errors import PolicyUnreadable as PolicyUnreadable
from otlp_capture.retention.errors import RetentionError as RetentionError
from otlp_capture.retention.model import CleanupError as CleanupError
from otlp_capture.retention.model import CleanupResult as CleanupResult
from otlp_capture.retention.model import ContinuousMetrics as ContinuousMetrics
from otlp_capture.retention.model import PlannedAction as PlannedAction
from otlp_capture.retention.model import Protected as Protected
from otlp_capture.retention.model import RetentionPlan as RetentionPlan
from otlp_capture.retention.model import SessionsMetrics as SessionsMetrics
from otlp_capture.retention.model import StorageMetrics as StorageMetrics
from otlp_capture.retention.policy import ContinuousRetention as ContinuousRetention
from otlp_capture.retention.policy import LabelRule as LabelRule
from otlp_capture.retention.policy import RetentionPolicy as RetentionPolicy
from otlp_capture.retention.policy import SessionsRetention as SessionsRetention
from otlp_capture.retention.policy import check_policy as check_policy
from otlp_capture.retention.policy_file import PolicyFile as PolicyFile
from otlp_capture.retention.policy_file import parse_label_rule as parse_label_rule
from otlp_capture.retention.policy_file import parse_policy as parse_policy
from otlp_capture.retention.policy_file import read_policy_file as read_policy_file
from otlp_capture.retention.service import CleanupOutcome as CleanupOutcome
from otlp_capture.retention.service import RetentionService as RetentionService
from otlp_capture.retention.service import RetentionServiceLive as RetentionServiceLive
from otlp_capture.retention.service import RetentionServiceTag as RetentionServiceTag
from otlp_capture.retention.service import retention_service as retention_service

__all__ = [
    "ArchiveConflict",
    "ArchiveError",
    "ArchiveIsSource",
    "ArchiveMissing",
    "CleanupError",
    "CleanupOutcome",
    "CleanupResult",
    "ContinuousMetrics",
    "ContinuousRetention",
    "CopyDiffers",
    "InvalidPolicy",
    "LabelRule",
    "PlannedAction",
    "PolicyFile",
    "PolicyUnreadable",
    "Protected",
    "RetentionError",
    "RetentionPlan",
    "RetentionPolicy",
    "RetentionService",
    "RetentionServiceLive",
    "RetentionServiceTag",
    "SessionsMetrics",
    "SessionsRetention",
    "StorageMetrics",
    "archive_session",
    "check_policy",
    "parse_label_rule",
    "parse_policy",
    "read_policy_file",
    "retention_service",
]
