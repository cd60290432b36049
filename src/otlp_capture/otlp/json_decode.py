"""OTLP/JSON to protobuf messages, by the descriptors."""

from collections.abc import Mapping
from contextlib import nullcontext
from threading import Lock
from typing import Any, Final

import attrs

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.faults import MAX_MESSAGE_DEPTH
from otlp_capture.otlp.json_scalars import READINGS, Reading, Rejected
from otlp_capture.otlp.json_text import (
    describe_value,
    is_array,
    is_object,
    json_of,
    parse_object,
)
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.messages import Message, new_request, table_of_message, to_bytes
from otlp_capture.otlp.nesting import describe_nesting
from otlp_capture.otlp.signals import Dialect, Signal
from otlp_capture.otlp.tables import Field, MessageTable
from otlp_capture.otlp.wire import check_element_count
from otlp_capture.result import Failure, Outcome, Success

_LARGE_BYTES: Final = 1 << 20
_one_large: Final = Lock()
"""A parsed document takes ten times its size and more, and threads would not make it faster."""


def decode_by_parsing(
    body: bytes, signal: Signal, dialect: Dialect, limits: Limits
) -> Outcome[bytes, InvalidRequest | RequestTooLarge]:
    """Turn OTLP/JSON into a protobuf request, through a parsed document and messages.

    Of large ones one is worked on at a time.

    Fails with:
        RequestTooLarge: more bytes or elements, in either encoding, than *limits* allow.
        InvalidRequest: no JSON object, or a value that does not fit its field.
    """
    with _one_large if len(body) > _LARGE_BYTES else nullcontext():
        parsed = parse_text(body, dialect, limits)
        if isinstance(parsed, Failure):
            return parsed
        return request_from_json(parsed.unwrap(), signal, dialect, limits)


def parse_text(
    body: bytes, dialect: Dialect, limits: Limits
) -> Outcome[dict[str, Any], InvalidRequest | RequestTooLarge]:
    """Parse JSON text as *dialect* allows it: files may begin with a byte order mark.

    Fails with:
        RequestTooLarge: more bytes or elements than *limits* allow.
        InvalidRequest: no JSON object.
    """
    return parse_object(json_of(body, dialect), limits)


def request_from_json(
    document: Mapping[str, Any], signal: Signal, dialect: Dialect, limits: Limits
) -> Outcome[bytes, InvalidRequest | RequestTooLarge]:
    """Turn a parsed document into a protobuf request.

    Fails with:
        InvalidRequest: a value does not fit its field; names the JSON path.
        RequestTooLarge: more elements, or more bytes as protobuf, than *limits* allow.
    """
    filled = message_from_json(new_request(signal), document, dialect, limits.max_any_value_depth)
    if isinstance(filled, Failure):
        return filled
    message = filled.unwrap()
    request = to_bytes(message)
    # A count such as `1,` grows from two bytes to eight.
    if len(request) > limits.max_bytes:
        return Failure(RequestTooLarge("bytes", limits.max_bytes))
    counted = check_element_count(request, table_of_message(message), limits)
    return counted if isinstance(counted, Failure) else Success(request)


def message_from_json(
    message: Message, document: Mapping[str, Any], dialect: Dialect, max_any_value_depth: int
) -> Outcome[Message, InvalidRequest]:
    """Fill the empty *message* from a parsed document, and return it.

    Unknown keys are ignored at every level, and null is unset.

    Fails with:
        InvalidRequest: a value does not fit its field; names the JSON path.
    """
    filler = _Filler(READINGS[dialect], max_any_value_depth)
    try:
        filler.fill(message, table_of_message(message), document, _Depth(0, 0))
    except Rejected as rejected:
        return Failure(InvalidRequest(rejected.path, rejected.found, rejected.allowed))
    return Success(message)


@attrs.frozen
class _Depth:
    """How many messages, and how many AnyValues, stand around a message."""

    messages: int
    values: int


@attrs.frozen
class _Filler:
    reading: Reading
    max_any_value_depth: int

    def fill(self, message: Message, table: MessageTable, document: Any, around: _Depth) -> None:
        """Set the fields of *message*; raise `Rejected` at the first value that does not fit."""
        if not is_object(document):
            raise Rejected(describe_value(document), "an object")
        inside = self._enter(table, around)
        fields = self.reading.fields_of(table)
        chosen: dict[str, Field] = {}
        for key, value in document.items():
            field = fields.get(key)
            if field is None or value is None:
                continue
            if field.oneof is not None:
                _choose(chosen, field.oneof, field)
            try:
                self._set(message, field, value, inside)
            except Rejected as rejected:
                rejected.stand_inside(key)
                raise

    def _enter(self, table: MessageTable, around: _Depth) -> _Depth:
        if around.messages > MAX_MESSAGE_DEPTH:
            found = f"messages nested deeper than {MAX_MESSAGE_DEPTH} levels"
            raise Rejected(found, f"at most {MAX_MESSAGE_DEPTH} levels")
        values = around.values + table.is_any_value
        if values > self.max_any_value_depth:
            raise Rejected(*describe_nesting(self.max_any_value_depth))
        return _Depth(around.messages + 1, values)

    def _set(self, message: Message, field: Field, value: Any, inside: _Depth) -> None:
        if field.is_repeated:
            self._extend(getattr(message, field.name), field, value, inside)
        elif field.kind == "message":
            child = getattr(message, field.name)
            child.SetInParent()
            self.fill(child, field.message, value, inside)
        else:
            setattr(message, field.name, self.reading.read[field.kind](value, field))

    def _extend(self, target: Any, field: Field, items: Any, inside: _Depth) -> None:
        if not is_array(items):
            raise Rejected(describe_value(items), "an array")
        index = 0
        try:
            if field.kind == "message":
                for index, item in enumerate(items):  # noqa: B007 - the path needs it
                    self.fill(target.add(), field.message, item, inside)
            else:
                read = self.reading.read[field.kind]
                for index, item in enumerate(items):  # noqa: B007 - likewise
                    target.append(read(item, field))
        except Rejected as rejected:
            rejected.stand_at(index)
            raise


def _choose(chosen: dict[str, Field], oneof: str, field: Field) -> None:
    first = chosen.setdefault(oneof, field)
    if first is not field:
        both = f"both {first.json_name} and {field.json_name}"
        raise Rejected(both, "one of them")
