"""Which changes of A can be declared, and whether a declaration makes sense."""

from typing import Final, TypeAlias, get_args

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
    if not isinstance(mutation, get_args(Edit)):
        allowed = "use DropAttribute, SetAttribute, RenameAttribute or SetText"
        return InvalidConfig("mutations", mutation, allowed)
    places = TEXT_PLACES if isinstance(mutation, SetText) else ATTRIBUTE_PLACES
    if mutation.on not in places:
        return InvalidConfig("mutations.on", mutation.on, f"use one of {', '.join(places)}")
    match mutation:
        case SetText(text=text):
            texts: tuple[object, ...] = (text,)
        case RenameAttribute(key=key, to=to):
            texts = (key, to)
        case DropAttribute(key=key) | SetAttribute(key=key):
            texts = (key,)
    if not all(isinstance(text, str) for text in texts):
        return InvalidConfig("mutations", mutation, "its names and texts are strings")
    if isinstance(mutation, SetAttribute) and not _is_value(mutation.value):
        allowed = "it is a string, a bool, a float, or a whole number of 64 bits"
        return InvalidConfig("mutations.value", mutation.value, allowed)
    return None


def _is_value(value: object) -> bool:
    return isinstance(value, str | float | bool) or (isinstance(value, int) and value in _INT64)
