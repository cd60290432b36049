"""What a selection by traces leaves out, noted as the walk comes to the end of each message.

Nothing is written while it walks: it notes edits in the order of the bytes. The length of a message
in which something is left out is such an edit, noted before those inside it and filled in when the
message ends. A scope or a resource that loses its last record takes back the edits inside it, and
is left out itself.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from otlp_capture.otlp.kernel.blake2b cimport (
    BLOCK_BYTES,
    KeyedHash,
    digest,
    digest_words,
    start_keyed,
)
from otlp_capture.otlp.kernel.wire cimport (
    MAX_VARINT_BYTES,
    read_fixed64,
    skip_varint,
    write_fixed64,
)

cdef enum:
    PLACE_BYTES = 8
    USUAL_ID_BYTES = 16
    KNOWN_TRACES = 64
    KNOWN_TRACES_SHIFT = 58         # leaves as many bits as count them
    REQUEST_LEVEL = 0
    SCOPE_LEVEL = 2
    RECORD_LEVEL = 3
    LEVELS = 4

cdef struct Edit:
    const uint8_t* begin            # of what is not copied
    const uint8_t* end
    uint8_t length_bytes            # of what is written instead; 0: nothing is
    uint8_t[MAX_VARINT_BYTES] length

cdef struct Level:
    const uint8_t* begin            # of the message, with its tag
    const uint8_t* start            # of its content
    Py_ssize_t edit                 # that of its length; -1: nothing was left out of it
    uint64_t shrunk                 # by how many bytes its content is shorter
    uint64_t kept                   # records
    uint64_t left_out

cdef struct KnownTrace:
    uint64_t[2] id                  # zeros: nothing is known here
    bint is_kept

cdef struct Choice:
    uint64_t first                  # of the places that are kept
    uint64_t last
    bint keeps_untraced
    bint is_handed_over             # an id is longer than a block
    bint is_kept                    # the record that is being read
    KeyedHash hash
    KnownTrace[KNOWN_TRACES] known  # a cache: a trace's id stands in each of its records
    Level[LEVELS] levels            # the request, a resource, a scope, a record
    Edit* edits
    size_t count
    size_t room


cdef inline uint64_t place_of_digest(uint64_t word) noexcept nogil:
    """Read the first eight bytes of a digest as a number, the highest first."""
    cdef uint64_t place = 0
    cdef int at
    for at in range(8):
        place = place << 8 | word >> 8 * at & 0xFF
    return place


cdef inline bint is_chosen(Choice* choice, const uint8_t* id, uint64_t size) noexcept nogil:
    """Whether the records of a trace are kept."""
    cdef uint64_t low, high, spread, place
    cdef uint64_t[2] digested
    cdef uint8_t[PLACE_BYTES] written
    cdef KnownTrace* known
    cdef uint8_t any_bit = 0
    cdef uint64_t at
    if size == USUAL_ID_BYTES:
        low = read_fixed64(id)
        high = read_fixed64(id + 8)
        if low == 0 and high == 0:
            return choice.keeps_untraced
        spread = (low ^ high << 1) * 0x9E3779B97F4A7C15ULL >> KNOWN_TRACES_SHIFT
        known = &choice.known[spread]
        if known.id[0] != low or known.id[1] != high:
            digest_words(&choice.hash, low, high, USUAL_ID_BYTES, digested)
            place = place_of_digest(digested[0])
            known.id[0] = low
            known.id[1] = high
            known.is_kept = choice.first <= place <= choice.last
        return known.is_kept
    for at in range(size):
        any_bit |= id[at]
    if any_bit == 0:
        return choice.keeps_untraced
    if size > BLOCK_BYTES:
        choice.is_handed_over = True
        return True
    digest(&choice.hash, id, <int>size, written)
    place = place_of_digest(read_fixed64(written))
    return choice.first <= place <= choice.last


cdef inline void enter_level(
    Choice* choice, Py_ssize_t level, const uint8_t* begin, const uint8_t* start
) noexcept nogil:
    """Begin a resource, a scope or a record."""
    choice.levels[level] = Level(begin, start, -1, 0, 0, 0)
    choice.is_kept = choice.keeps_untraced


cdef inline Edit* add_edit(Choice* choice, const uint8_t* begin, const uint8_t* end) noexcept nogil:
    """Note that a stretch is not copied. NULL: there is no memory."""
    cdef Edit* grown
    cdef size_t room
    if choice.count == choice.room:
        room = 2 * choice.room if choice.room else 32
        grown = <Edit*>realloc(choice.edits, room * sizeof(Edit))
        if grown == NULL:
            return NULL
        choice.edits = grown
        choice.room = room
    grown = choice.edits + choice.count
    choice.count += 1
    grown.begin = begin
    grown.end = end
    grown.length_bytes = 0
    return grown


cdef inline bint leave_out(
    Choice* choice, Py_ssize_t around, const uint8_t* begin, const uint8_t* end
) noexcept nogil:
    """Leave a message out of the level around it. False: there is no memory."""
    cdef Py_ssize_t level
    cdef Level* each
    cdef Edit* last
    for level in range(1, around + 1):
        each = &choice.levels[level]
        if each.edit < 0:
            each.edit = choice.count
            if add_edit(choice, skip_varint(each.begin, each.start), each.start) == NULL:
                return False
            choice.edits[each.edit].length_bytes = 1    # filled in when it ends
    choice.levels[around].shrunk += end - begin
    if choice.count:
        last = choice.edits + choice.count - 1
        if last.length_bytes == 0 and last.end == begin:
            last.end = end
            return True
    return add_edit(choice, begin, end) != NULL


cdef inline bint leave_level(
    Choice* choice, Py_ssize_t level, const uint8_t* end
) noexcept nogil:
    """End a resource, a scope or a record. False: there is no memory."""
    cdef Level* this = &choice.levels[level]
    cdef Level* around = &choice.levels[level - 1]
    cdef Edit* edit
    if level == RECORD_LEVEL:
        if choice.is_kept:
            around.kept += 1
            return True
        around.left_out += 1
        return leave_out(choice, level - 1, this.begin, end)
    around.kept += this.kept
    around.left_out += this.left_out
    if this.edit < 0:
        return True
    if this.kept == 0:
        choice.count = this.edit
        return leave_out(choice, level - 1, this.begin, end)
    edit = choice.edits + this.edit
    edit.length_bytes = write_varint(edit.length, end - this.start - this.shrunk)
    around.shrunk += this.shrunk + (edit.end - edit.begin) - edit.length_bytes
    return True


cdef inline uint8_t write_varint(uint8_t* out, uint64_t value) noexcept nogil:
    cdef uint8_t size = 0
    while value >= 0x80:
        out[size] = <uint8_t>(value | 0x80)
        value >>= 7
        size += 1
    out[size] = <uint8_t>value
    return size + 1


cdef inline void copy_edited(
    const Choice* choice, const uint8_t* at, const uint8_t* end, uint8_t* out
) noexcept nogil:
    """Copy what is kept of a request to *out*, where there is room for it."""
    cdef size_t place
    cdef const Edit* edit
    for place in range(choice.count):
        edit = choice.edits + place
        memcpy(out, at, edit.begin - at)
        out += edit.begin - at
        memcpy(out, edit.length, edit.length_bytes)
        out += edit.length_bytes
        at = edit.end
    memcpy(out, at, end - at)
