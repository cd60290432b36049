"""Protobuf messages to OTLP/JSON, by the descriptors.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.messages import Message, table_of_message
from otlp_capture.otlp.nesting import parse_nested_request
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.tables import Kind, MessageTable
from otlp_capture.result import Failure, Outcome, Success


def encode_by_parsing(
    request: bytes, signal: Signal, max_depth: int
) -> Outcome[bytes, InvalidRequest]:
    """Write a request as OTLP/JSON, through messages.

    Fails with:
        InvalidRequest: malformed protobuf, or an AnyValue nested too deep.
    """
    parsed = parse_nested_request(request, signal, max_depth)
    return parsed if isinstance(parsed, Failure) else Success(message_to_json(parsed.unwrap()))


def message_to_json(message: Message) -> bytes:
    """Write *message* as OTLP/JSON in UTF-8.

    What is set is written, a false or a zero included where the field can tell set from unset.
    Unknown fields have no form in JSON and are left out.
    """
    document = _document(message, table_of_message(message))
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")


def _document(message: Message, table: MessageTable) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        field = table.by_number[descriptor.number]
        if field.kind == "message":
            inner = field.message
            document[field.json_name] = (
                [_document(each, inner) for each in value]
                if field.is_repeated
                else _document(value, inner)
            )
        else:
            write = _WRITERS[field.kind]
            document[field.json_name] = (
                [write(each) for each in value] if field.is_repeated else write(value)
            )
    return document


def _as_it_is(value: Any) -> Any:
    return value


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def write_double(value: float) -> float | str:
    """Return a number, or the string that stands for one that JSON cannot write.

    >>> write_double(1.5), write_double(float("-inf")), write_double(float("nan"))
    (1.5, '-Infinity', 'NaN')
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


_WRITERS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "string": _as_it_is,
    "bytes": _write_bytes,
    "id": bytes.hex,
    "bool": _as_it_is,
    "double": write_double,
    "float": write_double,
    "enum": _as_it_is,
    "int32": _as_it_is,
    "uint32": _as_it_is,
    "int64": str,
    "uint64": str,
}
