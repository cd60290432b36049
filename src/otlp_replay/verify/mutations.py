"""Which changes of A can be declared, and whether a declaration makes sense."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import (
    ATTRIBUTE_PLACES,
    TEXT_PLACES,
    DropAttribute,
    Edit,
    RenameAttribute,
    SetAttribute,
    SetText,
    apply_edits,
)

Mutation: TypeAlias = Edit
"""A declared change: `DropAttribute`, `SetAttribute`, `RenameAttribute` or `SetText`."""

_INT64: Final = range(-(1 << 63), 1 << 63)

mutate: Final = apply_edits


def wrong_mutation(mutation: object) -> InvalidConfig | None:
    """Return what cannot be of a mutation; None where it can."""
    places: Sequence[str] = ATTRIBUTE_PLACES
    texts: Sequence[object]
    match mutation:
        case SetText(on=on, text=text):
            places, texts = TEXT_PLACES, [text]
        case RenameAttribute(key=key, to=to, on=on):
            texts = [key, to]
        case DropAttribute(key=key, on=on) | SetAttribute(key=key, on=on):
            texts = [key]
        case _:
            allowed = "use DropAttribute, SetAttribute, RenameAttribute or SetText"
            return InvalidConfig("mutations", mutation, allowed)
    if on not in places:
        return InvalidConfig("mutations.on", on, f"use one of {', '.join(places)}")
    if {type(text) for text in texts} != {str}:
        return InvalidConfig("mutations", mutation, "its names and texts are strings")
    if isinstance(mutation, SetAttribute) and not _is_value(mutation.value):
        allowed = "it is a string, a bool, a float, or a whole number of 64 bits"
        return InvalidConfig("mutations.value", mutation.value, allowed)
    return None


def _is_value(value: object) -> bool:
    return isinstance(value, str | float | bool) or (isinstance(value, int) and value in _INT64)
