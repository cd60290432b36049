"""The numbers of OTLP/JSON, as the bits that protobuf writes.

A reader returns where the value ends; NULL means that it is not written plainly.
"""

from libc.math cimport isinf
from libc.stdint cimport INT32_MAX, INT64_MAX, UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from otlp_capture.otlp.kernel.json_layout cimport (
    ENUM_KIND,
    INT64_KIND,
    JsonField,
    UINT32_KIND,
    UINT64_KIND,
)
from otlp_capture.otlp.kernel.json_text cimport (
    Integer,
    MAX_DIGITS,
    end_of_number,
    end_of_word,
    is_digit,
    read_integer,
)

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* text, char** stop, void* overflow) except? -1.0

cdef extern from *:
    """
    #include <float.h>
    static const double JSON_POWERS_OF_TEN[23] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    """
    const double[23] JSON_POWERS_OF_TEN
    int FLT_EVAL_METHOD

cdef enum:
    MAX_EXACT_POWER = 22            # of ten, that a double holds
    MAX_EXPONENT_DIGITS = 4
    MAX_MANTISSA_DIGITS = 19        # that 64 bits hold

cdef extern from *:
    """
    #define JSON_NOT_A_NUMBER 0x7FF8000000000000u
    #define JSON_INFINITY 0x7FF0000000000000u
    """
    uint64_t NOT_A_NUMBER "JSON_NOT_A_NUMBER"
    uint64_t INFINITY "JSON_INFINITY"


cdef inline uint64_t signed_bits(uint64_t value, const JsonField* field) noexcept nogil:
    """Return a signed integer as it stands on the wire."""
    return value << 1 ^ (-(value >> 63)) if field.is_zigzag else value


cdef inline bint fit_integer(
    const Integer* found, const JsonField* field, uint64_t* bits
) noexcept nogil:
    """Give *bits* the integer as it stands on the wire. False: its field cannot hold it."""
    cdef uint64_t most
    cdef bint is_negative = found.is_negative and found.magnitude
    if field.kind == UINT64_KIND or field.kind == UINT32_KIND:
        bits[0] = found.magnitude
        return not is_negative and (field.kind == UINT64_KIND or found.magnitude <= UINT32_MAX)
    most = INT64_MAX if field.kind == INT64_KIND else INT32_MAX
    bits[0] = signed_bits(-found.magnitude if is_negative else found.magnitude, field)
    return found.magnitude <= most + is_negative


cdef inline const uint8_t* plain_integer(
    const uint8_t* at, const JsonField* field, uint64_t* bits
) noexcept nogil:
    """Read an integer that fits its field, from a number or a string."""
    cdef Integer found
    cdef bint is_text = at[0] == c'"'
    cdef const uint8_t* begin = at + is_text
    cdef const uint8_t* end = read_integer(begin, &found)
    if is_text and field.kind == ENUM_KIND or end == NULL:
        return NULL
    if end[0] == c"." or end[0] == c"e" or end[0] == c"E":
        end = whole_decimal(begin, &found)
    elif not is_text and begin[found.is_negative] == c"0" and end - begin > 1 + found.is_negative:
        return NULL
    if end == NULL or is_text and end[0] != c'"' or not fit_integer(&found, field, bits):
        return NULL
    return end + is_text


cdef inline const uint8_t* plain_double(const uint8_t* at, uint64_t* bits) except? NULL:
    """Read a double, from a number or a string."""
    cdef bint is_text = at[0] == c'"'
    cdef bint is_integer
    cdef Decimal decimal
    cdef double value
    cdef char* stop
    cdef const uint8_t* begin = at + is_text
    cdef const uint8_t* end = end_of_number(begin, &is_integer)
    if end == NULL:
        return end_of_special(begin, bits) if is_text else NULL
    if is_text and end[0] != c'"' or is_integer and end - begin > MAX_DIGITS:
        return NULL
    if not (read_decimal(begin, end, &decimal) and exact_double(&decimal, &value)):
        value = PyOS_string_to_double(<const char*>begin, &stop, NULL)
    if isinf(value):
        return NULL
    bits[0] = bits_of_double(value)
    return end + is_text


