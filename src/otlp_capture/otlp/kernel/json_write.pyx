# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Protobuf to OTLP/JSON, in one pass over the bytes and without messages.

Fields that stand in the order of their numbers, each singular one once, are written as they come.
Everything else is handed over, malformed bytes too.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free
from libc.math cimport isfinite, isnan
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, strlen

cimport cython

from otlp_capture.otlp.kernel.json_buffer cimport Buffer, put, put_byte, release, reserve
from otlp_capture.otlp.kernel.json_layout cimport (
    BOOL_KIND,
    BYTES_KIND,
    DOUBLE_KIND,
    ENUM_KIND,
    ID_KIND,
    INT32_KIND,
    INT64_KIND,
    JsonField,
    JsonLayout,
    JsonMessage,
    MESSAGE_KIND,
    TEXT_KIND,
    UINT32_KIND,
    field_numbered,
)
from otlp_capture.otlp.kernel.json_text cimport holds_a_stop
from otlp_capture.otlp.kernel.utf8 cimport find_bad_utf8, is_ascii
from otlp_capture.otlp.kernel.wire cimport (
    FIXED32,
    FIXED64,
    LENGTH,
    MAX_TAG_BYTES,
    MAX_VARINT_BYTES,
    VARINT,
    read_fixed64,
    read_varint,
)

from otlp_capture.otlp.faults import MAX_MESSAGE_DEPTH

cdef extern from "Python.h":
    char* PyOS_double_to_string(double value, char code, int precision, int flags, int* kind) \
        except NULL
    int Py_DTSF_ADD_DOT_0

cdef enum:
    MAX_DEPTH = 100
    LONGEST_INTEGER = 20            # digits and sign of 64 bits

assert MAX_DEPTH == MAX_MESSAGE_DEPTH

cdef const char* HEX_DIGITS = b"0123456789abcdef"
cdef const char* BASE64_DIGITS = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)

cdef struct Value:
    const uint8_t* begin            # of the content, if it has a length
    const uint8_t* end
    uint64_t bits                   # if it has none


def write(JsonLayout layout not None, uint32_t message, bytes request not None, int max_values):
    """Write a request as OTLP/JSON in UTF-8.

    Args:
        layout: the tables.
        message: the place of the request's table.
        request: protobuf bytes.
        max_values: how deep an AnyValue may be nested.

    Returns:
        The text; None where the bytes are handed over.
    """
    if message >= <uint32_t>len(layout.tables):
        raise IndexError(f"there is no message {message}")
    cdef _Writer writer = _Writer()
    writer.max_values = max_values
    return writer.write(request, layout.messages + message)


