"""The places of a request that redaction can name: lists of attributes, log bodies, texts."""

from collections.abc import Mapping
from functools import cache
from typing import Final, Literal, TypeAlias, get_args

import attrs

from otlp_capture.otlp.tables import Field, MessageTable

AttributePlace: TypeAlias = Literal[
    "resource", "scope", "span", "event", "link", "metric", "point", "exemplar", "log", "other"
]
"""Whose attributes; `other` is a list that a later release of OTLP brings."""

TextPlace: TypeAlias = Literal["span_name", "event_name", "status_message", "trace_state"]
"""A single text of a record."""

Place: TypeAlias = AttributePlace | Literal["body"] | TextPlace

ATTRIBUTE_PLACES: Final[tuple[AttributePlace, ...]] = get_args(AttributePlace)
TEXT_PLACES: Final[tuple[TextPlace, ...]] = get_args(TextPlace)
PLACES: Final[tuple[Place, ...]] = (*ATTRIBUTE_PLACES, "body", *TEXT_PLACES)

_PROTO: Final = "opentelemetry.proto."
_NESTING: Final = frozenset(
    _PROTO + f"common.v1.{name}" for name in ("KeyValue", "KeyValueList", "ArrayValue", "AnyValue")
)
"""The messages inside an attribute: what stands there has a path, and no place of its own."""
_ATTRIBUTES: Final[Mapping[str, AttributePlace]] = {
    _PROTO + "resource.v1.Resource": "resource",
    _PROTO + "common.v1.InstrumentationScope": "scope",
    _PROTO + "trace.v1.Span": "span",
    _PROTO + "trace.v1.Span.Event": "event",
    _PROTO + "trace.v1.Span.Link": "link",
    _PROTO + "metrics.v1.Metric": "metric",
    _PROTO + "metrics.v1.NumberDataPoint": "point",
    _PROTO + "metrics.v1.HistogramDataPoint": "point",
    _PROTO + "metrics.v1.ExponentialHistogramDataPoint": "point",
    _PROTO + "metrics.v1.SummaryDataPoint": "point",
    _PROTO + "metrics.v1.Exemplar": "exemplar",
    _PROTO + "logs.v1.LogRecord": "log",
}
_TEXTS: Final[Mapping[tuple[str, str], TextPlace]] = {
    (_PROTO + "trace.v1.Span", "name"): "span_name",
    (_PROTO + "trace.v1.Span", "trace_state"): "trace_state",
    (_PROTO + "trace.v1.Span.Event", "name"): "event_name",
    (_PROTO + "trace.v1.Span.Link", "trace_state"): "trace_state",
    (_PROTO + "trace.v1.Status", "message"): "status_message",
    (_PROTO + "logs.v1.LogRecord", "event_name"): "event_name",
}


@attrs.frozen(eq=False)
class MessagePlaces:
    """What redaction finds in one message type.

    Attributes:
        attributes: its lists of attributes.
        bodies: its fields that hold one value.
        texts: its fields that hold one text.
        inner: its other message fields.
    """

    attributes: tuple[tuple[Field, AttributePlace], ...]
    bodies: tuple[Field, ...]
    texts: tuple[tuple[str, TextPlace], ...]
    inner: tuple[Field, ...]


@cache
def places_in(table: MessageTable) -> MessagePlaces:
    """Return the places of a message type; the messages inside an attribute have none."""
    attributes: list[tuple[Field, AttributePlace]] = []
    bodies: list[Field] = []
    texts: list[tuple[str, TextPlace]] = []
    inner: list[Field] = []
    for field in table.by_number.values():
        if _is_attribute_list(table, field):
            attributes.append((field, _ATTRIBUTES.get(table.full_name, "other")))
        elif _is_body(table, field):
            bodies.append(field)
        elif (table.full_name, field.name) in _TEXTS:
            texts.append((field.name, _TEXTS[table.full_name, field.name]))
        elif field.kind == "message":
            inner.append(field)
    return MessagePlaces(tuple(attributes), tuple(bodies), tuple(texts), tuple(inner))


def place_of(table: MessageTable, field: Field) -> Place | None:
    """Return which place a field of a message is; None where it is none."""
    if _is_attribute_list(table, field):
        return _ATTRIBUTES.get(table.full_name, "other")
    if _is_body(table, field):
        return "body"
    return _TEXTS.get((table.full_name, field.name))


def _is_attribute_list(table: MessageTable, field: Field) -> bool:
    """Say whether a field holds attributes, and not the keys inside one."""
    return field.name in table.attribute_lists and table.full_name not in _NESTING


def _is_body(table: MessageTable, field: Field) -> bool:
    """Say whether a field holds a value without a key."""
    is_value = field.kind == "message" and field.message.is_any_value
    return is_value and table.full_name not in _NESTING
