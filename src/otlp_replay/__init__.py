"""Replay recorded OTLP sessions, and judge what a replay shows."""

from otlp_capture.sending import RetryPolicy as RetryPolicy
from otlp_replay.errors import ReplayError as ReplayError
from otlp_replay.model import DeliveryCounts as DeliveryCounts
from otlp_replay.model import ReplayConfig as ReplayConfig
from otlp_replay.model import ReplayStatus as ReplayStatus
from otlp_replay.service import OtlpReplayService as OtlpReplayService
from otlp_replay.service import OtlpReplayServiceLive as OtlpReplayServiceLive
from otlp_replay.service import OtlpReplayServiceTag as OtlpReplayServiceTag
from otlp_replay.verify import Comparison as Comparison
from otlp_replay.verify import verify as verify

__all__ = [
    "Comparison",
    "DeliveryCounts",
    "OtlpReplayService",
    "OtlpReplayServiceLive",
    "OtlpReplayServiceTag",
    "ReplayConfig",
    "ReplayError",
    "ReplayStatus",
    "RetryPolicy",
    "verify",
]
