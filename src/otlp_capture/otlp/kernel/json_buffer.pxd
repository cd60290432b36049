"""Bytes that grow."""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from otlp_capture.otlp.kernel.wire cimport write_fixed64

cdef enum:
    LONGEST_VARINT = 10

cdef struct Buffer:
    uint8_t* begin
    size_t size
    size_t room


cdef inline int grow(Buffer* out, size_t more) except -1:
    cdef size_t room = max(2 * out.room, out.size + more)
    cdef uint8_t* begin = <uint8_t*>PyMem_Realloc(out.begin, room)
    if begin == NULL:
        raise MemoryError
    out.begin = begin
    out.room = room
    return 0


cdef inline uint8_t* reserve(Buffer* out, size_t more) except NULL:
    """Return where the next bytes go, with room for *more* of them."""
    if out.room - out.size < more:
        grow(out, more)
    return out.begin + out.size


cdef inline int put(Buffer* out, const void* data, size_t size) except -1:
    memcpy(reserve(out, size), data, size)
    out.size += size
    return 0


cdef inline int put_byte(Buffer* out, uint8_t byte) except -1:
    reserve(out, 1)[0] = byte
    out.size += 1
    return 0


cdef inline int varint_size(uint64_t value) noexcept nogil:
    cdef int size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint8_t* write_varint(uint8_t* at, uint64_t value) noexcept nogil:
    """Write *value* and return where it ends."""
    while value >= 0x80:
        at[0] = <uint8_t>(value | 0x80)
        value >>= 7
        at += 1
    at[0] = <uint8_t>value
    return at + 1


cdef inline int put_varint(Buffer* out, uint64_t value) except -1:
    out.size = write_varint(reserve(out, LONGEST_VARINT), value) - out.begin
    return 0


cdef inline int put_fixed64(Buffer* out, uint64_t value) except -1:
    write_fixed64(reserve(out, 8), value)
    out.size += 8
    return 0


cdef inline int put_fixed32(Buffer* out, uint32_t value) except -1:
    cdef uint8_t* at = reserve(out, 4)
    at[0] = <uint8_t>value
    at[1] = <uint8_t>(value >> 8)
    at[2] = <uint8_t>(value >> 16)
    at[3] = <uint8_t>(value >> 24)
    out.size += 4
    return 0


cdef inline void release(Buffer* out) noexcept:
    PyMem_Free(out.begin)
    out.begin = NULL
