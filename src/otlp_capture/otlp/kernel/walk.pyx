# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One walk over the bytes of an export request: what it holds, and what is to be changed in it.

The walk goes once from the first byte to the last. It builds nothing, allocates nothing for what
it passes, holds no more than a hundred frames, and looks at no byte beyond the end of the message
that it is in. What it finds wrong it says with the place; what it cannot judge by itself, a
singular field or a oneof that repeats, it hands over.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport UINT32_MAX, UINT64_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from otlp_capture.otlp.kernel.blake2b cimport (
    KeyedHash,
    MAX_DIGEST_BYTES,
    digest,
    digest_words,
    start_keyed,
)
from otlp_capture.otlp.kernel.layout cimport (
    CLOSE_GROUP,
    HOLDS_IDS,
    HOLDS_SCOPES,
    HOLDS_TIMES,
    ID,
    INNER_MESSAGE,
    IS_ANY_VALUE,
    IS_CONTAINER,
    IS_COUNTED,
    IS_FALLBACK_TIME,
    IS_PARENT_ID,
    IS_RECORD,
    IS_RECORD_TIME,
    IS_RESOURCE,
    IS_SPAN_ID,
    IS_TRACE_ID,
    Layout,
    MessageEntry,
    NO_FIELD,
    OPEN_GROUP,
    PACKED_FIXED32,
    PACKED_FIXED64,
    PACKED_VARINTS,
    PLAIN_BYTES,
    PLAIN_FIXED32,
    PLAIN_FIXED64,
    PLAIN_VARINT,
    TEXT,
    TIMESTAMP,
    TagEntry,
)
from otlp_capture.otlp.kernel.spans cimport Spans, note_span, number_of
from otlp_capture.otlp.kernel.traces cimport (
    Choice,
    PLACE_BYTES,
    REQUEST_LEVEL,
    copy_edited,
    enter_level,
    is_chosen,
    leave_level,
)
from otlp_capture.otlp.kernel.utf8 cimport find_bad_utf8, is_ascii
from otlp_capture.otlp.kernel.wire cimport (
    FIXED32,
    FIXED64,
    LENGTH,
    MAX_TAG_BYTES,
    VARINT,
    read_fixed64,
    read_varint,
    skip_varint,
    write_fixed64,
)

from otlp_capture.otlp.faults import MAX_MESSAGE_DEPTH, Fault, FaultFound

cdef enum:
    MAX_DEPTH = 100
    TRACE_ID_BYTES = 16
    SPAN_ID_BYTES = 8
    KNOWN_IDS = 256
    KNOWN_IDS_SHIFT = 56            # leaves as many bits as count them

assert MAX_DEPTH == MAX_MESSAGE_DEPTH

cdef enum Purpose:
    SCAN
    SHIFT
    REMAP
    SELECT
    TRACES
    SPANS

cdef int ENDLESS_NUMBER = Fault.ENDLESS_NUMBER
cdef int FIELD_NUMBER = Fault.FIELD_NUMBER
cdef int WIRE_TYPE = Fault.WIRE_TYPE
cdef int LENGTH_BEYOND = Fault.LENGTH
cdef int DEPTH = Fault.DEPTH
cdef int GROUP_END = Fault.GROUP_END
cdef int PACKED = Fault.PACKED
cdef int BAD_TEXT = Fault.TEXT
cdef int ELEMENTS = Fault.ELEMENTS
cdef int NO_MEMORY = -1

cdef struct Frame:
    const uint8_t* end
    const MessageEntry* message
    uint64_t seen                   # which of its singular fields have stood in it
    uint32_t group                  # its number, if it is a group
    uint8_t values                  # how many AnyValues stand around its content
    bint is_record

cdef struct Stretch:
    const uint8_t* begin
    const uint8_t* end

cdef struct Container:
    Stretch whole                   # with its tag
    Stretch service

cdef struct KnownId:
    uint64_t[2] old
    uint64_t[2] new

cdef struct Rename:
    const uint8_t* key
    int key_bytes
    KeyedHash[MAX_DIGEST_BYTES + 1] by_size
    KnownId[KNOWN_IDS] traces       # a cache: a trace's id stands in each of its spans
    KnownId[KNOWN_IDS] spans        # and a span's in those that it is the parent of

