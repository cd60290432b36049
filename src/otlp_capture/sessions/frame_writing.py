"""A request becomes a frame."""

from otlp_capture.deflate import (
    Buffer,
    deflate_stored,
    deflate_with_trailer,
    member_header,
    trailer,
)
from otlp_capture.otlp import RequestFacts
from otlp_capture.sessions.frame_header import CLIENT_DEFLATE, lay_header
from otlp_capture.sessions.frames import Arrival


def encode_frame(request: bytes, facts: RequestFacts, arrival: Arrival) -> bytes:
    """Compress *request* into a frame."""
    return _assemble(request, (deflate_with_trailer(request),), facts, arrival, flags=0)


def encode_frame_stored(request: bytes, facts: RequestFacts, arrival: Arrival) -> bytes:
    """Lay *request* into a frame of stored deflate blocks: still gzip, nothing compressed."""
    content = deflate_stored(request), trailer(request)
    return _assemble(request, content, facts, arrival, flags=0)


def adopt_member(body: bytes, request: bytes, facts: RequestFacts, arrival: Arrival) -> bytes:
    """Make a frame of a client's own gzip: its header is replaced, the rest of it stays.

    Args:
        body: the client's bytes: one gzip member, inflated before and found sound.
        request: what it holds.
        facts: what was found in the request.
        arrival: when it came.
    """
    content = memoryview(body)[member_header(body, 0).unwrap().deflate_offset :]
    return _assemble(request, (content,), facts, arrival, flags=CLIENT_DEFLATE)


def _assemble(
    request: bytes,
    content: tuple[Buffer, ...],
    facts: RequestFacts,
    arrival: Arrival,
    *,
    flags: int,
) -> bytes:
    """Lay a header before *content*: a deflate stream and its trailer, in pieces."""
    size = sum(map(len, content))
    return b"".join((lay_header(len(request), size, facts, arrival, flags=flags), *content))
