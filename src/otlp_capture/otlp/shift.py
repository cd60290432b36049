"""Moving a request in time."""

from otlp_capture.otlp.errors import MAX_TIMESTAMP, InvalidRequest, TimestampOutOfRange
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.messages import Message, children_of, parse_request, request_table, to_bytes
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.tables import MessageTable
from otlp_capture.result import Failure, Outcome, Success


def shift_timestamps(
    request: bytes, signal: Signal, delta_ns: int
) -> Outcome[bytes, TimestampOutOfRange | InvalidRequest]:
    """Add *delta_ns* to every timestamp of a request.

    A timestamp is a fixed64 whose name ends in `time_unix_nano`: of spans, events, points (start
    and time), exemplars and logs (time and observed time). Zero means unset and stays. Attributes
    and unknown fields are untouched. Without a shift the bytes come back as they are. The result
    is as long as the request, unless a field that may stand once repeats: of that, a parser keeps
    the last.

    Args:
        request: protobuf bytes that `scan` has passed; they are not checked here again.
        signal: what they carry.
        delta_ns: nanoseconds, forward or back.

    Fails with:
        TimestampOutOfRange: a timestamp would leave 1 to 2^64-1; nothing is moved.
        InvalidRequest: the bytes are malformed.

    >>> shift_timestamps(b"", "traces", 60_000_000_000)
    <Success: b''>
    """
    if delta_ns == 0:
        return Success(request)
    shifted = KERNEL.shift(request, signal, delta_ns) if KERNEL else None
    return shift_by_parsing(request, signal, delta_ns) if shifted is None else shifted


def shift_by_parsing(
    request: bytes, signal: Signal, delta_ns: int
) -> Outcome[bytes, TimestampOutOfRange | InvalidRequest]:
    """Do what `shift_timestamps` does, through messages."""
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    message = parsed.unwrap()
    error = _shift(message, request_table(signal), delta_ns)
    return Success(to_bytes(message)) if error is None else Failure(error)


def _shift(message: Message, table: MessageTable, delta_ns: int) -> TimestampOutOfRange | None:
    for name in table.timestamps:
        value = getattr(message, name)
        if not value:
            continue
        moved = value + delta_ns
        if not 1 <= moved <= MAX_TIMESTAMP:
            return TimestampOutOfRange(table.by_any_name[name].json_name, value, delta_ns)
        setattr(message, name, moved)
    for field in table.to_timestamps:
        for child in children_of(message, field):
            error = _shift(child, field.message, delta_ns)
            if error is not None:
                return error
    return None
