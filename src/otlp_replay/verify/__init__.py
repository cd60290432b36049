"""Verification: whether what arrived equals what was captured, but for declared changes.

`verify` compares two recordings as multisets of records, each in its resource and scope context.
"""

from otlp_replay.verify.comparison import Comparison as Comparison
from otlp_replay.verify.comparison import Difference as Difference
from otlp_replay.verify.comparison import DifferenceKind as DifferenceKind
from otlp_replay.verify.comparison import FieldCounts as FieldCounts
from otlp_replay.verify.comparison import FieldDifference as FieldDifference
from otlp_replay.verify.comparison import Place as Place
from otlp_replay.verify.comparison import ServiceCounts as ServiceCounts
from otlp_replay.verify.comparison import ShiftFound as ShiftFound
from otlp_replay.verify.comparison import ShiftMode as ShiftMode
from otlp_replay.verify.declared import RemappedIds as RemappedIds
from otlp_replay.verify.declared import Repeated as Repeated
from otlp_replay.verify.declared import Resent as Resent
from otlp_replay.verify.declared import Selects as Selects
from otlp_replay.verify.errors import ComparisonTooLarge as ComparisonTooLarge
from otlp_replay.verify.errors import NoScratchSpace as NoScratchSpace
from otlp_replay.verify.errors import VerifyError as VerifyError
from otlp_replay.verify.mutations import Mutation as Mutation
from otlp_replay.verify.verification import DEFAULT_MAX_EXAMPLES as DEFAULT_MAX_EXAMPLES
from otlp_replay.verify.verification import DEFAULT_MEMORY_BYTES as DEFAULT_MEMORY_BYTES
from otlp_replay.verify.verification import verify as verify

__all__ = [
    "DEFAULT_MAX_EXAMPLES",
    "DEFAULT_MEMORY_BYTES",
    "Comparison",
    "ComparisonTooLarge",
    "Difference",
    "DifferenceKind",
    "FieldCounts",
    "FieldDifference",
    "Mutation",
    "NoScratchSpace",
    "Place",
    "RemappedIds",
    "Repeated",
    "Resent",
    "Selects",
    "ServiceCounts",
    "ShiftFound",
    "ShiftMode",
    "VerifyError",
    "verify",
]
