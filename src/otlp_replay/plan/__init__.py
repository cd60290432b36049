"""What a replay will send and when, before it is sent."""

from otlp_replay.plan.ages import Ages as Ages
from otlp_replay.plan.ages import TargetWindow as TargetWindow
from otlp_replay.plan.concerns import Concern as Concern
from otlp_replay.plan.lineage import Batches as Batches
from otlp_replay.plan.lineage import Lineage as Lineage
from otlp_replay.plan.lineage import read_lineage as read_lineage
from otlp_replay.plan.picture import picture_of as picture_of
from otlp_replay.plan.planning import calculate_replay_timing as calculate_replay_timing
from otlp_replay.plan.planning import plan_replay as plan_replay
from otlp_replay.plan.report import ReplayPlan as ReplayPlan
from otlp_replay.plan.report import Timeline as Timeline
from otlp_replay.plan.schedule import ReplaySchedule as ReplaySchedule
from otlp_replay.plan.schedule import ScheduledEvent as ScheduledEvent
from otlp_replay.plan.schedule import ScheduledEvents as ScheduledEvents
from otlp_replay.plan.timetable import Curve as Curve
from otlp_replay.plan.timetable import Peak as Peak
from otlp_replay.plan.totals import Amount as Amount

__all__ = [
    "Ages",
    "Amount",
    "Batches",
    "Concern",
    "Curve",
    "Lineage",
    "Peak",
    "ReplayPlan",
    "ReplaySchedule",
    "ScheduledEvent",
    "ScheduledEvents",
    "TargetWindow",
    "Timeline",
    "calculate_replay_timing",
    "picture_of",
    "plan_replay",
    "read_lineage",
]