@cython.final
cdef class _Writer:
    """One request that is being written. Its methods return 0 where they hand it over."""

    cdef const uint8_t* limit
    cdef Buffer out
    cdef int max_values

    def __dealloc__(self):
        release(&self.out)

    cdef object write(self, bytes request, const JsonMessage* message):
        cdef const uint8_t* begin = <const uint8_t*>PyBytes_AS_STRING(request)
        self.limit = begin + PyBytes_GET_SIZE(request)
        reserve(&self.out, 2 * PyBytes_GET_SIZE(request) + 2)
        if not self.write_message(begin, self.limit, message, 0, 0):
            return None
        return PyBytes_FromStringAndSize(<const char*>self.out.begin, self.out.size)

    cdef int write_message(
        self, const uint8_t* at, const uint8_t* end, const JsonMessage* message, int depth,
        int values
    ) except -1:
        """Write the fields of a message as an object."""
        cdef const JsonField* field
        cdef const JsonField* listed = NULL     # the field whose array is open
        cdef uint64_t tag, seen = 0
        cdef uint32_t last = 0
        cdef Value value
        cdef bint is_first = True
        values += message.is_any_value
        if depth > MAX_DEPTH or values > self.max_values:
            return 0
        put_byte(&self.out, c"{")
        while at < end:
            at = read_varint(at, end, MAX_TAG_BYTES, &tag)
            if at == NULL or tag >> 32 or tag >> 3 == 0:
                return 0
            at = read_value(at, end, tag & 7, &value)
            if at == NULL:
                return 0
            field = field_numbered(message, tag >> 3)
            if field == NULL or not is_of(field, tag & 7):
                continue
            if field.number < last or seen & field.rivals:
                return 0
            if field.number == last and not field.is_repeated:
                return 0
            last = field.number
            seen |= field.bit
            if is_nothing(field, tag & 7, &value):
                continue
            if field != listed:
                if listed != NULL:
                    put_byte(&self.out, c"]")
                if not is_first:
                    put_byte(&self.out, c",")
                is_first = False
                put(&self.out, field.opening, field.opening_bytes)
                listed = field if field.is_repeated else NULL
                if field.is_repeated:
                    put_byte(&self.out, c"[")
            else:
                put_byte(&self.out, c",")
            if not self.write_value(field, tag & 7, &value, depth, values):
                return 0
        if listed != NULL:
            put_byte(&self.out, c"]")
        put_byte(&self.out, c"}")
        return 1

    cdef int write_value(
        self, const JsonField* field, int wire_type, const Value* value, int depth, int values
    ) except -1:
        if field.kind == MESSAGE_KIND:
            return self.write_message(value.begin, value.end, field.message, depth + 1, values)
        if field.kind == TEXT_KIND:
            return self.write_text(value.begin, value.end)
        if field.kind == ID_KIND:
            return self.write_hex(value.begin, value.end)
        if field.kind == BYTES_KIND:
            return self.write_base64(value.begin, value.end)
        if wire_type == LENGTH:
            return self.write_packed(field, value)
        return self.write_number(field, value.bits)

    cdef int write_packed(self, const JsonField* field, const Value* packed) except -1:
        """Write the numbers of a packed field, of which there is one at least."""
        cdef const uint8_t* at = packed.begin
        cdef Value value
        while True:
            at = read_value(at, packed.end, field.wire_type, &value)
            if at == NULL:
                return 0
            self.write_number(field, value.bits)
            if at == packed.end:
                return 1
            put_byte(&self.out, c",")

    cdef int write_number(self, const JsonField* field, uint64_t bits) except -1:
        cdef double number
        if field.kind == DOUBLE_KIND:
            memcpy(&number, &bits, sizeof(number))
            return self.write_double(number)
        if field.kind == BOOL_KIND:
            return put(&self.out, b"true" if bits else b"false", 4 if bits else 5) + 1
        if field.kind == ENUM_KIND or field.kind == INT32_KIND or field.kind == UINT32_KIND:
            bits = <uint32_t>bits
        if field.is_zigzag:
            bits = bits >> 1 ^ (-(bits & 1))
        if field.kind == ENUM_KIND or field.kind == INT32_KIND:
            return self.write_signed(<int32_t>bits)
        if field.kind == UINT32_KIND:
            return self.write_unsigned(bits)
        put_byte(&self.out, c'"')
        if field.kind == INT64_KIND:
            self.write_signed(<int64_t>bits)
        else:
            self.write_unsigned(bits)
        return put_byte(&self.out, c'"') + 1

    cdef int write_signed(self, int64_t value) except -1:
        if value >= 0:
            return self.write_unsigned(value)
        put_byte(&self.out, c"-")
        return self.write_unsigned(-<uint64_t>value)

    cdef int write_unsigned(self, uint64_t value) except -1:
        cdef uint8_t[LONGEST_INTEGER] digits
        cdef int at = LONGEST_INTEGER
        while True:
            at -= 1
            digits[at] = <uint8_t>(c"0" + value % 10)
            value //= 10
            if value == 0:
                break
        return put(&self.out, digits + at, LONGEST_INTEGER - at) + 1

    cdef int write_double(self, double value) except -1:
        cdef char* text
        if not isfinite(value):
            if isnan(value):
                return put(&self.out, b'"NaN"', 5) + 1
            if value > 0:
                return put(&self.out, b'"Infinity"', 10) + 1
            return put(&self.out, b'"-Infinity"', 11) + 1
        # Below this, a double that is whole is written by all of its digits.
        if 0 < value < 1e15 and value == <double><uint64_t>value:
            self.write_unsigned(<uint64_t>value)
            return put(&self.out, b".0", 2) + 1
        text = PyOS_double_to_string(value, c"r", 0, Py_DTSF_ADD_DOT_0, NULL)
        try:
            put(&self.out, text, strlen(text))
        finally:
            PyMem_Free(text)
        return 1

    cdef int write_text(self, const uint8_t* at, const uint8_t* end) except -1:
        """Write a string as `json.dumps` does with `ensure_ascii=False`."""
        cdef const uint8_t* begin = at
        if not is_ascii(at, end, self.limit) and find_bad_utf8(at, end) != NULL:
            return 0
        put_byte(&self.out, c'"')
        while at < end:
            while end - at >= 8 and not holds_a_stop(read_fixed64(at)):
                at += 8
            while at < end and at[0] >= 0x20 and at[0] != c'"' and at[0] != c"\\":
                at += 1
            put(&self.out, begin, at - begin)
            if at < end:
                self.write_escape(at[0])
                at += 1
            begin = at
        return put_byte(&self.out, c'"') + 1

    cdef int write_escape(self, uint8_t byte) except -1:
        cdef uint8_t* out = reserve(&self.out, 6)
        cdef uint8_t letter = escape_letter(byte)
        out[0] = c"\\"
        if letter:
            out[1] = letter
            self.out.size += 2
            return 0
        out[1] = c"u"
        out[2] = c"0"
        out[3] = c"0"
        out[4] = HEX_DIGITS[byte >> 4]
        out[5] = HEX_DIGITS[byte & 15]
        self.out.size += 6
        return 0

    cdef int write_hex(self, const uint8_t* at, const uint8_t* end) except -1:
        cdef size_t size = 2 * (end - at) + 2
        cdef uint8_t* out = reserve(&self.out, size)
        out[0] = c'"'
        out += 1
        while at < end:
            out[0] = HEX_DIGITS[at[0] >> 4]
            out[1] = HEX_DIGITS[at[0] & 15]
            out += 2
            at += 1
        out[0] = c'"'
        self.out.size += size
        return 1

    cdef int write_base64(self, const uint8_t* at, const uint8_t* end) except -1:
        cdef size_t size = (end - at + 2) // 3 * 4 + 2
        cdef uint8_t* out = reserve(&self.out, size)
        cdef uint32_t three
        out[0] = c'"'
        out += 1
        while at < end:
            three = at[0] << 16
            if end - at > 1:
                three |= at[1] << 8
            if end - at > 2:
                three |= at[2]
            out[0] = BASE64_DIGITS[three >> 18]
            out[1] = BASE64_DIGITS[three >> 12 & 63]
            out[2] = BASE64_DIGITS[three >> 6 & 63] if end - at > 1 else c"="
            out[3] = BASE64_DIGITS[three & 63] if end - at > 2 else c"="
            out += 4
            at += 3
        out[0] = c'"'
        self.out.size += size
        return 1


