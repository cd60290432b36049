"""Which span each span is, and which its parent: two numbers, noted as a span ends."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport realloc

from otlp_capture.otlp.kernel.blake2b cimport BLOCK_BYTES, KeyedHash, digest
from otlp_capture.otlp.kernel.traces cimport PLACE_BYTES, place_of_digest
from otlp_capture.otlp.kernel.wire cimport read_fixed64

cdef enum:
    TRACE_WORDS = 2

cdef struct Spans:
    KeyedHash hash
    uint64_t[TRACE_WORDS] known_trace   # the last trace id of the usual length
    uint64_t known_place
    uint64_t trace                  # of the span that is being read
    uint64_t span
    uint64_t parent
    bint is_handed_over             # an id is longer than a block
    uint64_t* numbers
    size_t count
    size_t room


cdef inline uint64_t number_of(
    Spans* spans, const uint8_t* id, uint64_t size, bint is_trace
) noexcept nogil:
    """Return a number that stands for an id; 0 for an empty or all-zero one."""
    cdef uint8_t[PLACE_BYTES] written
    cdef uint8_t any_bit = 0
    cdef uint64_t at, low, high
    if size == 8 and not is_trace:
        return read_fixed64(id)
    for at in range(size):
        any_bit |= id[at]
    if any_bit == 0:
        return 0
    if size > BLOCK_BYTES:
        spans.is_handed_over = True
        return 0
    if size != 16:
        digest(&spans.hash, id, <int>size, written)
        return place_of_digest(read_fixed64(written))
    low = read_fixed64(id)
    high = read_fixed64(id + 8)
    if low != spans.known_trace[0] or high != spans.known_trace[1]:
        digest(&spans.hash, id, <int>size, written)
        spans.known_trace[0] = low
        spans.known_trace[1] = high
        spans.known_place = place_of_digest(read_fixed64(written))
    return spans.known_place


cdef inline bint note_span(Spans* spans) noexcept nogil:
    """End a span, and be ready for the next. False: there is no memory."""
    cdef uint64_t* grown
    cdef size_t room
    if spans.room - spans.count < 2:
        room = 2 * spans.room if spans.room else 64
        grown = <uint64_t*>realloc(spans.numbers, room * sizeof(uint64_t))
        if grown == NULL:
            return False
        spans.numbers = grown
        spans.room = room
    spans.numbers[spans.count] = spans.span ^ spans.trace if spans.span else 0
    spans.numbers[spans.count + 1] = spans.parent ^ spans.trace if spans.parent else 0
    spans.count += 2
    spans.trace = spans.span = spans.parent = 0
    return True
