"""What can be known of a request without its messages."""

from typing import NamedTuple

import attrs


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


class Container(NamedTuple):
    """A ResourceSpans, ResourceMetrics or ResourceLogs among the bytes of a request.

    Attributes:
        start: where its tag begins.
        end: where it ends.
        service: the bytes of its `service.name`; none where it has none.
    """

    start: int
    end: int
    service: bytes
