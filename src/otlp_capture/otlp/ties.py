"""What ties the records of a request to those of others: parents, and points that accumulate."""

import attrs

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.messages import Message, parse_request
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.structure import ITEMS, RESOURCES, SCOPES, data_of
from otlp_capture.result import Failure, Outcome, Success

_CUMULATIVE = 2


@attrs.frozen
class Ties:
    """What a request gives to others, and needs from them. A span is its trace id and its own.

    Attributes:
        spans: the spans that it holds.
        parents: the parents of its spans that it does not hold itself.
        cumulative_points: data points that go on from the ones before them.
    """

    spans: frozenset[bytes] = frozenset()
    parents: frozenset[bytes] = frozenset()
    cumulative_points: int = 0


def ties_of(request: bytes, signal: Signal) -> Outcome[Ties, InvalidRequest]:
    """Return what ties a request to others.

    Args:
        request: protobuf bytes that `scan` has passed; they are not checked here again.
        signal: what they carry. Log records have no ties.

    Fails with:
        InvalidRequest: the bytes are malformed.

    >>> ties_of(b"", "traces")
    <Success: Ties(spans=frozenset(), parents=frozenset(), cumulative_points=0)>
    """
    if signal == "logs":
        return Success(Ties())
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    items = [
        item
        for container in getattr(parsed.unwrap(), RESOURCES[signal])
        for scope in getattr(container, SCOPES[signal])
        for item in getattr(scope, ITEMS[signal])
    ]
    if signal == "metrics":
        return Success(Ties(cumulative_points=sum(map(_cumulative_points, items))))
    spans = frozenset(span.trace_id + span.span_id for span in items if any(span.span_id))
    parents = frozenset(
        span.trace_id + span.parent_span_id for span in items if any(span.parent_span_id)
    )
    return Success(Ties(spans, parents - spans))


def _cumulative_points(metric: Message) -> int:
    name = data_of(metric)
    if name is None:
        return 0
    data = getattr(metric, name)
    is_cumulative = getattr(data, "aggregation_temporality", None) == _CUMULATIVE
    return len(data.data_points) if is_cumulative else 0
