"""When a gRPC target wants to see a request again: `google.rpc.RetryInfo` in a status's details.

Source: OTLP specification 1.11, OTLP/gRPC Throttling.
"""

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no types
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # no types
    RetryInfo,
)

from otlp_capture.otlp.messages import new_status, parse_into
from otlp_capture.result import Failure

_NANO = 1e-9


def retry_delay_s(status: bytes) -> float | None:
    """Read how long a client is to wait, in seconds.

    Args:
        status: a `google.rpc.Status` in protobuf, as `grpc-status-details-bin` carries it.

    Returns:
        None where it says nothing of it, or nothing that makes sense.
    """
    parsed = parse_into(new_status(), status)
    if isinstance(parsed, Failure):
        return None
    for detail in parsed.unwrap().details:
        if not detail.Is(RetryInfo.DESCRIPTOR):
            continue
        retry_info = RetryInfo()
        try:
            retry_info.ParseFromString(detail.value)
        except DecodeError:
            return None
        delay = retry_info.retry_delay
        return max(float(delay.seconds) + float(delay.nanos) * _NANO, 0.0)
    return None
