"""A walk over protobuf bytes that builds nothing: it counts elements and finds faults.

The parser (upb) decides what is valid, and this walk agrees with it. It stands before the parser,
because 20 MiB of empty spans parse to 1.8 GB, and behind it, because the parser's refusals do not
say where.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.faults import MAX_MESSAGE_DEPTH, Fault, FaultFound, invalid
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.tables import Field, MessageTable
from otlp_capture.result import Failure, Outcome, Success

_MAX_VARINT_BYTES: Final = 10
_MAX_TAG_BYTES: Final = 5
_MAX_TAG: Final = 2**32 - 1
_FIXED_WIDTH: Final = {1: 8, 5: 4}
_VARINT, _LENGTH, _START_GROUP, _END_GROUP = 0, 2, 3, 4


class _Item(NamedTuple):
    """A value that was passed.

    Attributes:
        field: which; None is unknown, or not of its field's wire type.
        wire_type: its wire type.
        offset: where its tag begins.
        start: where it begins itself, behind its length if it has one.
        end: where it ends.
        values: how many AnyValues it stands in, itself included.
    """

    field: Field | None
    wire_type: int
    offset: int
    start: int
    end: int
    values: int


class _Frame(NamedTuple):
    """A message or group that is being read.

    Attributes:
        end: where it ends, or where at the latest.
        table: its fields; None in a group, where all are unknown.
        group: its number, if it is a group.
        values: how many AnyValues stand around its fields.
    """

    end: int
    table: MessageTable | None
    group: int | None
    values: int


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
        for item in _walk(body, table):
            count += item.field is not None and _is_element(item.field)
            if count > limit:
                return Failure(RequestTooLarge("elements", limit))
            _check_payload(item, body)
            if count + (size - item.start) // 2 <= limit:
                break
    except FaultFound as fault:
        return Failure(invalid(fault))
    return Success(None)


def explain_refusal(body: bytes, table: MessageTable) -> InvalidRequest:
    """Find what made the parser refuse *body*."""
    try:
        for item in _walk(body, table):
            _check_payload(item, body)
    except FaultFound as fault:
        return invalid(fault)
    return InvalidRequest("byte 0", f"{len(body)} bytes that do not parse", "one protobuf message")


def find_too_deep(body: bytes, table: MessageTable, max_values: int) -> int | None:
    """Return where the first AnyValue stands that is nested deeper than *max_values*.

    Args:
        body: well-formed.
        table: its message.
        max_values: how deep an AnyValue may be nested; a plain one has depth 1.
    """
    for item in _walk(body, table):
        if item.values > max_values:
            return item.offset
    return None


def holds_unknown_fields(body: bytes, table: MessageTable) -> bool:
    """Say whether a field stands anywhere in *body* that its message does not know.

    Args:
        body: well-formed.
        table: its message.
    """
    return any(item.field is None for item in _walk(body, table))


def hides_values(body: bytes, table: MessageTable) -> bool:
    """Say whether a value stands in *body* that no parser returns.

    Of a singular field, and of a oneof, a parser keeps the last, or merges what stands there.

    Args:
        body: well-formed.
        table: its message.
    """
    around: list[tuple[int, set[str]]] = [(len(body) + 1, set())]
    for item in _walk(body, table):
        while item.offset >= around[-1][0]:
            around.pop()
        field = item.field
        if field is None:
            continue
        name, stood = field.oneof or field.name, around[-1][1]
        if name in stood:
            return True
        if not field.is_repeated:
            stood.add(name)
        if field.kind == "message":
            around.append((item.end, set()))
    return False


def path_to(body: bytes, table: MessageTable, offset: int) -> str:
    """Return the JSON path to the field whose tag is at *offset*.

    Only the siblings of the field, and of the messages around it, are passed.

    Args:
        body: well-formed.
        table: its message.
        offset: where a known field begins.
    """
    segments: list[str] = []
    places: dict[int, int] = {}
    for item in _walk(body, table, around=offset):
        field = item.field
        if field is None:
            continue
        place = places.get(field.number, 0)
        places[field.number] = place + 1
        if offset < item.end:
            is_listed = field.is_repeated
            segments.append(f"{field.json_name}[{place}]" if is_listed else field.json_name)
            places = {}
        if item.offset == offset:
            break
    return ".".join(segments)


def _is_element(field: Field) -> bool:
    is_listed_text = field.is_repeated and field.kind in ("string", "bytes", "id")
    return field.kind == "message" or is_listed_text


def _check_payload(item: _Item, body: bytes) -> None:
    field, start, end = item.field, item.start, item.end
    if field is None or item.wire_type != _LENGTH:
        return
    if field.kind == "string":
        try:
            body[start:end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise FaultFound(Fault.TEXT, start + error.start, field=field) from None
    if field.wire_type in _FIXED_WIDTH and (end - start) % _FIXED_WIDTH[field.wire_type]:
        raise FaultFound(Fault.PACKED, start, field=field)
    if field.wire_type == _VARINT:
        while start < end:
            _, start = _read_varint(body, start, end, _MAX_VARINT_BYTES)


def _walk(body: bytes, root: MessageTable, *, around: int | None = None) -> Iterator[_Item]:
    """Yield every field, those of inner messages right after the one that holds them.

    Args:
        body: protobuf bytes, from anyone.
        root: what they are.
        around: enter only the messages that hold this byte.
    """
    stack: list[_Frame] = []
    position, now = 0, _Frame(len(body), root, None, 0)
    while True:
        if position == now.end and now.group is None:
            if not stack:
                return
            now = stack.pop()
            continue
        begin = position
        tag, position = _read_varint(body, position, now.end, _MAX_TAG_BYTES)
        number, wire_type = tag >> 3, tag & 7
        # Inside a group the parser takes even the field number 0.
        if (not number and now.group is None) or tag > _MAX_TAG:
            raise FaultFound(Fault.FIELD_NUMBER, begin, number)
        if wire_type == _END_GROUP:
            if number != now.group:
                raise FaultFound(Fault.GROUP_END, begin, number)
            now = stack.pop()
            continue
        if wire_type == _START_GROUP:
            _check_depth(stack, begin)
            yield _Item(None, wire_type, begin, position, position, now.values)
            stack.append(now)
            now = _Frame(now.end, None, number, now.values)
            continue
        field = now.table.by_number.get(number) if now.table else None
        start, position = _value_span(body, position, now.end, wire_type)
        if field is not None and not _fits(field, wire_type):
            field = None
        inner = field.message if field is not None and field.kind == "message" else None
        values = now.values + (inner is not None and inner.is_any_value)
        yield _Item(field, wire_type, begin, start, position, values)
        if inner is not None and (around is None or start <= around < position):
            _check_depth(stack, begin)
            stack.append(now)
            now, position = _Frame(position, inner, None, values), start


def _check_depth(stack: list[_Frame], offset: int) -> None:
    if len(stack) >= MAX_MESSAGE_DEPTH:
        raise FaultFound(Fault.DEPTH, offset)


def _fits(field: Field, wire_type: int) -> bool:
    is_packed = field.is_repeated and wire_type == _LENGTH
    return wire_type == field.wire_type or is_packed


def _value_span(body: bytes, position: int, end: int, wire_type: int) -> tuple[int, int]:
    """Return where the value at *position* begins and ends, behind its length if it has one."""
    start = position
    if wire_type == _VARINT:
        _, stop = _read_varint(body, position, end, _MAX_VARINT_BYTES)
    elif wire_type == _LENGTH:
        length, start = _read_varint(body, position, end, _MAX_TAG_BYTES)
        stop = start + length
    elif wire_type in _FIXED_WIDTH:
        stop = position + _FIXED_WIDTH[wire_type]
    else:
        raise FaultFound(Fault.WIRE_TYPE, position - 1, wire_type)
    if stop > end:
        raise FaultFound(Fault.LENGTH, position, stop - start, end - start)
    return start, stop


def _read_varint(body: bytes, position: int, end: int, most: int) -> tuple[int, int]:
    if position < end and body[position] < 0x80:  # noqa: PLR2004 - the bit that says more follows
        return body[position], position + 1
    value = 0
    for index, byte in enumerate(body[position : min(end, position + most)]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - likewise
            return value, position + index + 1
    raise FaultFound(Fault.ENDLESS_NUMBER, position)