cdef struct Walk:
    # What is walked.
    const uint8_t* begin
    const uint8_t* end
    const MessageEntry* root
    uint64_t max_elements
    uint32_t max_values
    # What is changed: a copy of the same bytes, or NULL.
    uint8_t* out
    uint64_t distance               # of a shift, in nanoseconds
    bint is_back
    Rename* rename
    Choice* choice
    Spans* spans
    # What is found.
    int fault
    const uint8_t* fault_at
    uint64_t fault_found
    uint64_t fault_allowed
    const MessageEntry* fault_message
    uint64_t fault_tag
    bint is_handed_over
    bint is_at_end                  # every byte was passed
    const uint8_t* too_deep         # the first AnyValue that is, or NULL
    uint64_t records
    uint64_t earliest
    uint64_t latest
    Container* containers
    size_t container_count
    size_t container_room


cdef inline int fail(
    Walk* walk, int fault, const uint8_t* at, uint64_t found=0, uint64_t allowed=0
) noexcept nogil:
    walk.fault = fault
    walk.fault_at = at
    walk.fault_found = found
    walk.fault_allowed = allowed
    return fault


cdef inline int fail_in_field(
    Walk* walk, int fault, const uint8_t* at, const MessageEntry* message, uint64_t tag
) noexcept nogil:
    walk.fault_message = message
    walk.fault_tag = tag
    return fail(walk, fault, at)


cdef inline void note_time(Walk* walk, uint64_t time) noexcept nogil:
    if walk.earliest == 0 or time < walk.earliest:
        walk.earliest = time
    if time > walk.latest:
        walk.latest = time


