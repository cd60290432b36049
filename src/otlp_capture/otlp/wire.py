"""A walk over protobuf bytes that builds nothing: it counts elements and finds faults.

The parser (upb) decides what is valid. This walk stands before it, because 20 MiB of empty spans
parse to 1.8 GB, and behind it, because its refusals do not say where. It refuses nothing that the
parser takes.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.tables import Field, MessageTable
from otlp_capture.result import Failure, Outcome, Success

MAX_MESSAGE_DEPTH: Final = 100
"""How many messages upb lets stand inside each other below the outermost one."""

_MAX_VARINT_BYTES: Final = 10
_MAX_TAG: Final = 2**32 - 1
_FIXED_WIDTH: Final = {1: 8, 5: 4}
_VARINT, _LENGTH, _START_GROUP, _END_GROUP = 0, 2, 3, 4

_Item: TypeAlias = tuple[Field | None, int, int, int]
"""A field (None: unknown), its wire type, and where its value begins and ends."""

_Frame: TypeAlias = tuple[int, MessageTable | None, int]
"""A message or group being read: where it ends, its table, and its number if it is a group."""


@attrs.frozen
class _Fault(Exception):  # noqa: N818 - it names what is found, and never leaves this module
    offset: int
    reason: str


def check_element_count(
    body: bytes, table: MessageTable, limits: Limits
) -> Outcome[None, InvalidRequest | RequestTooLarge]:
    """Count elements until the rest of *body* is too short to hold more than are allowed.

    An element costs two bytes at least, so a body shorter than twice the limit is not read at all.
    Time is linear in the body, memory does not depend on it.

    Fails with:
        RequestTooLarge: there are more elements than `limits.max_elements`.
        InvalidRequest: the bytes are malformed before that is known.
    """
    limit, size, count = limits.max_elements, len(body), 0
    if size // 2 <= limit:
        return Success(None)
    try:
        for field, _, start, _ in _walk(body, table):
            if field is not None and (field.kind == "message" or _is_repeated_text(field)):
                count += 1
            if count > limit:
                return Failure(RequestTooLarge("elements", limit))
            if count + (size - start) // 2 <= limit:
                break
    except _Fault as fault:
        return Failure(_as_error(fault))
    return Success(None)


def explain_refusal(body: bytes, table: MessageTable) -> InvalidRequest:
    """Find what made the parser refuse *body*."""
    try:
        for field, wire_type, start, end in _walk(body, table):
            if field is not None and wire_type == _LENGTH:
                _check_payload(field, body, start, end)
    except _Fault as fault:
        return _as_error(fault)
    return InvalidRequest("byte 0", f"{len(body)} bytes that do not parse", "one protobuf message")


def _as_error(fault: _Fault) -> InvalidRequest:
    return InvalidRequest(
        f"byte {fault.offset}", fault.reason, "well-formed protobuf of this signal"
    )


def _is_repeated_text(field: Field) -> bool:
    return field.is_repeated and field.kind in ("string", "bytes", "id")


def _check_payload(field: Field, body: bytes, start: int, end: int) -> None:
    if field.kind == "string":
        try:
            body[start:end].decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"bytes in {field.json_name} that are not UTF-8"
            raise _Fault(start + error.start, reason) from None
    if field.wire_type in _FIXED_WIDTH and (end - start) % _FIXED_WIDTH[field.wire_type]:
        raise _Fault(start, f"a packed {field.json_name} that ends inside a value")
    if field.wire_type == _VARINT:
        while start < end:
            _, start = _read_varint(body, start, end)


def _walk(body: bytes, root: MessageTable) -> Iterator[_Item]:
    """Yield every field, those of inner messages right after the one that holds them."""
    stack: list[_Frame] = []
    position, end, group = 0, len(body), 0
    table: MessageTable | None = root
    while True:
        if position == end and not group:
            if not stack:
                return
            end, table, group = stack.pop()
            continue
        begin = position
        tag, position = _read_varint(body, position, end)
        number, wire_type = tag >> 3, tag & 7
        if not number or tag > _MAX_TAG:
            raise _Fault(begin, f"the field number {number}")
        if wire_type == _END_GROUP:
            if number != group:
                raise _Fault(begin, f"the end of a group {number} that was not begun")
            end, table, group = stack.pop()
            continue
        if wire_type == _START_GROUP:
            _check_depth(stack, begin)
            stack.append((end, table, group))
            table, group = None, number
            continue
        field = table.by_number.get(number) if table else None
        start, position = _value_span(body, position, end, wire_type)
        if field is not None and not _fits(field, wire_type):
            field = None
        yield field, wire_type, start, position
        if field is not None and field.kind == "message":
            _check_depth(stack, begin)
            stack.append((end, table, group))
            table, group, end, position = field.message, 0, position, start


def _check_depth(stack: list[_Frame], offset: int) -> None:
    if len(stack) >= MAX_MESSAGE_DEPTH:
        raise _Fault(offset, f"messages nested deeper than {MAX_MESSAGE_DEPTH} levels")


def _fits(field: Field, wire_type: int) -> bool:
    is_packed = field.is_repeated and wire_type == _LENGTH
    return wire_type == field.wire_type or is_packed


def _value_span(body: bytes, position: int, end: int, wire_type: int) -> tuple[int, int]:
    """Return where the value at *position* begins and ends, behind its length if it has one."""
    start = position
    if wire_type == _VARINT:
        _, stop = _read_varint(body, position, end)
    elif wire_type == _LENGTH:
        length, start = _read_varint(body, position, end)
        stop = start + length
    elif wire_type in _FIXED_WIDTH:
        stop = position + _FIXED_WIDTH[wire_type]
    else:
        raise _Fault(position - 1, f"the wire type {wire_type}")
    if stop > end:
        raise _Fault(position, f"a value of {stop - start} bytes where {end - start} are left")
    return start, stop


def _read_varint(body: bytes, position: int, end: int) -> tuple[int, int]:
    if position < end and body[position] < 0x80:  # noqa: PLR2004 - the bit that says more follows
        return body[position], position + 1
    value = 0
    for index, byte in enumerate(body[position : min(end, position + _MAX_VARINT_BYTES)]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - likewise
            return value, position + index + 1
    raise _Fault(position, "a number that does not end")
