"""Upkeep of single sessions: looked through, counted anew, held, deleted."""

from otlp_capture.upkeep.delete import DeleteError as DeleteError
from otlp_capture.upkeep.delete import delete_session as delete_session
from otlp_capture.upkeep.errors import SessionActive as SessionActive
from otlp_capture.upkeep.errors import SessionBeingDeleted as SessionBeingDeleted
from otlp_capture.upkeep.errors import SessionChanged as SessionChanged
from otlp_capture.upkeep.errors import SessionHeld as SessionHeld
from otlp_capture.upkeep.errors import SessionRecorded as SessionRecorded
from otlp_capture.upkeep.findings import Damage as Damage
from otlp_capture.upkeep.findings import Finding as Finding
from otlp_capture.upkeep.findings import FindingKind as FindingKind
from otlp_capture.upkeep.findings import Findings as Findings
from otlp_capture.upkeep.findings import Note as Note
from otlp_capture.upkeep.holds import HoldError as HoldError
from otlp_capture.upkeep.holds import hold_session as hold_session
from otlp_capture.upkeep.holds import release_session as release_session
from otlp_capture.upkeep.reindex import ReindexError as ReindexError
from otlp_capture.upkeep.reindex import ReindexReport as ReindexReport
from otlp_capture.upkeep.reindex import reindex_session as reindex_session
from otlp_capture.upkeep.verify import VerifyError as VerifyError
from otlp_capture.upkeep.verify import VerifyReport as VerifyReport
from otlp_capture.upkeep.verify import verify_session as verify_session

__all__ = [
    "Damage",
    "DeleteError",
    "Finding",
    "FindingKind",
    "Findings",
    "HoldError",
    "Note",
    "ReindexError",
    "ReindexReport",
    "SessionActive",
    "SessionBeingDeleted",
    "SessionChanged",
    "SessionHeld",
    "SessionRecorded",
    "VerifyError",
    "VerifyReport",
    "delete_session",
    "hold_session",
    "reindex_session",
    "release_session",
    "verify_session",
]