cdef inline int pass_over(
    Walk* walk, Layout layout, const Purpose purpose
) noexcept nogil:
    """Walk from the first byte to the last. Returns a fault, or 0."""
    cdef Frame[MAX_DEPTH + 1] stack
    cdef Frame* now = stack
    cdef uint64_t seen = 0
    cdef const uint8_t* at = walk.begin
    cdef const uint8_t* end = walk.end
    cdef const MessageEntry* message = walk.root
    cdef const uint8_t* begin               # of a field
    cdef const uint8_t* start               # of its value
    cdef const uint8_t* item
    cdef const TagEntry* entry
    cdef uint64_t tag, time
    cdef uint64_t length = 0
    cdef uint8_t handling
    cdef uint64_t repeats = 0
    cdef uint64_t elements_left = walk.max_elements
    cdef uint64_t fallback_time = 0         # of the record that is being read
    cdef bint has_time = False

    now.end = end
    now.message = message
    now.group = 0
    now.values = 0
    now.is_record = False
    while True:
        if at == end and now.group == 0:
            if purpose == SCAN and now.is_record and fallback_time and not has_time:
                note_time(walk, fallback_time)
            if now == stack:
                walk.is_handed_over |= repeats != 0
                walk.is_at_end = True
                return 0
            if purpose == TRACES and not leave_level(walk.choice, now - stack, at):
                return fail(walk, NO_MEMORY, at)
            if purpose == SPANS and now.is_record and not note_span(walk.spans):
                return fail(walk, NO_MEMORY, at)
            now -= 1
            end = now.end
            message = now.message
            seen = now.seen
            continue

        begin = at
        if at < end and at[0] < 0x80:
            tag = at[0]
            at += 1
            entry = message.by_tag + tag
        else:
            at = read_varint(at, end, MAX_TAG_BYTES, &tag)
            if at == NULL:
                return fail(walk, ENDLESS_NUMBER, begin)
            if tag >> 32:
                return fail(walk, FIELD_NUMBER, begin, tag >> 3)
            entry = message.by_tag + tag if tag < message.limit else layout.unknown + (tag & 7)
        repeats |= seen & entry.single
        seen |= entry.single
        start = at

        handling = entry.handling
        if handling >= PLAIN_BYTES:
            at = read_varint(at, end, MAX_TAG_BYTES, &length)
            if at == NULL:
                return fail(walk, ENDLESS_NUMBER, start)
            if length > <uint64_t>(end - at):
                return fail(walk, LENGTH_BEYOND, start, length, end - at)
            start = at
            at += length
            if entry.traits & IS_COUNTED:
                if elements_left == 0:
                    return fail(walk, ELEMENTS, begin)
                elements_left -= 1

        if handling == INNER_MESSAGE:
            if is_passed_by(entry.traits, purpose):
                continue
            if now == stack + MAX_DEPTH:
                return fail(walk, DEPTH, begin)
            if purpose == SELECT and entry.traits & IS_CONTAINER:
                if not note(walk, Container(Stretch(begin, at), Stretch(NULL, NULL))):
                    return fail(walk, NO_MEMORY, begin)
            elif (purpose == SCAN or purpose == SELECT) and entry.traits & IS_RESOURCE:
                if not note_service(walk, find_service(walk, layout, start, at), purpose):
                    return fail(walk, NO_MEMORY, begin)
            elif purpose == TRACES:
                enter_level(walk.choice, now + 1 - stack, begin, start)
            now.seen = seen
            now[1].values = now.values
            now += 1
            now.end = end = at
            now.message = message = entry.message
            now.group = 0
            now.is_record = entry.traits & IS_RECORD
            seen = 0
            if purpose == SCAN and now.is_record:
                walk.records += 1
                has_time = False
                fallback_time = 0
            if entry.traits & IS_ANY_VALUE:
                now.values += 1
                if now.values > walk.max_values and walk.too_deep == NULL:
                    walk.too_deep = begin
            at = start
        elif handling == TEXT:
            if purpose in (SCAN, SELECT) and not is_ascii(start, at, walk.end):
                item = find_bad_utf8(start, at)
                if item != NULL:
                    return fail_in_field(walk, BAD_TEXT, item, message, tag)
        elif handling == PLAIN_BYTES:
            pass
        elif handling == ID:
            if purpose == REMAP and length:
                rename_id(walk, start, length)
            elif purpose == TRACES and entry.traits & IS_TRACE_ID:
                walk.choice.is_kept = is_chosen(walk.choice, start, length)
            elif purpose == SPANS:
                if entry.traits & IS_TRACE_ID:
                    walk.spans.trace = number_of(walk.spans, start, length, True)
                elif entry.traits & IS_SPAN_ID:
                    walk.spans.span = number_of(walk.spans, start, length, False)
                elif entry.traits & IS_PARENT_ID:
                    walk.spans.parent = number_of(walk.spans, start, length, False)
        elif handling == PLAIN_VARINT:
            at = skip_varint(at, end)
            if at == NULL:
                return fail(walk, ENDLESS_NUMBER, start)
        elif handling == TIMESTAMP:
            if end - at < 8:
                return fail(walk, LENGTH_BEYOND, start, 8, end - at)
            at += 8
            if purpose == SHIFT:
                move_time(walk, start)
            elif purpose == SCAN:
                time = read_fixed64(start)
                if entry.traits & IS_RECORD_TIME:
                    if time:
                        has_time = True
                        note_time(walk, time)
                elif entry.traits & IS_FALLBACK_TIME:
                    fallback_time = time
        elif handling == PLAIN_FIXED64:
            if end - at < 8:
                return fail(walk, LENGTH_BEYOND, start, 8, end - at)
            at += 8
        elif handling == PLAIN_FIXED32:
            if end - at < 4:
                return fail(walk, LENGTH_BEYOND, start, 4, end - at)
            at += 4
        elif handling == PACKED_VARINTS:
            item = start
            while item < at:
                start = item
                item = skip_varint(item, at)
                if item == NULL:
                    return fail(walk, ENDLESS_NUMBER, start)
        elif handling == PACKED_FIXED64:
            if length & 7:
                return fail_in_field(walk, PACKED, start, message, tag)
        elif handling == PACKED_FIXED32:
            if length & 3:
                return fail_in_field(walk, PACKED, start, message, tag)
        elif handling == OPEN_GROUP:
            if now == stack + MAX_DEPTH:
                return fail(walk, DEPTH, begin)
            now.seen = seen
            now[1].values = now.values
            now += 1
            now.end = end
            now.message = message = &layout.in_group
            now.group = tag >> 3
            now.is_record = False
        elif handling == CLOSE_GROUP:
            if tag >> 3 != now.group:
                return fail(walk, GROUP_END, begin, tag >> 3)
            now -= 1
            message = now.message
            seen = now.seen
        elif handling == NO_FIELD:
            if now.group == 0:
                return fail(walk, FIELD_NUMBER, begin, 0)
            # Inside a group upb takes even this. Nobody writes it.
            walk.is_handed_over = True
            return 0
        else:
            return fail(walk, WIRE_TYPE, at - 1, tag & 7)


