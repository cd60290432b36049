"""How deep an AnyValue may hold AnyValues, and the check that a request passes before its use."""

from typing import Final

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.messages import Message, parse_request, request_table
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.tables import Field, MessageTable
from otlp_capture.otlp.wire import check_element_count
from otlp_capture.result import Failure, Outcome, Success

HOLDS_VALUES: Final = frozenset({"array_value", "kvlist_value"})
"""The members of AnyValue that hold further AnyValues."""


def check_request(
    request: bytes, signal: Signal, limits: Limits
) -> Outcome[Message, InvalidRequest | RequestTooLarge]:
    """Parse a protobuf request that may come from anyone.

    Its size and its elements are counted before it is parsed.

    Fails with:
        RequestTooLarge: more bytes or elements than *limits* allow.
        InvalidRequest: malformed protobuf, text that is not UTF-8, an AnyValue nested too deep.
    """
    if len(request) > limits.max_bytes:
        return Failure(RequestTooLarge("bytes", limits.max_bytes))
    counted = check_element_count(request, request_table(signal), limits)
    if isinstance(counted, Failure):
        return counted
    return parse_nested_request(request, signal, limits.max_any_value_depth)


def parse_nested_request(
    request: bytes, signal: Signal, max_depth: int
) -> Outcome[Message, InvalidRequest]:
    """Parse a protobuf request and hold its AnyValues against *max_depth*.

    Fails with:
        InvalidRequest: malformed protobuf, text that is not UTF-8, an AnyValue nested too deep.
    """
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    message = parsed.unwrap()
    path = _path_too_deep(message, request_table(signal), max_depth)
    if path is not None:
        return Failure(InvalidRequest(path, *describe_nesting(max_depth)))
    return Success(message)


def describe_nesting(max_depth: int) -> tuple[str, str]:
    """Return what is found, and what is allowed, where an AnyValue is nested too deep.

    >>> describe_nesting(32)
    ('an AnyValue nested 33 deep', 'at most 32 levels')
    """
    return f"an AnyValue nested {max_depth + 1} deep", f"at most {max_depth} levels"


def _path_too_deep(message: Message, table: MessageTable, depth_left: int) -> str | None:
    """Return the path from *message* to the first AnyValue that is too deep."""
    if table.is_any_value:
        if depth_left == 0:
            return ""
        depth_left -= 1
    for field in table.to_values:
        found = _path_through(message, table, field, depth_left)
        if found is not None:
            return found
    return None


def _path_through(
    message: Message, table: MessageTable, field: Field, depth_left: int
) -> str | None:
    children = getattr(message, field.name)
    if not field.is_repeated:
        if not message.HasField(field.name):
            return None
        found = _path_too_deep(children, field.message, depth_left)
        return None if found is None else _joined(field.json_name, found)
    is_attributes = field.name in table.attribute_lists
    for index, child in enumerate(children):
        # Nearly all attributes are plain: they are passed over without a call.
        if is_attributes and depth_left and child.value.WhichOneof("value") not in HOLDS_VALUES:
            continue
        found = _path_too_deep(child, field.message, depth_left)
        if found is not None:
            return _joined(f"{field.json_name}[{index}]", found)
    return None


def _joined(segment: str, rest: str) -> str:
    return f"{segment}.{rest}" if rest else segment