cdef inline uint8_t escape_letter(uint8_t byte) noexcept nogil:
    """Return what stands behind the backslash, or 0 where it is four hex digits."""
    if byte == c'"' or byte == c"\\":
        return byte
    if byte == c"\n":
        return c"n"
    if byte == c"\r":
        return c"r"
    if byte == c"\t":
        return c"t"
    if byte == 0x08:
        return c"b"
    if byte == 0x0C:
        return c"f"
    return 0


cdef inline const uint8_t* read_value(
    const uint8_t* at, const uint8_t* end, int wire_type, Value* value
) noexcept nogil:
    """Read a value within its message. NULL: there is none, or it is a group."""
    cdef uint64_t length
    value.bits = 0
    value.begin = value.end = at
    if wire_type == VARINT:
        return read_varint(at, end, MAX_VARINT_BYTES, &value.bits)
    if wire_type == LENGTH:
        at = read_varint(at, end, MAX_TAG_BYTES, &length)
        if at == NULL or length > <uint64_t>(end - at):
            return NULL
        value.begin = at
        value.end = at + length
        return value.end
    if wire_type == FIXED64 and end - at >= 8:
        value.bits = read_fixed64(at)
        return at + 8
    if wire_type == FIXED32 and end - at >= 4:
        value.bits = at[0] | at[1] << 8 | at[2] << 16 | <uint64_t>at[3] << 24
        return at + 4
    return NULL


cdef inline bint is_of(const JsonField* field, int wire_type) noexcept nogil:
    return wire_type == field.wire_type or field.is_repeated and wire_type == LENGTH


cdef inline bint is_nothing(
    const JsonField* field, int wire_type, const Value* value
) noexcept nogil:
    """Whether a value says no more than its absence: the default of a field without presence."""
    if field.kind == MESSAGE_KIND:
        return False
    if field.is_repeated:
        return wire_type == LENGTH and field.kind > ID_KIND and value.begin == value.end
    if field.has_presence:
        return False
    if wire_type == LENGTH:
        return value.begin == value.end
    if field.kind == INT32_KIND or field.kind == UINT32_KIND or field.kind == ENUM_KIND:
        return <uint32_t>value.bits == 0
    return value.bits == 0
