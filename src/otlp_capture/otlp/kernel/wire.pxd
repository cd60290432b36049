"""Protobuf's primitives, each read within bounds.

A reader takes where to read and where the enclosing message ends, and returns where it stopped;
NULL means that no value can be read there.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from libc.stdint cimport uint8_t, uint64_t

cdef enum WireType:
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    START_GROUP = 3
    END_GROUP = 4
    FIXED32 = 5

cdef enum:
    MAX_VARINT_BYTES = 10
    MAX_TAG_BYTES = 5       # of a length, too: so upb reads them


cdef inline const uint8_t* read_varint(
    const uint8_t* at, const uint8_t* end, int max_bytes, uint64_t* value
) noexcept nogil:
    cdef int shift = 0
    cdef uint64_t found = 0
    if at < end and at[0] < 0x80:
        value[0] = at[0]
        return at + 1
    if end - at > max_bytes:
        end = at + max_bytes
    while at < end:
        found |= <uint64_t>(at[0] & 0x7F) << shift
        if at[0] < 0x80:
            value[0] = found
            return at + 1
        shift += 7
        at += 1
    return NULL


cdef inline const uint8_t* skip_varint(const uint8_t* at, const uint8_t* end) noexcept nogil:
    if end - at > MAX_VARINT_BYTES:
        end = at + MAX_VARINT_BYTES
    while at < end:
        if at[0] < 0x80:
            return at + 1
        at += 1
    return NULL


cdef inline uint64_t read_fixed64(const uint8_t* at) noexcept nogil:
    """Read eight bytes, the lowest first. Compilers make one load of it."""
    return (
        <uint64_t>at[0]
        | <uint64_t>at[1] << 8
        | <uint64_t>at[2] << 16
        | <uint64_t>at[3] << 24
        | <uint64_t>at[4] << 32
        | <uint64_t>at[5] << 40
        | <uint64_t>at[6] << 48
        | <uint64_t>at[7] << 56
    )


cdef inline void write_fixed64(uint8_t* at, uint64_t value) noexcept nogil:
    at[0] = <uint8_t>value
    at[1] = <uint8_t>(value >> 8)
    at[2] = <uint8_t>(value >> 16)
    at[3] = <uint8_t>(value >> 24)
    at[4] = <uint8_t>(value >> 32)
    at[5] = <uint8_t>(value >> 40)
    at[6] = <uint8_t>(value >> 48)
    at[7] = <uint8_t>(value >> 56)
