"""What a walk over protobuf bytes can find wrong."""

from enum import IntEnum

import attrs

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.tables import Field


class Fault(IntEnum):
    """What stands where it must not."""

    ENDLESS_NUMBER = 1
    FIELD_NUMBER = 2
    WIRE_TYPE = 3
    LENGTH = 4
    DEPTH = 5
    GROUP_END = 6
    PACKED = 7
    TEXT = 8
    ELEMENTS = 9


MAX_MESSAGE_DEPTH = 100
"""How many messages upb lets stand inside each other below the outermost one."""


@attrs.frozen
class FaultFound(Exception):  # noqa: N818 - it names what is found, and never leaves the wire
    """A fault, and where it is.

    Attributes:
        kind: what it is.
        offset: the byte at which it stands.
        found: the number that is wrong: of a field, of a wire type, of a length in bytes.
        allowed: the bytes that are left for a length.
        field: the field whose text or whose packed numbers are wrong.
    """

    kind: Fault
    offset: int
    found: int = 0
    allowed: int = 0
    field: Field | None = None


def as_error(fault: FaultFound, limits: Limits) -> InvalidRequest | RequestTooLarge:
    """Return what a caller is told of *fault*."""
    if fault.kind is Fault.ELEMENTS:
        return RequestTooLarge("elements", limits.max_elements)
    return invalid(fault)


def invalid(fault: FaultFound) -> InvalidRequest:
    """Return what a caller is told of a fault in the bytes themselves."""
    return InvalidRequest(
        f"byte {fault.offset}", _describe(fault), "well-formed protobuf of this signal"
    )


def _describe(fault: FaultFound) -> str:
    name = fault.field.json_name if fault.field else "an unknown field"
    match fault.kind:
        case Fault.ENDLESS_NUMBER:
            return "a number that does not end"
        case Fault.FIELD_NUMBER:
            return f"the field number {fault.found}"
        case Fault.WIRE_TYPE:
            return f"the wire type {fault.found}"
        case Fault.LENGTH:
            return f"a value of {fault.found} bytes where {fault.allowed} are left"
        case Fault.DEPTH:
            return f"messages nested deeper than {MAX_MESSAGE_DEPTH} levels"
        case Fault.GROUP_END:
            return f"the end of a group {fault.found} that was not begun"
        case Fault.PACKED:
            return f"a packed {name} that ends inside a value"
        case Fault.TEXT:
            return f"bytes in {name} that are not UTF-8"
        case Fault.ELEMENTS:
            return "more elements than are allowed"
