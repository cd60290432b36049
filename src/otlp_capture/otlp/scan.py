"""What a recording needs to know about a request before it keeps it."""

import attrs

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.limits import DEFAULT_LIMITS, Limits
from otlp_capture.otlp.messages import Message
from otlp_capture.otlp.nesting import check_request
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.structure import RECORD_TIMES, RESOURCES, record_groups, service_of
from otlp_capture.result import Failure, Outcome, Success


@attrs.frozen
class RequestFacts:
    """Facts of one request.

    Attributes:
        record_count: spans, data points or log records.
        min_time_unix_nano: the earliest of spans' start and end, points' time, logs' time or else
            observed time; 0 when none is set.
        max_time_unix_nano: the latest of the same.
        services: each `service.name`, sorted, once.
    """

    record_count: int
    min_time_unix_nano: int
    max_time_unix_nano: int
    services: tuple[str, ...]


def scan(
    request: bytes, signal: Signal, limits: Limits = DEFAULT_LIMITS
) -> Outcome[RequestFacts, InvalidRequest | RequestTooLarge]:
    """Check a protobuf request and read its facts.

    Args:
        request: protobuf bytes, from anyone.
        signal: what they carry.
        limits: what they may hold; counted before anything large is built.

    Fails with:
        RequestTooLarge: more bytes or elements than *limits* allow.
        InvalidRequest: malformed protobuf, text that is not UTF-8, an AnyValue nested too deep.

    >>> scan(b"", "logs")
    <Success: RequestFacts(record_count=0, min_time_unix_nano=0, max_time_unix_nano=0, services=())>
    """
    checked = check_request(request, signal, limits)
    if isinstance(checked, Failure):
        return checked
    return Success(_facts(checked.unwrap(), signal))


def _facts(message: Message, signal: Signal) -> RequestFacts:
    times_of = RECORD_TIMES[signal]
    count, earliest, latest = 0, 0, 0
    for group in record_groups(message, signal):
        count += len(group)
        times = [time for record in group for time in times_of(record) if time]
        if times:
            first = min(times)
            earliest = min(first, earliest or first)
            latest = max(latest, *times)
    containers = getattr(message, RESOURCES[signal])
    services = {service_of(container) for container in containers} - {""}
    return RequestFacts(count, earliest, latest, tuple(sorted(services)))
