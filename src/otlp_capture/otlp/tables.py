"""What the wire needs to know about each message, read from opentelemetry-proto's descriptors.

No field is listed by hand here but the ids, so a new release of OTLP needs no new code.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias, cast

import attrs
from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    DescriptorProto,
    FieldDescriptorProto,
)

Kind: TypeAlias = Literal[
    "message",
    "string",
    "bytes",
    "id",
    "bool",
    "double",
    "float",
    "enum",
    "int32",
    "uint32",
    "int64",
    "uint64",
]
"""How a field's value reads in JSON; `id` is bytes that OTLP/JSON writes as hex."""

WireType: TypeAlias = Literal[0, 1, 2, 5]

_ZIGZAG: Final = (FieldDescriptorProto.TYPE_SINT32, FieldDescriptorProto.TYPE_SINT64)
_ID_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_KEY_VALUE: Final = "opentelemetry.proto.common.v1.KeyValue"
_ANY_VALUE: Final = "opentelemetry.proto.common.v1.AnyValue"

_TYPES: Final[Mapping[int, tuple[Kind, WireType]]] = {
    FieldDescriptorProto.TYPE_MESSAGE: ("message", 2),
    FieldDescriptorProto.TYPE_STRING: ("string", 2),
    FieldDescriptorProto.TYPE_BYTES: ("bytes", 2),
    FieldDescriptorProto.TYPE_BOOL: ("bool", 0),
    FieldDescriptorProto.TYPE_DOUBLE: ("double", 1),
    FieldDescriptorProto.TYPE_FLOAT: ("float", 5),
    FieldDescriptorProto.TYPE_ENUM: ("enum", 0),
    FieldDescriptorProto.TYPE_INT32: ("int32", 0),
    FieldDescriptorProto.TYPE_SINT32: ("int32", 0),
    FieldDescriptorProto.TYPE_SFIXED32: ("int32", 5),
    FieldDescriptorProto.TYPE_UINT32: ("uint32", 0),
    FieldDescriptorProto.TYPE_FIXED32: ("uint32", 5),
    FieldDescriptorProto.TYPE_INT64: ("int64", 0),
    FieldDescriptorProto.TYPE_SINT64: ("int64", 0),
    FieldDescriptorProto.TYPE_SFIXED64: ("int64", 1),
    FieldDescriptorProto.TYPE_UINT64: ("uint64", 0),
    FieldDescriptorProto.TYPE_FIXED64: ("uint64", 1),
}


@attrs.frozen(eq=False)
class Field:
    """One field of a message.

    Attributes:
        number: its number on the wire.
        name: its name in the .proto file and in Python.
        json_name: its lowerCamelCase name.
        kind: how its value reads in JSON.
        wire_type: how one value of it stands on the wire.
        is_repeated: it holds a list.
        is_timestamp: a fixed64 whose name ends in `time_unix_nano`.
        is_zigzag: a varint that is zigzag-coded, as sint32 and sint64 are.
        oneof: the name of the oneof it belongs to.
        enum: number by name, for an enum.
        type_name: the full name of its message.
    """

    number: int
    name: str
    json_name: str
    kind: Kind
    wire_type: WireType
    is_repeated: bool
    is_timestamp: bool
    is_zigzag: bool
    oneof: str | None
    enum: Mapping[str, int]
    type_name: str | None

    @cached_property
    def message(self) -> "MessageTable":
        """The table of its message, for a field whose kind is `message`."""
        return _TABLES[cast("str", self.type_name)]


