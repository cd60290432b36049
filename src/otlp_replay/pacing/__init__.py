"""When a request is due, and what wakes the replay then."""

from otlp_replay.pacing.alarm import Precision as Precision
from otlp_replay.pacing.alarm import precise as precise
from otlp_replay.pacing.late import Lateness as Lateness
from otlp_replay.pacing.late import LatePolicy as LatePolicy
from otlp_replay.pacing.rate import RATE_UNITS as RATE_UNITS
from otlp_replay.pacing.rate import Meter as Meter
from otlp_replay.pacing.rate import Rate as Rate
from otlp_replay.pacing.timeline import Speed as Speed
from otlp_replay.pacing.timeline import Timeline as Timeline

__all__ = [
    "RATE_UNITS",
    "LatePolicy",
    "Lateness",
    "Meter",
    "Precision",
    "Rate",
    "Speed",
    "Timeline",
    "precise",
]
