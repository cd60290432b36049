"""Protobuf's fields, written one behind the other."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from otlp_capture.otlp.kernel.json_buffer cimport (
    Buffer,
    put,
    put_byte,
    put_fixed32,
    put_fixed64,
    put_varint,
    reserve,
    varint_size,
    write_varint,
)
from otlp_capture.otlp.kernel.json_layout cimport ID_KIND, JsonField, MESSAGE_KIND
from otlp_capture.otlp.kernel.json_text cimport hex_digit, unescape
from otlp_capture.otlp.kernel.wire cimport FIXED64, LENGTH, VARINT


cdef inline bint is_packed(const JsonField* field) noexcept nogil:
    return field.is_repeated and ID_KIND < field.kind < MESSAGE_KIND


cdef inline int put_tag(Buffer* out, const JsonField* field) except -1:
    cdef int wire_type = LENGTH if is_packed(field) else field.wire_type
    return put_varint(out, <uint64_t>field.number << 3 | wire_type)


cdef inline int put_number(Buffer* out, const JsonField* field, uint64_t bits) except -1:
    """Write a number of a packed field; else a field, unless it says nothing."""
    if not field.is_repeated:
        if bits == 0 and not field.has_presence:
            return 0
        put_tag(out, field)
    if field.wire_type == VARINT:
        return put_varint(out, bits)
    if field.wire_type == FIXED64:
        return put_fixed64(out, bits)
    return put_fixed32(out, <uint32_t>bits)


cdef inline int put_content(
    Buffer* out, const JsonField* field, const uint8_t* begin, size_t size
) except -1:
    """Write a field of these bytes, unless it says nothing."""
    if size or field.has_presence or field.is_repeated:
        put_tag(out, field)
        put_varint(out, size)
        put(out, begin, size)
    return 0


cdef inline int put_unescaped(
    Buffer* out, const JsonField* field, const uint8_t* begin, const uint8_t* end
) except -1:
    """Write a string that has escapes. Returns 0 if it holds a lone surrogate."""
    cdef size_t before = out.size
    cdef size_t content = open_length(out, field)
    cdef uint8_t* stop
    if unescape(begin, end, reserve(out, end - begin), &stop) == NULL:
        out.size = before
        return 0
    out.size = stop - out.begin
    close_length(out, content)
    return 1


cdef inline int put_hex(
    Buffer* out, const JsonField* field, const uint8_t* begin, const uint8_t* end
) except -1:
    """Write the bytes that hex digits stand for. Returns 0 if they are none."""
    cdef size_t size = (end - begin) // 2
    cdef size_t before = out.size
    cdef uint8_t* byte
    cdef int high, low
    if end - begin & 1:
        return 0
    if size == 0:
        put_content(out, field, begin, 0)
        return 1
    put_tag(out, field)
    put_varint(out, size)
    byte = reserve(out, size)
    while begin < end:
        high = hex_digit(begin[0])
        low = hex_digit(begin[1])
        if high < 0 or low < 0:
            out.size = before
            return 0
        byte[0] = <uint8_t>(high << 4 | low)
        byte += 1
        begin += 2
    out.size += size
    return 1


cdef inline size_t open_length(Buffer* out, const JsonField* field) except 0:
    """Write a tag, leave a byte for the length of what follows, and return where that begins."""
    put_tag(out, field)
    put_byte(out, 0)
    return out.size


cdef inline int close_length(Buffer* out, size_t content) except -1:
    """Write the length of what begins at *content*, and make more room for it if need be."""
    cdef size_t length = out.size - content
    cdef size_t more = varint_size(length) - 1
    if more:
        reserve(out, more)
        memmove(out.begin + content + more, out.begin + content, length)
        out.size += more
    write_varint(out.begin + content - 1, length)
    return 0
