"""How deep an AnyValue may hold AnyValues, and the check that a request passes before its use."""

from typing import Final

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.messages import Message, children_of, parse_request, request_table
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.tables import Field, MessageTable
from otlp_capture.otlp.wire import check_element_count, find_too_deep, path_to
from otlp_capture.result import Failure, Outcome, Success

HOLDS_VALUES: Final = frozenset({"array_value", "kvlist_value"})
"""The members of AnyValue that hold further AnyValues."""


def check_request(
    request: bytes, signal: Signal, limits: Limits
) -> Outcome[Message, InvalidRequest | RequestTooLarge]:
    """Parse a protobuf request that may come from anyone.

    Its elements are counted before it is parsed.

    Fails with:
        RequestTooLarge: more elements than *limits* allow.
        InvalidRequest: malformed protobuf, text that is not UTF-8, an AnyValue nested too deep.
    """
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
    message, table = parsed.unwrap(), request_table(signal)
    if _is_too_deep(message, table, max_depth):
        offset = find_too_deep(request, table, max_depth)
        return Failure(nested_too_deep(request, signal, offset or 0, max_depth))
    return Success(message)


def nested_too_deep(request: bytes, signal: Signal, offset: int, max_depth: int) -> InvalidRequest:
    """Return what a caller is told of the AnyValue at *offset*, which is nested too deep."""
    path = path_to(request, request_table(signal), offset)
    return InvalidRequest(path, *describe_nesting(max_depth))


def describe_nesting(max_depth: int) -> tuple[str, str]:
    """Return what is found, and what is allowed, where an AnyValue is nested too deep.

    >>> describe_nesting(32)
    ('an AnyValue nested 33 deep', 'at most 32 levels')
    """
    return f"an AnyValue nested {max_depth + 1} deep", f"at most {max_depth} levels"


def _is_too_deep(message: Message, table: MessageTable, depth_left: int) -> bool:
    if table.is_any_value:
        if depth_left == 0:
            return True
        depth_left -= 1
    return any(_is_too_deep_in(message, table, field, depth_left) for field in table.to_values)


def _is_too_deep_in(message: Message, table: MessageTable, field: Field, depth_left: int) -> bool:
    if not depth_left or field.name not in table.attribute_lists:
        children = children_of(message, field)
        return any(_is_too_deep(child, field.message, depth_left) for child in children)
    # Nearly all attributes are plain: they are passed over without a call.
    return any(
        _is_too_deep(attribute, field.message, depth_left)
        for attribute in getattr(message, field.name)
        if attribute.value.WhichOneof("value") in HOLDS_VALUES
    )
