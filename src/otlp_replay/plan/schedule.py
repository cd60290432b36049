"""The sequence of a replay's events: what is sent when, as the documented system names it."""

from collections.abc import Iterator

import attrs

from otlp_capture.sessions import FrameRef
from otlp_replay.plan.columns import Requests
from otlp_replay.plan.course import Course
from otlp_replay.plan.lineage import Batches, Lineage


@attrs.frozen
class ScheduledEvent:
    """One request of a replay, before it is sent.

    Attributes:
        sequence_number: its place in the replay, from 0, over all loops and copies.
        original_timestamp: when it arrived, in Unix nanoseconds.
        replay_timestamp: when it is planned, in Unix nanoseconds; at speed `max`, the earliest.
        dependencies: the numbers of earlier events that hold a parent of one of its spans, in the
            same loop and copy; None: that is not known, its payload was not read.
        session_id: the session that it comes from.
        telemetry_item: where it is stored.
        loop: which pass it belongs to.
        copy: which of the copies that are sent at once it is.
    """

    sequence_number: int
    original_timestamp: int
    replay_timestamp: int
    dependencies: tuple[int, ...] | None
    session_id: str
    telemetry_item: FrameRef
    loop: int
    copy: int


@attrs.frozen(eq=False)
class ScheduledEvents:
    """All events of a replay in their order; each is made when it is asked for, none is kept."""

    requests: Requests
    course: Course
    start_unix_nano: int
    lineage: Lineage | None = None

    def __iter__(self) -> Iterator[ScheduledEvent]:
        course, requests, copies = self.course, self.requests, self.course.copies
        for number, time_ns in enumerate(course.times()):
            loop, row, copy = course.place(number)
            depends_on: tuple[int, ...] | None = None
            if self.lineage is not None:
                base = loop * len(requests)
                depends_on = tuple(
                    (base + target) * copies + copy for target in self.lineage.of(row)
                )
            yield ScheduledEvent(
                number,
                requests.arrivals[row],
                self.start_unix_nano + time_ns,
                depends_on,
                requests.session_id(row),
                requests.ref(row),
                loop,
                copy,
            )


@attrs.frozen
class ReplaySchedule:
    """What `calculate_replay_timing` answers.

    Attributes:
        events: the events in their order, as often as they are iterated.
        total_duration: from the first planned time to the last, in nanoseconds; None: not known
            before it is over, as at speed `max`, or with too many events under a rate.
        parallelization_opportunities: runs of sequence numbers that do not depend on one another;
            None: not known, no payload was read.
    """

    events: ScheduledEvents
    total_duration: int | None
    parallelization_opportunities: Batches | None
