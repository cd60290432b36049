"""When a gRPC target wants to see a request again: `google.rpc.RetryInfo` in a status's details.

Source: OTLP specification 1.11, OTLP/gRPC Throttling.
"""

from otlp_capture.otlp.messages import new_retry_info, new_status, parse_into
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
        retry_info = new_retry_info()
        if not detail.Is(retry_info.DESCRIPTOR):
            continue
        read = parse_into(retry_info, detail.value)
        if isinstance(read, Failure):
            return None
        delay = read.unwrap().retry_delay
        return max(float(delay.seconds) + float(delay.nanos) * _NANO, 0.0)
    return None
