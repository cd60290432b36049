"""Checking a request that may come from anyone, and reading its facts."""

import attrs

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.facts import RequestFacts
from otlp_capture.otlp.faults import MAX_MESSAGE_DEPTH
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.limits import DEFAULT_LIMITS, Limits
from otlp_capture.otlp.messages import Message
from otlp_capture.otlp.nesting import check_request
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.structure import RECORD_TIMES, RESOURCES, record_groups, service_of
from otlp_capture.result import Failure, Outcome, Success


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
    if len(request) > limits.max_bytes:
        return Failure(RequestTooLarge("bytes", limits.max_bytes))
    scanned = KERNEL.scan(request, signal, limits) if KERNEL else None
    if scanned is not None:
        return scanned
    if KERNEL and KERNEL.counts(request, signal, limits):
        # A body never holds as many elements as bytes: they are not counted once more, slowly.
        limits = attrs.evolve(limits, max_elements=len(request))
    return scan_by_parsing(request, signal, limits)


def count_records(request: bytes, signal: Signal) -> Outcome[int, InvalidRequest]:
    """Count the spans, data points or log records of a request, however large it is.

    Args:
        request: protobuf bytes that `scan` has passed, within limits that are not asked for here.
        signal: what they carry.

    Fails with:
        InvalidRequest: the bytes are malformed.

    >>> count_records(b"", "logs")
    <Success: 0>
    """
    # Neither bytes nor elements can be too many, as there are no more elements than bytes.
    limits = Limits(len(request), MAX_MESSAGE_DEPTH, len(request))
    scanned = scan(request, signal, limits)
    if isinstance(scanned, Success):
        return Success(scanned.unwrap().record_count)
    refused = scanned.failure()
    assert isinstance(refused, InvalidRequest)
    return Failure(refused)


def scan_by_parsing(
    request: bytes, signal: Signal, limits: Limits
) -> Outcome[RequestFacts, InvalidRequest | RequestTooLarge]:
    """Do what `scan` does, through messages."""
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
