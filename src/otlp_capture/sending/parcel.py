"""A request on its way to a target."""

import attrs

from otlp_capture.otlp import Encoding, Signal


@attrs.frozen
class Parcel:
    """A request, ready to be sent.

    Attributes:
        signal: which endpoint takes it.
        body: its bytes, in *encoding*.
        record_count: how many spans, data points or log records it holds.
        encoding: how it is written.
        headers: what its headers say besides those of the endpoint.
    """

    signal: Signal
    body: bytes
    record_count: int
    encoding: Encoding = "protobuf"
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
