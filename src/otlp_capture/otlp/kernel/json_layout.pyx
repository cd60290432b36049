# cython: language_level=3
"""What OTLP/JSON and protobuf call the same fields, in tables made from the descriptors."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

_KINDS = {
    "string": TEXT_KIND,
    "bytes": BYTES_KIND,
    "id": ID_KIND,
    "bool": BOOL_KIND,
    "double": DOUBLE_KIND,
    "enum": ENUM_KIND,
    "int32": INT32_KIND,
    "uint32": UINT32_KIND,
    "int64": INT64_KIND,
    "uint64": UINT64_KIND,
    "message": MESSAGE_KIND,
}
_MAX_FIELDS = 64
_MAX_NUMBER = 1 << 16


cdef class _Room:
    """Memory that lives as long as this."""

    cdef void* at

    def __dealloc__(self):
        PyMem_Free(self.at)


cdef class JsonLayout:
    """The tables of all messages that are reached from some.

    Args:
        tables: each `MessageTable`; a message is known by its place here.
        requests: the places of those that are requests.
    """

    def __cinit__(self, tables, requests):
        self.tables = tuple(tables)
        self.kept = []
        self.messages = <JsonMessage*>self._room(len(self.tables), sizeof(JsonMessage))
        places = {table.full_name: at for at, table in enumerate(self.tables)}
        for at, table in enumerate(self.tables):
            self._describe(self.messages + <uint32_t>at, table, places)
        self._describe_line(requests)

    cdef void* _room(self, size_t count, size_t size) except NULL:
        room = _Room()
        room.at = PyMem_Calloc(max(count, 1), size)
        if room.at == NULL:
            raise MemoryError
        self.kept.append(room)
        return room.at

    cdef _describe(self, JsonMessage* message, table, places):
        known = list(table.by_number.values())
        limit = max(table.by_number, default=0) + 1
        if len(known) > _MAX_FIELDS or limit > _MAX_NUMBER:
            raise ValueError(f"{table.full_name} has more fields than a table holds")
        cdef JsonField* fields = <JsonField*>self._room(len(known), sizeof(JsonField))
        message.by_number = <const JsonField**>self._room(limit, sizeof(JsonField*))
        message.fields = fields
        message.limit = limit
        message.is_any_value = table.is_any_value
        cdef JsonField* slot
        cdef uint32_t at
        for at, field in enumerate(known):
            slot = fields + at
            slot.bit = <uint64_t>1 << at
            slot.rivals = _rivals(known, field)
            slot.field = <PyObject*>field
            slot.number = field.number
            slot.kind = _KINDS[field.kind]
            slot.wire_type = field.wire_type
            slot.is_repeated = field.is_repeated
            slot.has_presence = field.oneof is not None
            slot.is_zigzag = field.is_zigzag
            if field.kind == "message":
                slot.message = self.messages + <uint32_t>places[field.type_name]
            opening = f'"{field.json_name}":'.encode()
            self.kept += [field, opening]
            slot.opening = opening
            slot.opening_bytes = len(opening)
            message.by_number[slot.number] = slot
        slots = {field: at for at, field in enumerate(known)}
        self._name(message, 0, table.by_json_name, slots)
        self._name(message, 1, table.by_any_name, slots)

    cdef _describe_line(self, requests):
        known = [
            (place, field) for place in requests for field in self.tables[place].by_number.values()
        ]
        cdef JsonField* fields = <JsonField*>self._room(len(known), sizeof(JsonField))
        cdef uint32_t at, place, number
        for at, (place, field) in enumerate(known):
            number = field.number
            fields[at] = self.messages[place].by_number[number][0]
            fields[at].bit = <uint64_t>1 << at
        self.line.fields = fields
        self.line.is_line = True
        slots = {field: at for at, (_, field) in enumerate(known)}
        names = {
            name: field
            for place in requests
            for name, field in self.tables[place].by_any_name.items()
        }
        self._name(&self.line, 1, names, slots)

    cdef _name(self, JsonMessage* message, int dialect, names, slots):
        cdef JsonName* room = <JsonName*>self._room(len(names), sizeof(JsonName))
        message.names[dialect] = JsonNames(room, len(names))
        for at, name in enumerate(sorted(names, key=lambda each: names[each].number)):
            text = name.encode()
            self.kept.append(text)
            room[<uint32_t>at].text = text
            room[<uint32_t>at].size = len(text)
            room[<uint32_t>at].field = message.fields + <uint32_t>slots[names[name]]


def _rivals(fields, field):
    return sum(
        1 << at
        for at, other in enumerate(fields)
        if field.oneof is not None and other.oneof == field.oneof and other is not field
    )