cdef inline bint is_passed_by(uint16_t traits, const Purpose purpose) noexcept nogil:
    """Whether an inner message holds nothing that matters: only a scan enters all of them."""
    if purpose == SHIFT:
        return not traits & HOLDS_TIMES
    if purpose == REMAP:
        return not traits & HOLDS_IDS
    if purpose == TRACES or purpose == SPANS:
        return not traits & (IS_CONTAINER | HOLDS_SCOPES | IS_RECORD)
    return purpose == SELECT and traits & HOLDS_SCOPES


cdef inline void move_time(Walk* walk, const uint8_t* at) noexcept nogil:
    """Write the moved timestamp over the one at *at*. Zero means unset and stays."""
    cdef uint64_t time = read_fixed64(at)
    cdef uint64_t moved
    if time == 0:
        return
    if walk.is_back:
        moved = time - walk.distance
        walk.is_handed_over |= time <= walk.distance
    else:
        moved = time + walk.distance
        walk.is_handed_over |= moved < time
    write_fixed64(walk.out + (at - walk.begin), moved)


# What is noted of containers: where each stands, and the service that its resource names.


cdef bint note(Walk* walk, Container container) noexcept nogil:
    """Keep *container*. False: there is no memory."""
    cdef Container* grown
    cdef size_t room
    if walk.container_count == walk.container_room:
        room = 16 if walk.container_room == 0 else 2 * walk.container_room
        grown = <Container*>realloc(walk.containers, room * sizeof(Container))
        if grown == NULL:
            return False
        walk.containers = grown
        walk.container_room = room
    walk.containers[walk.container_count] = container
    walk.container_count += 1
    return True


cdef bint note_service(Walk* walk, Stretch service, const Purpose purpose) noexcept nogil:
    """Keep the service of a resource: with its container, or alone if it is not the last one."""
    cdef Container* last = NULL
    if walk.container_count:
        last = &walk.containers[walk.container_count - 1]
    if purpose == SELECT:
        last.service = service
        return True
    if service.begin == service.end or last != NULL and is_same(last.service, service):
        return True
    return note(walk, Container(Stretch(NULL, NULL), service))


cdef inline bint is_same(Stretch one, Stretch other) noexcept nogil:
    cdef size_t size = one.end - one.begin
    return <size_t>(other.end - other.begin) == size and memcmp(one.begin, other.begin, size) == 0


cdef const uint8_t* next_field(
    const uint8_t* at, const uint8_t* end, uint64_t* tag, Stretch* value
) noexcept nogil:
    """Step over one field. NULL: it cannot be read, or is a group."""
    cdef uint64_t length = 0
    at = read_varint(at, end, MAX_TAG_BYTES, tag)
    if at == NULL:
        return NULL
    value.begin = at
    if tag[0] & 7 == VARINT:
        value.end = skip_varint(at, end)
        return value.end
    if tag[0] & 7 == LENGTH:
        at = read_varint(at, end, MAX_TAG_BYTES, &length)
        if at == NULL:
            return NULL
        value.begin = at
    elif tag[0] & 7 == FIXED64:
        length = 8
    elif tag[0] & 7 == FIXED32:
        length = 4
    else:
        return NULL
    if length > <uint64_t>(end - at):
        return NULL
    value.end = at + length
    return value.end


cdef Stretch find_service(
    Walk* walk, Layout layout, const uint8_t* at, const uint8_t* end
) noexcept nogil:
    """Find `service.name` among the attributes of a resource; empty where it names none.

    What is malformed here the walk refuses when it comes here, and where a field repeats it hands
    over; a group is the one thing that this cannot step over and the walk can.
    """
    cdef uint64_t tag
    cdef Stretch attribute, field, value, text
    cdef Stretch service = Stretch(NULL, NULL)
    cdef bint is_service
    while at < end:
        at = next_field(at, end, &tag, &attribute)
        if at == NULL:
            walk.is_handed_over = True
            break
        if tag != layout.attributes_tag:
            continue
        is_service = False
        value = Stretch(NULL, NULL)
        while attribute.begin < attribute.end:
            attribute.begin = next_field(attribute.begin, attribute.end, &tag, &field)
            if attribute.begin == NULL:
                walk.is_handed_over = True
                return service
            if tag == layout.key_tag:
                is_service = is_service_name(field)
            elif tag == layout.value_tag:
                value = field
        if not is_service:
            continue
        while value.begin < value.end:
            value.begin = next_field(value.begin, value.end, &tag, &text)
            if value.begin == NULL:
                walk.is_handed_over = True
                break
            if tag == layout.string_tag:
                service = text
        break
    return service


