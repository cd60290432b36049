"""JSON's tokens, read where they lie. Source: RFC 8259.

The text must end with a byte that no token holds, and so it does: behind `bytes` stands a zero.
A reader returns where the token ends; NULL means that none stands there.
"""

from libc.stdint cimport uint8_t, uint64_t

from otlp_capture.otlp.kernel.wire cimport read_fixed64

cdef enum:
    MAX_INTEGER_DIGITS = 20     # of 64 bits
    MAX_DIGITS = 600            # of a number that Python reads whatever its settings are


cdef inline const uint8_t* skip_blanks(const uint8_t* at) noexcept nogil:
    while at[0] == c" " or at[0] == c"\n" or at[0] == c"\r" or at[0] == c"\t":
        at += 1
    return at


cdef inline bint is_digit(uint8_t byte) noexcept nogil:
    return c"0" <= byte <= c"9"


cdef inline int hex_digit(uint8_t byte) noexcept nogil:
    """Return what a hex digit counts, or -1."""
    if is_digit(byte):
        return byte - c"0"
    byte |= 0x20
    return byte - c"a" + 10 if c"a" <= byte <= c"f" else -1


cdef inline int hex_code(const uint8_t* at) noexcept nogil:
    """Return the code unit that four hex digits write, or -1."""
    cdef int code = 0
    cdef int digit, place
    for place in range(4):
        digit = hex_digit(at[place])
        if digit < 0:
            return -1
        code = code << 4 | digit
    return code


cdef inline bint holds_a_stop(uint64_t word) noexcept nogil:
    """Whether one of eight bytes is a quote, a backslash or a control character."""
    cdef uint64_t ones = 0x0101010101010101ULL
    cdef uint64_t quotes = word ^ (ones * c'"')
    cdef uint64_t backslashes = word ^ (ones * c"\\")
    cdef uint64_t found = (quotes - ones) & ~quotes
    found |= (backslashes - ones) & ~backslashes
    found |= (word - ones * 0x20) & ~word
    return found & (ones * 0x80) != 0


cdef inline const uint8_t* end_of_escape(const uint8_t* at) noexcept nogil:
    """Pass over an escape, from its backslash on."""
    cdef uint8_t kind = at[1]
    if kind == c"u":
        return at + 6 if hex_code(at + 2) >= 0 else NULL
    if (
        kind == c'"' or kind == c"\\" or kind == c"/" or kind == c"b"
        or kind == c"f" or kind == c"n" or kind == c"r" or kind == c"t"
    ):
        return at + 2
    return NULL


cdef inline const uint8_t* end_of_string(
    const uint8_t* at, const uint8_t* end, bint* has_escapes
) noexcept nogil:
    """Return the closing quote of the string whose content begins at *at*."""
    has_escapes[0] = False
    while True:
        while end - at >= 8 and not holds_a_stop(read_fixed64(at)):
            at += 8
        while at[0] >= 0x20 and at[0] != c'"' and at[0] != c"\\":
            at += 1
        if at[0] == c'"':
            return at
        if at[0] != c"\\":
            return NULL
        has_escapes[0] = True
        at = end_of_escape(at)
        if at == NULL:
            return NULL


cdef inline const uint8_t* end_of_digits(const uint8_t* at) noexcept nogil:
    """Pass over one digit or more."""
    if not is_digit(at[0]):
        return NULL
    while is_digit(at[0]):
        at += 1
    return at


cdef inline const uint8_t* end_of_number(const uint8_t* at, bint* is_integer) noexcept nogil:
    is_integer[0] = True
    if at[0] == c"-":
        at += 1
    at = at + 1 if at[0] == c"0" else end_of_digits(at)
    if at != NULL and at[0] == c".":
        is_integer[0] = False
        at = end_of_digits(at + 1)
    if at != NULL and (at[0] == c"e" or at[0] == c"E"):
        is_integer[0] = False
        at += 1
        if at[0] == c"+" or at[0] == c"-":
            at += 1
        at = end_of_digits(at)
    return at


cdef inline const uint8_t* end_of_word(const uint8_t* at, const char* word) noexcept nogil:
    while word[0]:
        if at[0] != <uint8_t>word[0]:
            return NULL
        at += 1
        word += 1
    return at


cdef inline const uint8_t* end_of_plain(const uint8_t* at) noexcept nogil:
    """Pass over a number, a bool or null."""
    cdef bint is_integer
    if at[0] == c"t":
        return end_of_word(at, "true")
    if at[0] == c"f":
        return end_of_word(at, "false")
    if at[0] == c"n":
        return end_of_word(at, "null")
    return end_of_number(at, &is_integer)


cdef struct Integer:
    uint64_t magnitude
    bint is_negative


cdef inline const uint8_t* read_integer(const uint8_t* at, Integer* found) noexcept nogil:
    """Read digits behind a sign or none, leading zeros too. NULL also where 64 bits are too few."""
    cdef uint64_t value = 0
    cdef uint64_t digit
    found.is_negative = at[0] == c"-"
    if found.is_negative:
        at += 1
    cdef const uint8_t* begin = at
    while is_digit(at[0]):
        digit = at[0] - c"0"
        if at - begin >= MAX_INTEGER_DIGITS - 1:
            if at - begin >= MAX_INTEGER_DIGITS or value > (0xFFFFFFFFFFFFFFFFULL - digit) // 10:
                return NULL
        value = value * 10 + digit
        at += 1
    found.magnitude = value
    return at if at > begin else NULL


cdef inline const uint8_t* unescape(
    const uint8_t* at, const uint8_t* end, uint8_t* out, uint8_t** stop
) noexcept nogil:
    """Write what a string means, which is never longer. NULL where a surrogate stands alone."""
    cdef int code, low
    while at < end:
        if at[0] != c"\\":
            out[0] = at[0]
            out += 1
            at += 1
            continue
        if at[1] != c"u":
            out[0] = simple_escape(at[1])
            out += 1
            at += 2
            continue
        code = hex_code(at + 2)
        at += 6
        if 0xD800 <= code <= 0xDFFF:
            if code >= 0xDC00 or end - at < 6 or at[0] != c"\\" or at[1] != c"u":
                return NULL
            low = hex_code(at + 2)
            if not 0xDC00 <= low <= 0xDFFF:
                return NULL
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            at += 6
        out = write_character(out, code)
    stop[0] = out
    return at


cdef inline uint8_t simple_escape(uint8_t kind) noexcept nogil:
    if kind == c"b":
        return 0x08
    if kind == c"f":
        return 0x0C
    if kind == c"n":
        return 0x0A
    if kind == c"r":
        return 0x0D
    if kind == c"t":
        return 0x09
    return kind


cdef inline uint8_t* write_character(uint8_t* out, int code) noexcept nogil:
    """Write a character in UTF-8 and return where it ends."""
    if code < 0x80:
        out[0] = <uint8_t>code
        return out + 1
    if code < 0x800:
        out[0] = <uint8_t>(0xC0 | code >> 6)
        out[1] = <uint8_t>(0x80 | code & 0x3F)
        return out + 2
    if code < 0x10000:
        out[0] = <uint8_t>(0xE0 | code >> 12)
        out[1] = <uint8_t>(0x80 | code >> 6 & 0x3F)
        out[2] = <uint8_t>(0x80 | code & 0x3F)
        return out + 3
    out[0] = <uint8_t>(0xF0 | code >> 18)
    out[1] = <uint8_t>(0x80 | code >> 12 & 0x3F)
    out[2] = <uint8_t>(0x80 | code >> 6 & 0x3F)
    out[3] = <uint8_t>(0x80 | code & 0x3F)
    return out + 4
