"""Which numbers protobuf writes zigzag-coded: in JSON they look like any other."""

from typing import Any, Final

from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    FieldDescriptorProto,
)

from otlp_capture.otlp.messages import new_request
from otlp_capture.otlp.signals import SIGNALS

_ZIGZAG: Final = (FieldDescriptorProto.TYPE_SINT32, FieldDescriptorProto.TYPE_SINT64)


def zigzag_fields() -> frozenset[tuple[str, str]]:
    """Return the fields of all requests that are coded so.

    Each is named by the full name of its message and its own name.

    Source: https://protobuf.dev/programming-guides/encoding/#signed-ints.
    """
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    pending: list[Any] = [new_request(signal).DESCRIPTOR for signal in SIGNALS]
    while pending:
        message = pending.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        found.update((message.full_name, each.name) for each in message.fields if _is_so(each))
        pending.extend(each.message_type for each in message.fields if each.message_type)
    return frozenset(found)


def _is_so(field: Any) -> bool:
    return field.type in _ZIGZAG
