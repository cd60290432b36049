"""What OTLP/JSON and protobuf call the same fields, in tables."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cpython.object cimport PyObject

cdef enum JsonKind:
    TEXT_KIND
    BYTES_KIND
    ID_KIND
    BOOL_KIND
    DOUBLE_KIND
    ENUM_KIND
    INT32_KIND
    UINT32_KIND
    INT64_KIND
    UINT64_KIND
    MESSAGE_KIND

cdef struct JsonField:
    uint64_t bit                # of the field, in its message
    uint64_t rivals             # the bits of the other members of its oneof
    JsonMessage* message        # of a MESSAGE_KIND
    PyObject* field             # the Field
    const uint8_t* opening      # `"name":`, as it is written
    uint32_t opening_bytes
    uint32_t number
    uint8_t kind
    uint8_t wire_type
    bint is_repeated
    bint has_presence           # a zero is told from nothing, and so is written
    bint is_zigzag

cdef struct JsonName:
    const uint8_t* text
    uint32_t size
    const JsonField* field

cdef struct JsonNames:
    const JsonName* begin
    uint32_t count

cdef struct JsonMessage:
    const JsonField* fields
    JsonNames[2] names          # in the receiver's dialect, and in the import dialect
    const JsonField** by_number
    uint32_t limit              # the first number beyond by_number
    bint is_any_value
    bint is_line                # each of its fields is a request of its own

cdef class JsonLayout:
    cdef readonly tuple tables
    cdef JsonMessage* messages
    cdef JsonMessage line       # the fields of all requests, as a file exporter's line has them
    cdef list kept              # what the tables point to

    cdef void* _room(self, size_t count, size_t size) except NULL
    cdef _describe(self, JsonMessage* message, table, places)
    cdef _describe_line(self, requests)
    cdef _name(self, JsonMessage* message, int dialect, names, slots)


cdef inline const JsonField* field_numbered(
    const JsonMessage* message, uint64_t number
) noexcept nogil:
    """Return a field by its number, or NULL."""
    return message.by_number[number] if number < message.limit else NULL