@attrs.frozen(eq=False)
class MessageTable:
    """One message type.

    Attributes:
        full_name: its name with its package.
        by_number: fields in the order of their numbers.
        by_json_name: fields by lowerCamelCase name.
        by_any_name: fields by lowerCamelCase name and by their name in the .proto file.
        timestamps: names of its own timestamps.
        ids: names of its own trace and span ids.
        attribute_lists: names of its repeated KeyValues.
    """

    full_name: str
    by_number: Mapping[int, Field]
    by_json_name: Mapping[str, Field]
    by_any_name: Mapping[str, Field]
    timestamps: tuple[str, ...]
    ids: tuple[str, ...]
    attribute_lists: tuple[str, ...]

    @cached_property
    def is_any_value(self) -> bool:
        """Whether this is AnyValue, the one message that holds itself."""
        return self.full_name == _ANY_VALUE

    @cached_property
    def to_timestamps(self) -> tuple[Field, ...]:
        """Message fields that have timestamps inside."""
        return self._through(lambda table: bool(table.timestamps))

    @cached_property
    def to_ids(self) -> tuple[Field, ...]:
        """Message fields that have trace or span ids inside."""
        return self._through(lambda table: bool(table.ids))

    @cached_property
    def to_values(self) -> tuple[Field, ...]:
        """Message fields that have an AnyValue inside."""
        return self._through(lambda table: table.is_any_value)

    @cached_property
    def to_canonical(self) -> tuple[Field, ...]:
        """Message fields, no attribute lists, that have timestamps or attributes inside."""
        fields = self._through(lambda table: bool(table.timestamps or table.attribute_lists))
        return tuple(field for field in fields if field.name not in self.attribute_lists)

    def _through(self, is_goal: Callable[["MessageTable"], bool]) -> tuple[Field, ...]:
        return tuple(
            field
            for field in self.by_number.values()
            if field.kind == "message" and any(map(is_goal, reachable_from(field.message)))
        )


_TABLES: Final[dict[str, MessageTable]] = {}


def table_of(descriptor: Any) -> MessageTable:
    """Return the table of a message, and make those of all messages inside it.

    Args:
        descriptor: a protobuf `Descriptor`.
    """
    pending = [descriptor]
    while pending:
        each = pending.pop()
        if each.full_name in _TABLES:
            continue
        _TABLES[each.full_name] = _read(each)
        pending.extend(field.message_type for field in each.fields if field.message_type)
    return _TABLES[descriptor.full_name]


def _read(descriptor: Any) -> MessageTable:
    proto = DescriptorProto()
    descriptor.CopyToProto(proto)
    # The label is read from the proto: its accessor on the descriptor differs between releases.
    repeated = {
        field.number for field in proto.field if field.label == FieldDescriptorProto.LABEL_REPEATED
    }
    fields = [
        _read_field(field, is_repeated=field.number in repeated) for field in descriptor.fields
    ]
    by_json_name = {field.json_name: field for field in fields}
    return MessageTable(
        full_name=descriptor.full_name,
        by_number={field.number: field for field in sorted(fields, key=lambda each: each.number)},
        by_json_name=by_json_name,
        by_any_name={**{field.name: field for field in fields}, **by_json_name},
        timestamps=tuple(field.name for field in fields if field.is_timestamp),
        ids=tuple(field.name for field in fields if field.kind == "id"),
        attribute_lists=tuple(
            field.name for field in fields if field.is_repeated and field.type_name == _KEY_VALUE
        ),
    )


def _read_field(descriptor: Any, *, is_repeated: bool) -> Field:
    kind, wire_type = _TYPES[descriptor.type]
    enum = descriptor.enum_type
    return Field(
        number=descriptor.number,
        name=descriptor.name,
        json_name=descriptor.json_name,
        kind="id" if kind == "bytes" and descriptor.name in _ID_FIELDS else kind,
        wire_type=wire_type,
        is_repeated=is_repeated,
        is_timestamp=descriptor.type == FieldDescriptorProto.TYPE_FIXED64
        and descriptor.name.endswith("time_unix_nano"),
        is_zigzag=descriptor.type in _ZIGZAG,
        oneof=descriptor.containing_oneof.name if descriptor.containing_oneof else None,
        enum={value.name: value.number for value in enum.values} if enum else {},
        type_name=descriptor.message_type.full_name if descriptor.message_type else None,
    )


def reachable_from(table: MessageTable) -> Iterator[MessageTable]:
    """Yield *table* and the table of every message that may stand inside, once."""
    seen: set[str] = set()
    pending = [table]
    while pending:
        each = pending.pop()
        if each.full_name in seen:
            continue
        seen.add(each.full_name)
        yield each
        pending.extend(
            field.message for field in each.by_number.values() if field.kind == "message"
        )
