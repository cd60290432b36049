"""What OTLP/JSON cannot say of a request."""

from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.messages import request_table
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.wire import holds_unknown_fields
from otlp_capture.result import Success


def loses_fields_in_json(request: bytes, signal: Signal, text: bytes) -> bool:
    r"""Say whether a request has fields that its OTLP/JSON leaves out: those nobody knows.

    Read back, the text of a request as SDKs write it is the same bytes, so this is fast.

    Args:
        request: protobuf bytes that `scan` has passed.
        signal: what they carry.
        text: what `encode` made of them.

    >>> loses_fields_in_json(b"\n\x03\x1a\x01s", "logs", b'{"resourceLogs":[{"schemaUrl":"s"}]}')
    False
    >>> loses_fields_in_json(b"\xc0\x3e\x01", "logs", b"{}")
    True
    """
    if KERNEL is not None:
        limits = Limits(max_elements=1 << 62, max_bytes=len(text))
        if KERNEL.decode_json(text, signal, "otlp", limits) == Success(request):
            return False
    return holds_unknown_fields(request, request_table(signal))
