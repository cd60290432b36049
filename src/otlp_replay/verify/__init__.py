"""Verification: whether what arrived equals what was captured, but for declared changes.

`verify` compares two recordings as multisets of records, each in its resource and scope context.
"""

from otlp_replay.verify.comparison import Comparison as Comparison
from otlp_replay.verify.comparison import Difference as Difference
from otlp_replay.verify.comparison import DifferenceKind as DifferenceKind
from otlp_replay.verify.comparison import FieldDifference as FieldDifference
from otlp_replay.verify.comparison import Place as Place
from otlp_replay.verify.comparison import ServiceCounts as ServiceCounts
from otlp_replay.verify.comparison import ShiftFound as ShiftFound
from otlp_replay.verify.comparison import ShiftMode as ShiftMode
from otlp_replay.verify.verification import DEFAULT_MAX_EXAMPLES as DEFAULT_MAX_EXAMPLES
from otlp_replay.verify.verification import verify as verify

__all__ = [
    "DEFAULT_MAX_EXAMPLES",
    "Comparison",
    "Difference",
    "DifferenceKind",
    "FieldDifference",
    "Place",
    "ServiceCounts",
    "ShiftFound",
    "ShiftMode",
    "verify",
]
