"""Changes that can be declared of a request: attributes dropped, set or renamed, texts set."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import attrs

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.messages import (
    Message,
    children_of,
    parse_request,
    request_table,
    to_bytes,
)
from otlp_capture.otlp.places import AttributePlace, TextPlace, places_in
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.tables import MessageTable
from otlp_capture.result import Failure, Outcome, Success


@attrs.frozen
class DropAttribute:
    """Attributes *key* are gone.

    Attributes:
        key: of which name.
        on: whose attributes, such as `resource` or `span`.
    """

    key: str
    on: AttributePlace


@attrs.frozen
class SetAttribute:
    """Everything of a kind has the attribute *key* with one value, whether it had it or not.

    Attributes:
        key: of which name.
        value: which value.
        on: whose attributes, such as `resource` or `span`.
    """

    key: str
    value: str | bool | int | float
    on: AttributePlace


@attrs.frozen
class RenameAttribute:
    """Attributes *key* have another name, their values as they were.

    Attributes:
        key: the name they had.
        to: the name they have.
        on: whose attributes, such as `resource` or `span`.
    """

    key: str
    to: str
    on: AttributePlace


@attrs.frozen
class SetText:
    """A text of everything of a kind is *text*.

    Attributes:
        on: which text, such as `span_name`.
        text: what it is.
    """

    on: TextPlace
    text: str


Edit: TypeAlias = DropAttribute | SetAttribute | RenameAttribute | SetText
"""One change of everything that has a place."""


def apply_edits(
    request: bytes, signal: Signal, edits: Sequence[Edit]
) -> Outcome[bytes, InvalidRequest]:
    """Carry out *edits* on a request, in their order, wherever in it their places are.

    Args:
        request: protobuf bytes that `scan` has passed.
        signal: what they carry.
        edits: what to change.

    Fails with:
        InvalidRequest: the bytes are malformed.

    >>> apply_edits(b"", "logs", [DropAttribute("host.name", on="resource")])
    <Success: b''>
    """
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    message, table = parsed.unwrap(), request_table(signal)
    for edit in edits:
        _edit_all(message, table, edit)
    return Success(to_bytes(message))


def _edit_all(message: Message, table: MessageTable, edit: Edit) -> None:
    places = places_in(table)
    if isinstance(edit, SetText):
        for name, text_place in places.texts:
            if text_place == edit.on:
                setattr(message, name, edit.text)
    else:
        for field, place in places.attributes:
            if place == edit.on:
                _edit(getattr(message, field.name), edit)
    for field in places.inner:
        for child in children_of(message, field):
            _edit_all(child, field.message, edit)


def _edit(attributes: Any, edit: DropAttribute | SetAttribute | RenameAttribute) -> None:
    named = [place for place, each in enumerate(attributes) if each.key == edit.key]
    match edit:
        case DropAttribute():
            for place in reversed(named):
                del attributes[place]
        case RenameAttribute(to=to):
            for place in named:
                attributes[place].key = to
        case SetAttribute(key=key, value=value):
            for place in reversed(named[1:]):
                del attributes[place]
            holder = attributes[named[0]] if named else attributes.add(key=key)
            _set_value(holder.value, value)


def _set_value(holder: Message, value: str | float) -> None:
    match value:
        case bool():
            holder.bool_value = value
        case int():
            holder.int_value = value
        case float():
            holder.double_value = value
        case str():
            holder.string_value = value
