"""Which spans of a request are children of which."""

from array import array
from collections.abc import Iterator
from typing import Final

import attrs

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.messages import Message, parse_request
from otlp_capture.otlp.structure import record_groups
from otlp_capture.otlp.trace_choice import trace_place
from otlp_capture.result import Failure, Outcome, Success

_NUMBER_BYTES: Final = 8
"""A span id of this length is a number already."""


@attrs.frozen
class SpanLinks:
    """The spans of a request, and their parents, in their order.

    A number of 64 bits stands for the trace and the id of a span together; 0 for none.

    Attributes:
        spans: which each is.
        parents: of which each is a child.
    """

    spans: "array[int]"
    parents: "array[int]"


def span_links(request: bytes) -> Outcome[SpanLinks, InvalidRequest]:
    """Return which spans a request of traces holds, and which parents they name.

    Args:
        request: protobuf bytes that `scan` has passed; they are not checked here again.

    Fails with:
        InvalidRequest: the bytes are malformed.

    >>> span_links(b"")
    <Success: SpanLinks(spans=array('Q'), parents=array('Q'))>
    """
    found = KERNEL.span_links(request) if KERNEL else None
    if found is None:
        return span_links_by_parsing(request)
    if isinstance(found, Failure):
        return found
    numbers = array("Q", found.unwrap())
    return Success(SpanLinks(numbers[0::2], numbers[1::2]))


def span_links_by_parsing(request: bytes) -> Outcome[SpanLinks, InvalidRequest]:
    """Do what `span_links` does, through messages."""
    parsed = parse_request(request, "traces")
    if isinstance(parsed, Failure):
        return parsed
    pairs = list(_pairs(parsed.unwrap()))
    spans, parents = (array("Q", [pair[place] for pair in pairs]) for place in (0, 1))
    return Success(SpanLinks(spans, parents))


def _pairs(message: Message) -> Iterator[tuple[int, int]]:
    for spans in record_groups(message, "traces"):
        for span in spans:
            trace = trace_place(span.trace_id) if any(span.trace_id) else 0
            yield _number(span.span_id, trace), _number(span.parent_span_id, trace)


def _number(span_id: bytes, trace: int) -> int:
    if not any(span_id):
        return 0
    if len(span_id) == _NUMBER_BYTES:
        return int.from_bytes(span_id, "little") ^ trace
    return trace_place(span_id) ^ trace