cdef inline const uint8_t* end_of_special(const uint8_t* at, uint64_t* bits) noexcept nogil:
    """Read a double that is no number, up to the quote behind it."""
    bits[0] = NOT_A_NUMBER if at[0] == c"N" else INFINITY
    if at[0] == c"N":
        return end_of_word(at, 'NaN"')
    if at[0] == c"-":
        bits[0] |= <uint64_t>1 << 63
        at += 1
    return end_of_word(at, 'Infinity"')


cdef inline const uint8_t* whole_decimal(const uint8_t* at, Integer* found) noexcept nogil:
    """Read a number that has a fraction or an exponent, and is an integer nevertheless."""
    cdef bint is_integer
    cdef Decimal decimal
    cdef const uint8_t* end = end_of_number(at, &is_integer)
    if end == NULL or not read_decimal(at, end, &decimal):
        return NULL
    # Within these bounds a double is exact, and what is read from it is what is written.
    if decimal.mantissa >> 53 or not -MAX_EXACT_POWER <= decimal.power <= MAX_EXACT_POWER:
        return NULL
    found.magnitude = decimal.mantissa
    while decimal.power < 0:
        if found.magnitude % 10:
            return NULL
        found.magnitude //= 10
        decimal.power += 1
    while decimal.power > 0:
        found.magnitude *= 10
        if found.magnitude >> 53:
            return NULL
        decimal.power -= 1
    return end


cdef struct Decimal:
    uint64_t mantissa
    int power                       # of ten
    bint is_negative


cdef inline bint read_decimal(
    const uint8_t* at, const uint8_t* end, Decimal* found
) noexcept nogil:
    """Read a number of JSON. False: it has more digits than 64 bits hold."""
    cdef int digits = 0
    cdef bint is_fraction = False
    found.is_negative = at[0] == c"-"
    found.mantissa = 0
    found.power = 0
    at += found.is_negative
    while at < end and (is_digit(at[0]) or at[0] == c"."):
        if at[0] == c".":
            is_fraction = True
        else:
            digits += 1
            found.mantissa = found.mantissa * 10 + (at[0] - c"0")
            found.power -= is_fraction
        at += 1
    if digits > MAX_MANTISSA_DIGITS:
        return False
    return at == end or add_exponent(at + 1, end, &found.power)


cdef inline bint add_exponent(
    const uint8_t* at, const uint8_t* end, int* power
) noexcept nogil:
    """Add to *power* what stands behind the e. False: it is long."""
    cdef int exponent = 0
    cdef bint is_negative = at[0] == c"-"
    if is_negative or at[0] == c"+":
        at += 1
    if end - at > MAX_EXPONENT_DIGITS:
        return False
    while at < end:
        exponent = exponent * 10 + (at[0] - c"0")
        at += 1
    power[0] += -exponent if is_negative else exponent
    return True


cdef inline bint exact_double(const Decimal* decimal, double* value) noexcept nogil:
    """Turn a decimal into the nearest double by one operation, which rounds correctly.

    False: it takes more. Source: Clinger, How to read floating point numbers accurately (1990).
    """
    if decimal.mantissa >> 53 or FLT_EVAL_METHOD != 0:
        return False
    if not -MAX_EXACT_POWER <= decimal.power <= MAX_EXACT_POWER:
        return False
    value[0] = <double>decimal.mantissa
    if decimal.power < 0:
        value[0] /= JSON_POWERS_OF_TEN[-decimal.power]
    else:
        value[0] *= JSON_POWERS_OF_TEN[decimal.power]
    if decimal.is_negative:
        value[0] = -value[0]
    return True


cdef inline uint64_t bits_of(const JsonField* field, value) except? 0:
    """Return an integer or a bool that Python has read as it stands on the wire."""
    if field.kind == UINT64_KIND or field.kind == UINT32_KIND:
        return value
    return signed_bits(<uint64_t><int64_t>value, field)


cdef inline uint64_t bits_of_double(double value) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &value, sizeof(bits))
    return bits
