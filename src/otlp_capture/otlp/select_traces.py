"""Keeping some traces of a request, and leaving out the others."""

from typing import Any, NamedTuple

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.messages import Message, parse_request, to_bytes
from otlp_capture.otlp.scan import count_records
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.structure import ITEMS, RESOURCES, SCOPES, record_groups
from otlp_capture.otlp.trace_choice import ChosenRecords, TraceChoice
from otlp_capture.result import Failure, Outcome, Success


def select_traces(
    request: bytes, signal: Signal, choice: TraceChoice
) -> Outcome[ChosenRecords, InvalidRequest]:
    """Copy the spans and log records of a request whose traces are chosen.

    A scope or a resource that has lost its last record is left out with them; one that never held
    any stays. What is kept stays byte for byte, unknown fields too. Data points have no trace of
    their own (those of their exemplars do not count), so metrics are kept, or left out, whole.

    Args:
        request: protobuf bytes that `scan` has passed; they are not checked here again.
        signal: what they carry.
        choice: which traces, and whether what belongs to none is kept.

    Fails with:
        InvalidRequest: the bytes are malformed.

    >>> select_traces(b"", "traces", TraceChoice(high=1 << 63))
    <Success: ChosenRecords(request=b'', kept=0, left_out=0)>
    """
    if signal == "metrics":
        counted = count_records(request, signal)
        if isinstance(counted, Failure):
            return counted
        return Success(_whole_or_nothing(request, counted.unwrap(), choice))
    chosen = KERNEL.select_traces(request, signal, choice) if KERNEL else None
    return select_traces_by_parsing(request, signal, choice) if chosen is None else chosen


def select_traces_by_parsing(
    request: bytes, signal: Signal, choice: TraceChoice
) -> Outcome[ChosenRecords, InvalidRequest]:
    """Do what `select_traces` does, through messages."""
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    message = parsed.unwrap()
    if signal == "metrics":
        count = sum(map(len, record_groups(message, signal)))
        return Success(_whole_or_nothing(request, count, choice))
    counts = _Counts(0, 0)
    containers = getattr(message, RESOURCES[signal])
    for place in reversed(range(len(containers))):
        inside = _choose_in_container(containers[place], signal, choice)
        counts = counts.plus(inside)
        if inside.is_emptied:
            del containers[place]
    kept = to_bytes(message) if counts.left_out else request
    return Success(ChosenRecords(kept, counts.kept, counts.left_out))


class _Counts(NamedTuple):
    kept: int
    left_out: int

    @property
    def is_emptied(self) -> bool:
        """Whether there were records, and none is left."""
        return self.kept == 0 and self.left_out > 0

    def plus(self, other: "_Counts") -> "_Counts":
        return _Counts(self.kept + other.kept, self.left_out + other.left_out)


def _whole_or_nothing(request: bytes, count: int, choice: TraceChoice) -> ChosenRecords:
    """Choose *count* data points, none of which has a trace."""
    if choice.keeps_untraced or not count:
        return ChosenRecords(request, count, 0)
    return ChosenRecords(b"", 0, count)


def _choose_in_container(container: Message, signal: Signal, choice: TraceChoice) -> _Counts:
    counts = _Counts(0, 0)
    scopes = getattr(container, SCOPES[signal])
    for place in reversed(range(len(scopes))):
        records = getattr(scopes[place], ITEMS[signal])
        inside = _choose_among(records, choice)
        counts = counts.plus(inside)
        if inside.is_emptied:
            del scopes[place]
    return counts


def _choose_among(records: Any, choice: TraceChoice) -> _Counts:
    before = len(records)
    for place in reversed(range(before)):
        if not choice.keeps(records[place].trace_id):
            del records[place]
    return _Counts(len(records), before - len(records))
