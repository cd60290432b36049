"""Replay recorded OTLP sessions, and judge what a replay shows."""

from otlp_capture.otlp import DropAttribute as DropAttribute
from otlp_capture.otlp import RenameAttribute as RenameAttribute
from otlp_capture.otlp import SetAttribute as SetAttribute
from otlp_capture.otlp import SetText as SetText
from otlp_capture.sending import RetryPolicy as RetryPolicy
from otlp_replay.config import ReplayConfig as ReplayConfig
from otlp_replay.errors import ReplayError as ReplayError
from otlp_replay.events import Event as Event
from otlp_replay.events import Observer as Observer
from otlp_replay.events import Settled as Settled
from otlp_replay.events import Stamps as Stamps
from otlp_replay.fidelity import FidelityCertificate as FidelityCertificate
from otlp_replay.fidelity import Gate as Gate
from otlp_replay.fidelity import GateMiss as GateMiss
from otlp_replay.fidelity import list_certificates as list_certificates
from otlp_replay.fidelity import load_certificate as load_certificate
from otlp_replay.fidelity import misses as misses
from otlp_replay.fidelity import render_report as render_report
from otlp_replay.fidelity import store_certificate as store_certificate
from otlp_replay.fidelity import write_report as write_report
from otlp_replay.observed import ObservedReplays as ObservedReplays
from otlp_replay.orchestrator import NoSessionMatches as NoSessionMatches
from otlp_replay.orchestrator import OrchestratorConfig as OrchestratorConfig
from otlp_replay.orchestrator import OrchestratorError as OrchestratorError
from otlp_replay.orchestrator import OrchestratorState as OrchestratorState
from otlp_replay.orchestrator import OrchestratorStatus as OrchestratorStatus
from otlp_replay.orchestrator import ReplayOrchestrator as ReplayOrchestrator
from otlp_replay.orchestrator import ReplayOrchestratorLive as ReplayOrchestratorLive
from otlp_replay.orchestrator import ReplayOrchestratorTag as ReplayOrchestratorTag
from otlp_replay.orchestrator import SessionFilter as SessionFilter
from otlp_replay.orchestrator import SessionManager as SessionManager
from otlp_replay.orchestrator import SessionManagerLive as SessionManagerLive
from otlp_replay.orchestrator import SessionManagerTag as SessionManagerTag
from otlp_replay.orchestrator import WrongState as WrongState
from otlp_replay.pacing import Rate as Rate
from otlp_replay.plan import ReplayPlan as ReplayPlan
from otlp_replay.plan import TargetWindow as TargetWindow
from otlp_replay.plan import calculate_replay_timing as calculate_replay_timing
from otlp_replay.plan import picture_of as picture_of
from otlp_replay.plan import plan_replay as plan_replay
from otlp_replay.round_trip import RoundTrip as RoundTrip
from otlp_replay.round_trip import RoundTripError as RoundTripError
from otlp_replay.round_trip import replay_and_verify as replay_and_verify
from otlp_replay.selection import After as After
from otlp_replay.selection import At as At
from otlp_replay.selection import Moment as Moment
from otlp_replay.selection import Selection as Selection
from otlp_replay.selection import Shard as Shard
from otlp_replay.selection import parse_moment as parse_moment
from otlp_replay.selection import parse_shard as parse_shard
from otlp_replay.selection import selection_of as selection_of
from otlp_replay.service import OtlpReplayService as OtlpReplayService
from otlp_replay.service import OtlpReplayServiceLive as OtlpReplayServiceLive
from otlp_replay.service import OtlpReplayServiceTag as OtlpReplayServiceTag
from otlp_replay.status import DeliveryCounts as DeliveryCounts
from otlp_replay.status import ReplayState as ReplayState
from otlp_replay.status import ReplayStatus as ReplayStatus
from otlp_replay.verify import Comparison as Comparison
from otlp_replay.verify import Mutation as Mutation
from otlp_replay.verify import RemappedIds as RemappedIds
from otlp_replay.verify import Repeated as Repeated
from otlp_replay.verify import VerifyError as VerifyError
from otlp_replay.verify import verify as verify

__all__ = [
    "After",
    "At",
    "Comparison",
    "DeliveryCounts",
    "DropAttribute",
    "Event",
    "FidelityCertificate",
    "Gate",
    "GateMiss",
    "Moment",
    "Mutation",
    "NoSessionMatches",
    "ObservedReplays",
    "Observer",
    "OrchestratorConfig",
    "OrchestratorError",
    "OrchestratorState",
    "OrchestratorStatus",
    "OtlpReplayService",
    "OtlpReplayServiceLive",
    "OtlpReplayServiceTag",
    "Rate",
    "RemappedIds",
    "RenameAttribute",
    "Repeated",
    "ReplayConfig",
    "ReplayError",
    "ReplayOrchestrator",
    "ReplayOrchestratorLive",
    "ReplayOrchestratorTag",
    "ReplayPlan",
    "ReplayState",
    "ReplayStatus",
    "RetryPolicy",
    "RoundTrip",
    "RoundTripError",
    "Selection",
    "SessionFilter",
    "SessionManager",
    "SessionManagerLive",
    "SessionManagerTag",
    "SetAttribute",
    "SetText",
    "Settled",
    "Shard",
    "Stamps",
    "TargetWindow",
    "VerifyError",
    "WrongState",
    "calculate_replay_timing",
    "list_certificates",
    "load_certificate",
    "misses",
    "parse_moment",
    "parse_shard",
    "picture_of",
    "plan_replay",
    "render_report",
    "replay_and_verify",
    "selection_of",
    "store_certificate",
    "verify",
    "write_report",
]
