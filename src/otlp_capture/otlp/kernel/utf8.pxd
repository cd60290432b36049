"""Whether text is UTF-8. Source: The Unicode Standard, table 3-7."""

from libc.stdint cimport uint8_t, uint64_t

from otlp_capture.otlp.kernel.wire cimport read_fixed64


cdef inline bint is_ascii(const uint8_t* at, const uint8_t* end, const uint8_t* limit) noexcept nogil:
    """Say whether all bytes are below 0x80; at *limit* what may be read ends."""
    cdef uint64_t high = 0
    if end - at >= 8:
        while end - at > 8:
            high |= read_fixed64(at)
            at += 8
        high |= read_fixed64(end - 8)
    elif limit - at >= 8:
        high = read_fixed64(at) & ((<uint64_t>1 << (8 * (end - at))) - 1)
    else:
        while at < end:
            high |= at[0]
            at += 1
    return high & 0x8080808080808080ULL == 0


cdef inline const uint8_t* find_bad_utf8(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Return where the first sequence begins that is not UTF-8, or NULL."""
    cdef uint8_t lead, low, high
    cdef int more, index
    while at < end:
        if end - at >= 8:
            if read_fixed64(at) & 0x8080808080808080ULL == 0:
                at += 8
                continue
        lead = at[0]
        if lead < 0x80:
            at += 1
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return at
        if end - at <= more or not low <= at[1] <= high:
            return at
        for index in range(2, more + 1):
            if at[index] & 0xC0 != 0x80:
                return at
        at += more + 1
    return NULL