cdef inline bint is_service_name(Stretch text) noexcept nogil:
    return text.end - text.begin == 12 and memcmp(text.begin, b"service.name", 12) == 0


# What a remap makes of an id.


cdef void rename_id(Walk* walk, const uint8_t* old, uint64_t size) noexcept nogil:
    """Write the new id over the old one. Empty and all-zero ids stay."""
    cdef Rename* rename = walk.rename
    cdef uint8_t* new = walk.out + (old - walk.begin)
    if size == TRACE_ID_BYTES or size == SPAN_ID_BYTES:
        rename_known(rename, old, size, new)
    elif size > MAX_DIGEST_BYTES:
        walk.is_handed_over = True
    elif not is_zero(old, size):
        digest(keyed_for(rename, size), old, <int>size, new)
        if is_zero(new, size):
            new[size - 1] = 1


cdef inline void rename_known(
    Rename* rename, const uint8_t* old, uint64_t size, uint8_t* new
) noexcept nogil:
    """Rename an id of the usual length: most of them stand in a request more than once."""
    cdef bint is_long = size == TRACE_ID_BYTES
    cdef uint64_t low = read_fixed64(old)
    cdef uint64_t high = read_fixed64(old + 8) if is_long else 0
    cdef uint64_t place = (low ^ high << 1) * 0x9E3779B97F4A7C15ULL >> KNOWN_IDS_SHIFT
    cdef KnownId* known = &rename.traces[place] if is_long else &rename.spans[place]
    if low == 0 and high == 0:
        return
    if known.old[0] != low or known.old[1] != high:
        known.old[0] = low
        known.old[1] = high
        digest_words(keyed_for(rename, size), low, high, <int>size, known.new)
        if known.new[0] == 0 and (known.new[1] == 0 or not is_long):
            known.new[1 if is_long else 0] = <uint64_t>1 << 56
    write_fixed64(new, known.new[0])
    if is_long:
        write_fixed64(new + 8, known.new[1])


cdef inline KeyedHash* keyed_for(Rename* rename, uint64_t size) noexcept nogil:
    cdef KeyedHash* keyed = &rename.by_size[size]
    if keyed.digest_bytes == 0:
        start_keyed(keyed, rename.key, rename.key_bytes, <int>size)
    return keyed


cdef inline bint is_zero(const uint8_t* at, uint64_t size) noexcept nogil:
    cdef uint8_t found = 0
    cdef uint64_t index
    for index in range(size):
        found |= at[index]
    return found == 0


# What Python calls.


cdef int start(Walk* walk, Layout layout, Py_ssize_t message, bytes body) except -1:
    if not 0 <= message < len(layout.tables):
        raise IndexError(f"there is no message {message} in the layout")
    memset(walk, 0, sizeof(Walk))
    walk.begin = <const uint8_t*>PyBytes_AS_STRING(body)
    walk.end = walk.begin + PyBytes_GET_SIZE(body)
    walk.root = layout.messages + message
    walk.max_elements = UINT64_MAX
    walk.max_values = UINT32_MAX
    return 0


cdef int refuse(Walk* walk, Layout layout) except -1:
    """Raise what the walk found wrong."""
    if walk.fault == NO_MEMORY:
        raise MemoryError
    if walk.fault == 0:
        return 0
    field = None
    if walk.fault_message != NULL:
        field = layout.tables[walk.fault_message - layout.messages].by_number[walk.fault_tag >> 3]
    raise FaultFound(
        Fault(walk.fault),
        walk.fault_at - walk.begin,
        walk.fault_found,
        walk.fault_allowed,
        field,
    )


