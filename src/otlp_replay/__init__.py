"""Replay recorded OTLP sessions, and judge what a replay shows."""

from otlp_capture.sending import RetryPolicy as RetryPolicy
from otlp_replay.config import ReplayConfig as ReplayConfig
from otlp_replay.errors import ReplayError as ReplayError
from otlp_replay.pacing import Rate as Rate
from otlp_replay.selection import After as After
from otlp_replay.selection import At as At
from otlp_replay.selection import Moment as Moment
from otlp_replay.selection import Shard as Shard
from otlp_replay.service import OtlpReplayService as OtlpReplayService
from otlp_replay.service import OtlpReplayServiceLive as OtlpReplayServiceLive
from otlp_replay.service import OtlpReplayServiceTag as OtlpReplayServiceTag
from otlp_replay.status import DeliveryCounts as DeliveryCounts
from otlp_replay.status import ReplayStatus as ReplayStatus
from otlp_replay.verify import Comparison as Comparison
from otlp_replay.verify import verify as verify

__all__ = [
    "After",
    "At",
    "Comparison",
    "DeliveryCounts",
    "Moment",
    "OtlpReplayService",
    "OtlpReplayServiceLive",
    "OtlpReplayServiceTag",
    "Rate",
    "ReplayConfig",
    "ReplayError",
    "ReplayStatus",
    "RetryPolicy",
    "Shard",
    "verify",
]
