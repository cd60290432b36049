"""The values a store takes and gives: objects, byte ranges, conditions."""

from typing import Any, TypeAlias

import attrs


@attrs.frozen
class StoredObject:
    """What a store knows of an object without reading it.

    Attributes:
        key: where it lies, without the store's own prefix.
        size_bytes: its length.
        etag: changes when the content does; compare it, never read meaning into it. Unquoted.
        modified_unix_nano: when the store last wrote it. S3 keeps whole seconds, and right after a
            write this is the time of the store's answer.
    """

    key: str
    size_bytes: int
    etag: str
    modified_unix_nano: int


def _at_least(minimum: int) -> Any:
    def check(_: object, attribute: "attrs.Attribute[int]", value: int) -> None:
        if value < minimum:
            message = f"{attribute.name} is {value}; it is {minimum} or more"
            raise ValueError(message)

    return check


@attrs.frozen
class ByteRange:
    """A part of an object: *length* bytes from *start*, clipped at the object's end.

    A start at or past the end is a `RangeNotSatisfiable`, so an empty object has no range.

    Raises:
        ValueError: start is negative or length is less than one.

    Source: RFC 9110, section 14.
    """

    start: int = attrs.field(validator=_at_least(0))
    length: int = attrs.field(validator=_at_least(1))


@attrs.frozen
class IfAbsent:
    """Write only where no object has the key."""


@attrs.frozen
class IfMatch:
    """Write only over the object whose etag is *etag*."""

    etag: str


Condition: TypeAlias = IfAbsent | IfMatch
"""What must hold at the moment of a write, or nothing is written."""