cdef bytes bytes_of(Stretch stretch):
    return (<const char*>stretch.begin)[: stretch.end - stretch.begin]


def scan(
    Layout layout not None,
    Py_ssize_t message,
    bytes body not None,
    uint64_t max_elements,
    uint32_t max_values,
):
    """Say what a request holds.

    Args:
        layout: the tables.
        message: the place of the request's table in the layout.
        body: the request.
        max_elements: how many elements it may hold.
        max_values: how deep an AnyValue may be nested; a plain one has depth 1.

    Returns:
        (the offset of the first AnyValue that is too deep or None, records, earliest time, latest
        time, the set of the services' bytes), or None where the walk hands over.

    Raises:
        FaultFound: the request is refused.
    """
    cdef Walk walk
    cdef size_t at
    start(&walk, layout, message, body)
    walk.max_elements = max_elements
    walk.max_values = max_values
    try:
        with nogil:
            pass_over(&walk, layout, SCAN)
        refuse(&walk, layout)
        if walk.is_handed_over:
            return None
        too_deep = None if walk.too_deep == NULL else walk.too_deep - walk.begin
        services = {bytes_of(walk.containers[at].service) for at in range(walk.container_count)}
        return too_deep, walk.records, walk.earliest, walk.latest, services
    finally:
        free(walk.containers)


def counts(
    Layout layout not None, Py_ssize_t message, bytes body not None, uint64_t max_elements
):
    """Say whether a request was counted to its end, and holds no more elements than it may.

    A request that `scan` hands over can be counted all the same.

    Args:
        layout, message, body, max_elements: as of `scan`.
    """
    cdef Walk walk
    start(&walk, layout, message, body)
    walk.max_elements = max_elements
    walk.max_values = UINT32_MAX
    try:
        with nogil:
            pass_over(&walk, layout, SCAN)
        return bool(walk.is_at_end)
    finally:
        free(walk.containers)


def containers(Layout layout not None, Py_ssize_t message, bytes body not None):
    """Say where each container of a request stands, and of which service it is.

    Args:
        layout, message, body: as of `scan`.

    Returns:
        A list of (the container's offset with its tag, its end, the service's bytes), or None where
        the walk hands over.

    Raises:
        FaultFound: the request is refused.
    """
    cdef Walk walk
    cdef size_t at
    cdef Container* each
    start(&walk, layout, message, body)
    try:
        with nogil:
            pass_over(&walk, layout, SELECT)
        refuse(&walk, layout)
        if walk.is_handed_over:
            return None
        found = []
        for at in range(walk.container_count):
            each = walk.containers + at
            found.append(
                (
                    each.whole.begin - walk.begin,
                    each.whole.end - walk.begin,
                    bytes_of(each.service),
                )
            )
        return found
    finally:
        free(walk.containers)


