# cython: language_level=3
"""What a walk does at each tag of each message, in tables made from the descriptors."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint32_t

from otlp_capture.otlp.kernel.wire cimport END_GROUP, FIXED32, FIXED64, LENGTH, START_GROUP, VARINT

_ONE_BYTE_TAGS = 1 << 7
_MAX_TAGS = 1 << 20
_MAX_SINGLES = 64
_UNKNOWN = {
    VARINT: PLAIN_VARINT,
    FIXED64: PLAIN_FIXED64,
    LENGTH: PLAIN_BYTES,
    START_GROUP: OPEN_GROUP,
    END_GROUP: CLOSE_GROUP,
    FIXED32: PLAIN_FIXED32,
    6: NO_WIRE_TYPE,
    7: NO_WIRE_TYPE,
}
_KNOWN = {
    VARINT: PLAIN_VARINT,
    FIXED64: PLAIN_FIXED64,
    LENGTH: PLAIN_BYTES,
    FIXED32: PLAIN_FIXED32,
}
_PACKED = {VARINT: PACKED_VARINTS, FIXED64: PACKED_FIXED64, FIXED32: PACKED_FIXED32}
_LENGTH_DELIMITED = {"message": INNER_MESSAGE, "string": TEXT, "id": ID}


cdef class Layout:
    """The tables of all messages that are reached from some.

    Args:
        tables: each `MessageTable`, the requests first; a message is known by its place here.
        traits: of a field, by the full name of its message and its name: a set of `record`,
            `record_time`, `fallback_time`, `container`, `resource`, `scopes`, `trace_id`,
            `span_id`, `parent_span_id`.
        places: the number of a place of a redaction, from 1, by the same names.
    """

    def __cinit__(self, tables, traits, places):
        self.tables = tuple(tables)
        cdef dict messages = {table.full_name: at for at, table in enumerate(self.tables)}
        limits = [max(_ONE_BYTE_TAGS, (max(t.by_number, default=0) + 1) << 3) for t in self.tables]
        cdef uint32_t total = sum(limits) + _ONE_BYTE_TAGS
        if total > _MAX_TAGS:
            raise ValueError(f"field numbers that need tables of {total} entries")
        self.entries = <TagEntry*>PyMem_Calloc(total, sizeof(TagEntry))
        self.messages = <MessageEntry*>PyMem_Calloc(len(limits), sizeof(MessageEntry))
        if self.entries == NULL or self.messages == NULL:
            raise MemoryError
        cdef TagEntry* free = self.entries
        cdef uint32_t at, tag
        for at, table in enumerate(self.tables):
            self.messages[at].by_tag = free
            self.messages[at].limit = limits[at]
            singles = {}
            for tag in range(limits[at]):
                free[tag].handling = _handling(table.by_number.get(tag >> 3), tag)
            for field in table.by_number.values():
                self._describe(free, table, field, traits, singles, messages, places)
            free += <uint32_t>limits[at]
        self.in_group.by_tag = free
        self.in_group.limit = _ONE_BYTE_TAGS
        for tag in range(_ONE_BYTE_TAGS):
            free[tag].handling = _handling(None, tag)
        for tag in range(8):
            self.unknown[tag].handling = _UNKNOWN[tag]
        self._find_service_tags()

    cdef _describe(
        self, TagEntry* by_tag, table, field, traits, singles, messages, places
    ):
        """Fill in what only a known field has, at each tag that a value of it may bear."""
        wire_types = [field.wire_type]
        if field.is_repeated and field.wire_type != LENGTH:
            wire_types.append(LENGTH)
        cdef uint32_t tag
        for wire_type in wire_types:
            tag = field.number << 3 | <int>wire_type
            by_tag[tag].traits = _traits(field, traits.get((table.full_name, field.name), ()))
            by_tag[tag].place = places.get((table.full_name, field.name), 0)
            by_tag[tag].single = 0 if field.is_repeated else _single(field, singles)
            if field.kind == "message":
                by_tag[tag].message = self.messages + <uint32_t>messages[field.type_name]

    cdef _find_service_tags(self):
        """Note the way from a resource to its service: attributes, key, value, string_value."""
        resource, attributes = next(
            (table, field)
            for table in self.tables
            if table.full_name == "opentelemetry.proto.resource.v1.Resource"
            for field in table.by_number.values()
            if field.name == "attributes"
        )
        key_value = attributes.message.by_any_name
        self.attributes_tag = attributes.number << 3 | LENGTH
        self.key_tag = key_value["key"].number << 3 | LENGTH
        self.value_tag = key_value["value"].number << 3 | LENGTH
        any_value = key_value["value"].message.by_any_name
        self.string_tag = any_value["string_value"].number << 3 | LENGTH

    def __dealloc__(self):
        PyMem_Free(self.entries)
        PyMem_Free(self.messages)


def _handling(field, uint32_t tag):
    wire_type = tag & 7
    if tag >> 3 == 0:
        return NO_FIELD
    if field is None:
        return _UNKNOWN[wire_type]
    if wire_type == field.wire_type:
        if field.is_timestamp:
            return TIMESTAMP
        return _LENGTH_DELIMITED.get(field.kind, _KNOWN[wire_type])
    if wire_type == LENGTH and field.is_repeated:
        return _PACKED[field.wire_type]
    return _UNKNOWN[wire_type]


def _single(field, singles):
    # Beyond the last bit they share it, and a walk hands over where it need not.
    place = singles.setdefault(field.oneof or field.name, len(singles))
    return 1 << min(place, _MAX_SINGLES - 1)


def _traits(field, named):
    traits = IS_KNOWN
    if field.kind == "message":
        traits |= IS_COUNTED | (IS_ANY_VALUE if field.message.is_any_value else 0)
        traits |= HOLDS_TIMES if field.message.timestamps or field.message.to_timestamps else 0
        traits |= HOLDS_IDS if field.message.ids or field.message.to_ids else 0
    elif field.is_repeated and field.wire_type == LENGTH:
        traits |= IS_COUNTED
    for name, trait in (
        ("record", IS_RECORD),
        ("record_time", IS_RECORD_TIME),
        ("fallback_time", IS_FALLBACK_TIME),
        ("container", IS_CONTAINER),
        ("resource", IS_RESOURCE),
        ("scopes", HOLDS_SCOPES),
        ("trace_id", IS_TRACE_ID),
        ("span_id", IS_SPAN_ID),
        ("parent_span_id", IS_PARENT_ID),
    ):
        if name in named:
            traits |= trait
    return traits
