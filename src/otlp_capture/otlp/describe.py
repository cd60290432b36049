"""A record and its context as plain values, and the first field in which two of them differ."""

import re
import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from otlp_capture.otlp.json_encode import write_double
from otlp_capture.otlp.json_text import is_array, is_object
from otlp_capture.otlp.messages import Message, new_request, parse_into, table_of_message, to_bytes
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.structure import RESOURCES
from otlp_capture.otlp.tables import Kind
from otlp_capture.result import or_raise

Difference: TypeAlias = tuple[str, Any, Any]
"""A path, and what stands there on either side; None where nothing does."""

_SEGMENT: Final = re.compile(r"([A-Za-z0-9]+)(?:\[([0-9]+)\])?")
_TIMESTAMP: Final = re.compile(r"(?:.*T|t)imeUnixNano")


def describe(request: bytes, signal: Signal, path: str) -> dict[str, Any]:
    """Show a record with everything around it.

    Args:
        request: protobuf bytes that `canonical_records` has taken.
        signal: what they carry.
        path: the `path` of one of its records.

    Returns:
        One entry for each level of the path, named as in OTLP/JSON: the containers without what
        they contain, then the record. Attributes stand under their key, so that order does not
        show; a second attribute of one key stands under `key#2`. Integers are integers, bytes are
        hex, and unknown fields are hex under `unknownFields`.

    Raises:
        ValueError: the request has no such path.
        OutcomeFailed: the bytes are malformed.
    """
    return describer(request, signal)(path)


def describer(request: bytes, signal: Signal) -> Callable[[str], dict[str, Any]]:
    """Return what `describe` says of the records of one request, by their paths; it parses once.

    Args:
        request: protobuf bytes that `canonical_records` has taken.
        signal: what they carry.

    Raises:
        OutcomeFailed: the bytes are malformed.
    """
    message = or_raise(parse_into(new_request(signal), request))
    return partial(_describe, message, signal, {})


def _describe(
    message: Message, signal: Signal, known: dict[str, dict[str, Any]], path: str
) -> dict[str, Any]:
    """Describe a record; *known* keeps what stands around it, for the others there."""
    if not path:
        return {"request": _plain(message, without=RESOURCES[signal])}
    levels: dict[str, Any] = {}
    segments = [_segment(text, path) for text in path.split(".")]
    for depth, (name, index) in enumerate(segments):
        message = _child(message, name, index, path)
        fields = table_of_message(message).by_json_name
        below = fields.get(segments[depth + 1][0]) if depth + 1 < len(segments) else None
        if below is None:
            levels[name] = _plain(message)
            continue
        around = ".".join(path.split(".")[: depth + 1])
        if around not in known:
            known[around] = _plain(message, without=below.name)
        levels[name] = known[around]
    return levels


def _segment(text: str, path: str) -> tuple[str, int]:
    match = _SEGMENT.fullmatch(text)
    if match is None:
        message = f"{path!r} is no path of a record: {text!r} is no name with an index"
        raise ValueError(message)
    return match[1], int(match[2] or 0)


def _child(message: Message, name: str, index: int, path: str) -> Message:
    field = table_of_message(message).by_json_name.get(name)
    if field is None or field.kind != "message":
        unknown = f"{path!r} is no path of a record: there is no message {name!r}"
        raise ValueError(unknown)
    children = getattr(message, field.name)
    if not field.is_repeated:
        return children
    if index >= len(children):
        missing = f"{path!r} is no path of this request: it has {len(children)} {name} there"
        raise ValueError(missing)
    return children[index]


def _plain(message: Message, without: str | None = None) -> dict[str, Any]:
    """Return what is set of *message*, but for the field *without*."""
    table = table_of_message(message)
    plain: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        field = table.by_number[descriptor.number]
        if field.name == without:
            continue
        if field.name in table.attribute_lists:
            plain[field.json_name] = _plain_attributes(value)
            continue
        write = _WRITERS.get(field.kind, _as_it_is)
        plain[field.json_name] = (
            [write(each) for each in value] if field.is_repeated else write(value)
        )
    if unknown := _unknown_bytes(message):
        plain["unknownFields"] = unknown.hex()
    return plain


def _plain_attributes(attributes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for attribute in attributes:
        key = attribute.key
        seen[key] = seen.get(key, 0) + 1
        rest = _plain(attribute)
        rest.pop("key", None)
        value = rest.pop("value", "no value")
        # A KeyValue that holds more than a key and a value is shown whole.
        plain[key if seen[key] == 1 else f"{key}#{seen[key]}"] = (
            {"value": value, **rest} if rest else value
        )
    return plain


def _unknown_bytes(message: Message) -> bytes:
    rest = type(message)()
    rest.CopyFrom(message)
    for descriptor, _ in message.ListFields():
        rest.ClearField(descriptor.name)
    return to_bytes(rest)


def _as_it_is(value: Any) -> Any:
    return value


def _plain_double(value: float) -> float | str:
    """Return a number, or its name; a NaN that is not the usual one shows its bits."""
    written = write_double(value)
    bits = struct.pack(">d", value).hex()
    is_odd_nan = written == "NaN" and bits != "7ff8000000000000"
    return f"NaN({bits})" if is_odd_nan else written


_WRITERS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "message": _plain,
    "bytes": bytes.hex,
    "id": bytes.hex,
    "double": _plain_double,
    "float": _plain_double,
}


def first_difference(
    left: Mapping[str, Any], right: Mapping[str, Any], *, shift_ns: int = 0
) -> Difference | None:
    """Return the first field in which two descriptions differ, None where there is none.

    Args:
        left: what `describe` says of the one.
        right: what it says of the other.
        shift_ns: how much later the timestamps of *right* are, as declared; it is taken off before
            they are compared, and the difference shows them as they are.

    >>> first_difference({"span": {"name": "a"}}, {"span": {"name": "b"}})
    ('span.name', 'a', 'b')
    >>> first_difference({"startTimeUnixNano": 5}, {"startTimeUnixNano": 7}, shift_ns=2)
    """
    return _difference(left, right, "", shift_ns)


def _difference(left: Any, right: Any, path: str, shift_ns: int) -> Difference | None:
    if is_object(left) and is_object(right):
        return _mapping_difference(left, right, path, shift_ns)
    if is_array(left) and is_array(right):
        return _list_difference(left, right, path, shift_ns)
    # 1, 1.0 and True are equal in Python and different on the wire; so are 0.0 and -0.0.
    is_same = type(left) is type(right) and repr(left) == repr(right)
    return None if is_same else (path, left, right)


def _mapping_difference(
    left: Mapping[str, Any], right: Mapping[str, Any], path: str, shift_ns: int
) -> Difference | None:
    for key in dict.fromkeys((*left, *right)):
        inner = f"{path}.{key}" if path else key
        one, other = left.get(key), right.get(key)
        if isinstance(one, int) and isinstance(other, int) and _TIMESTAMP.fullmatch(key):
            if one + shift_ns != other:
                return inner, one, other
            continue
        found = _difference(one, other, inner, shift_ns)
        if found is not None:
            return found
    return None


def _list_difference(
    left: list[Any], right: list[Any], path: str, shift_ns: int
) -> Difference | None:
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else None
        other = right[index] if index < len(right) else None
        found = _difference(one, other, f"{path}[{index}]", shift_ns)
        if found is not None:
            return found
    return None