def shift(
    Layout layout not None,
    Py_ssize_t message,
    bytes body not None,
    uint64_t distance_ns,
    bint is_back,
):
    """Copy a request, each timestamp moved by the same distance.

    Args:
        layout, message, body: as of `scan`.
        distance_ns: how far.
        is_back: whether into the past.

    Returns:
        The copy, or None where the walk hands over: also where a timestamp would leave its range.

    Raises:
        FaultFound: the request is refused.
    """
    cdef Walk walk
    start(&walk, layout, message, body)
    walk.distance = distance_ns
    walk.is_back = is_back
    cdef bytes moved = PyBytes_FromStringAndSize(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    walk.out = <uint8_t*>PyBytes_AS_STRING(moved)
    with nogil:
        pass_over(&walk, layout, SHIFT)
    refuse(&walk, layout)
    return None if walk.is_handed_over else moved


def remap(
    Layout layout not None,
    Py_ssize_t message,
    bytes body not None,
    bytes key not None,
):
    """Copy a request, each id replaced by its keyed hash.

    Args:
        layout, message, body: as of `scan`.
        key: of the hash, 1 to 64 bytes.

    Returns:
        The copy, or None where the walk hands over: also where an id is longer than a hash.

    Raises:
        FaultFound: the request is refused.
    """
    cdef Walk walk
    cdef Rename* rename
    if not 1 <= len(key) <= MAX_DIGEST_BYTES:
        raise ValueError(f"a key of {len(key)} bytes; allowed: 1 to {MAX_DIGEST_BYTES}")
    start(&walk, layout, message, body)
    cdef bytes renamed = PyBytes_FromStringAndSize(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    walk.out = <uint8_t*>PyBytes_AS_STRING(renamed)
    rename = <Rename*>calloc(1, sizeof(Rename))
    if rename == NULL:
        raise MemoryError
    rename.key = <const uint8_t*>PyBytes_AS_STRING(key)
    rename.key_bytes = <int>len(key)
    walk.rename = rename
    try:
        with nogil:
            pass_over(&walk, layout, REMAP)
    finally:
        free(rename)
    refuse(&walk, layout)
    return None if walk.is_handed_over else renamed


def select_traces(
    Layout layout not None,
    Py_ssize_t message,
    bytes body not None,
    bytes key not None,
    uint64_t first,
    uint64_t last,
    bint keeps_untraced,
):
    """Copy what a request holds of some traces: those whose keyed hash is in a range.

    Args:
        layout, message, body: as of `scan`; of traces or logs.
        key: of the hash, 1 to 64 bytes.
        first: the first hash that is chosen.
        last: the last one.
        keeps_untraced: whether records without a trace are kept.

    Returns:
        (the copy, or *body* itself where nothing is left out, the records that are kept, those that
        are left out), or None where the walk hands over: also where an id is longer than 128 bytes.

    Raises:
        FaultFound: the request is refused.
    """
    cdef Walk walk
    cdef Choice choice
    cdef bytes kept
    cdef int key_bytes = <int>len(key)
    if not 1 <= key_bytes <= MAX_DIGEST_BYTES:
        raise ValueError(f"a key of {key_bytes} bytes; allowed: 1 to {MAX_DIGEST_BYTES}")
    start(&walk, layout, message, body)
    memset(&choice, 0, sizeof(Choice))
    choice.first = first
    choice.last = last
    choice.keeps_untraced = keeps_untraced
    walk.choice = &choice
    cdef const uint8_t* key_at = <const uint8_t*>PyBytes_AS_STRING(key)
    try:
        with nogil:
            start_keyed(&choice.hash, key_at, key_bytes, PLACE_BYTES)
            pass_over(&walk, layout, TRACES)
        refuse(&walk, layout)
        if walk.is_handed_over or choice.is_handed_over:
            return None
        kept = body
        if choice.count:
            kept = PyBytes_FromStringAndSize(
                NULL, PyBytes_GET_SIZE(body) - choice.levels[REQUEST_LEVEL].shrunk
            )
            copy_edited(&choice, walk.begin, walk.end, <uint8_t*>PyBytes_AS_STRING(kept))
        return kept, choice.levels[REQUEST_LEVEL].kept, choice.levels[REQUEST_LEVEL].left_out
    finally:
        free(choice.edits)


def span_links(
    Layout layout not None, Py_ssize_t message, bytes body not None, bytes key not None
):
    """Say which span each span of a request is, and which its parent.

    Args:
        layout, message, body: as of `scan`; of traces.
        key: of the hash of trace ids, 1 to 64 bytes.

    Returns:
        Two numbers of 64 bits for each span, as they lie in memory, or None where the walk hands
        over: also where an id is longer than 128 bytes.

    Raises:
        FaultFound: the request is refused.
    """
    cdef Walk walk
    cdef Spans spans
    cdef int key_bytes = <int>len(key)
    if not 1 <= key_bytes <= MAX_DIGEST_BYTES:
        raise ValueError(f"a key of {key_bytes} bytes; allowed: 1 to {MAX_DIGEST_BYTES}")
    start(&walk, layout, message, body)
    memset(&spans, 0, sizeof(Spans))
    walk.spans = &spans
    cdef const uint8_t* key_at = <const uint8_t*>PyBytes_AS_STRING(key)
    try:
        with nogil:
            start_keyed(&spans.hash, key_at, key_bytes, PLACE_BYTES)
            pass_over(&walk, layout, SPANS)
        refuse(&walk, layout)
        if walk.is_handed_over or spans.is_handed_over:
            return None
        return (<const char*>spans.numbers)[: spans.count * sizeof(uint64_t)] if spans.count else b""
    finally:
        free(spans.numbers)
