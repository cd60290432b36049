"""The protobuf types of the requests and answers, and the one place that parses bytes into them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no types
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # no types
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.tables import Field, MessageTable, table_of
from otlp_capture.otlp.wire import explain_refusal
from otlp_capture.result import Failure, Outcome, Success

Message: TypeAlias = Any
"""A protobuf message. Its fields are reached by name, so a type checker sees none of them."""

_REQUESTS: Final[Mapping[Signal, Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
_RESPONSES: Final[Mapping[Signal, Any]] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}

# All tables are made here, once, so that threads only ever read them.
_REQUEST_TABLES: Final[Mapping[Signal, MessageTable]] = {
    signal: table_of(request.DESCRIPTOR) for signal, request in _REQUESTS.items()
}
for _answer in (*_RESPONSES.values(), Status):
    table_of(_answer.DESCRIPTOR)


def new_request(signal: Signal) -> Message:
    """Return an empty request."""
    return _REQUESTS[signal]()


def new_response(signal: Signal) -> Message:
    """Return an answer of full success."""
    return _RESPONSES[signal]()


def new_status() -> Message:
    """Return an empty `google.rpc.Status`."""
    return Status()


def new_retry_info() -> Message:
    """Return a `google.rpc.RetryInfo` that asks to come again at once."""
    return RetryInfo()


def new_attributes(attributes: Any) -> Message:
    """Return a message that holds copies of *attributes* and nothing else."""
    return KeyValueList(values=attributes)


def new_attribute() -> Message:
    """Return an attribute without key and value."""
    return KeyValue()


def new_value() -> Message:
    """Return an AnyValue that is not set."""
    return AnyValue()


def request_table(signal: Signal) -> MessageTable:
    """Return the table of a signal's request."""
    return _REQUEST_TABLES[signal]


def table_of_message(message: Message) -> MessageTable:
    """Return the table of *message*'s type."""
    return table_of(message.DESCRIPTOR)


def children_of(message: Message, field: Field) -> Sequence[Message]:
    """Return what is set of a message field: the items of a repeated one, or the one message."""
    value: Sequence[Message] = getattr(message, field.name)
    if field.is_repeated:
        return value
    return (value,) if message.HasField(field.name) else ()


def parse_into(message: Message, body: bytes) -> Outcome[Message, InvalidRequest]:
    """Parse *body* into the empty *message* and return it.

    Fails with:
        InvalidRequest: the bytes are no such message; names the byte.
    """
    try:
        message.ParseFromString(body)
    except DecodeError:
        return Failure(explain_refusal(body, table_of_message(message)))
    return Success(message)


def parse_request(request: bytes, signal: Signal) -> Outcome[Message, InvalidRequest]:
    """Parse a request. It is not bounded here: `check_request` is.

    Fails with:
        InvalidRequest: the bytes are malformed or hold text that is not UTF-8; names the byte.
    """
    return parse_into(new_request(signal), request)


def to_bytes(message: Message) -> bytes:
    """Serialize *message*, unknown fields included."""
    return bytes(message.SerializeToString(deterministic=True))
