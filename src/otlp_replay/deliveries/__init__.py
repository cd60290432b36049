"""A ledger of what left and what became of it, by which a replay goes on after a crash."""

from otlp_replay.deliveries.errors import LedgerDamaged as LedgerDamaged
from otlp_replay.deliveries.errors import LedgerError as LedgerError
from otlp_replay.deliveries.errors import LedgerExists as LedgerExists
from otlp_replay.deliveries.errors import LedgerInUse as LedgerInUse
from otlp_replay.deliveries.errors import LedgerNotFound as LedgerNotFound
from otlp_replay.deliveries.errors import LedgerOfAnother as LedgerOfAnother
from otlp_replay.deliveries.errors import LedgerUnusable as LedgerUnusable
from otlp_replay.deliveries.identity import ReplayIdentity as ReplayIdentity
from otlp_replay.deliveries.identity import identity_of as identity_of
from otlp_replay.deliveries.identity import replay_identity as replay_identity
from otlp_replay.deliveries.layout import Entry as Entry
from otlp_replay.deliveries.ledger import DeliveryLedger as DeliveryLedger
from otlp_replay.deliveries.ledger import open_ledger as open_ledger
from otlp_replay.deliveries.prior import PriorDeliveries as PriorDeliveries
from otlp_replay.deliveries.prior import PriorOutcome as PriorOutcome
from otlp_replay.deliveries.prior import ResumeUnknown as ResumeUnknown
from otlp_replay.deliveries.reading import read_entries as read_entries
from otlp_replay.deliveries.reading import read_ledger as read_ledger

__all__ = [
    "DeliveryLedger",
    "Entry",
    "LedgerDamaged",
    "LedgerError",
    "LedgerExists",
    "LedgerInUse",
    "LedgerNotFound",
    "LedgerOfAnother",
    "LedgerUnusable",
    "PriorDeliveries",
    "PriorOutcome",
    "ReplayIdentity",
    "ResumeUnknown",
    "identity_of",
    "open_ledger",
    "read_entries",
    "read_ledger",
    "replay_identity",
]
