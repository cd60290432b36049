"""Replays that choose their session, and run, pause and end as a whole."""

from otlp_replay.orchestrator.choosing import SESSION_TYPES as SESSION_TYPES
from otlp_replay.orchestrator.choosing import STRATEGIES as STRATEGIES
from otlp_replay.orchestrator.choosing import TYPE_LABEL as TYPE_LABEL
from otlp_replay.orchestrator.choosing import NoSessionMatches as NoSessionMatches
from otlp_replay.orchestrator.choosing import SelectionStrategy as SelectionStrategy
from otlp_replay.orchestrator.choosing import SessionFilter as SessionFilter
from otlp_replay.orchestrator.choosing import SessionType as SessionType
from otlp_replay.orchestrator.choosing import session_type as session_type
from otlp_replay.orchestrator.manager import SelectionError as SelectionError
from otlp_replay.orchestrator.manager import SessionManager as SessionManager
from otlp_replay.orchestrator.manager import SessionManagerLive as SessionManagerLive
from otlp_replay.orchestrator.manager import SessionManagerTag as SessionManagerTag
from otlp_replay.orchestrator.model import AUTO as AUTO
from otlp_replay.orchestrator.model import OrchestratorConfig as OrchestratorConfig
from otlp_replay.orchestrator.model import OrchestratorState as OrchestratorState
from otlp_replay.orchestrator.model import OrchestratorStatus as OrchestratorStatus
from otlp_replay.orchestrator.service import OrchestratorError as OrchestratorError
from otlp_replay.orchestrator.service import ReplayOrchestrator as ReplayOrchestrator
from otlp_replay.orchestrator.service import ReplayOrchestratorLive as ReplayOrchestratorLive
from otlp_replay.orchestrator.service import ReplayOrchestratorTag as ReplayOrchestratorTag
from otlp_replay.orchestrator.service import WrongState as WrongState

__all__ = [
    "AUTO",
    "SESSION_TYPES",
    "STRATEGIES",
    "TYPE_LABEL",
    "NoSessionMatches",
    "OrchestratorConfig",
    "OrchestratorError",
    "OrchestratorState",
    "OrchestratorStatus",
    "ReplayOrchestrator",
    "ReplayOrchestratorLive",
    "ReplayOrchestratorTag",
    "SelectionError",
    "SelectionStrategy",
    "SessionFilter",
    "SessionManager",
    "SessionManagerLive",
    "SessionManagerTag",
    "SessionType",
    "WrongState",
    "session_type",
]
