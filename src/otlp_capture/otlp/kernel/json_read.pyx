# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""OTLP/JSON to protobuf, in one pass over the text and without a tree.

Each value is written as protobuf as soon as it is read; what a message holds in another order than
that of its numbers is put in order at its end. A scalar that is not written plainly goes to the
reader of its kind, which decides and words the refusal. After a refusal the rest is still read, so
that a fault of the text itself comes first. What would need a tree is handed over: a key that comes
twice or has escapes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cimport cython

from otlp_capture.otlp.kernel.json_buffer cimport Buffer, put, release, reserve
from otlp_capture.otlp.kernel.json_fields cimport (
    close_length,
    is_packed,
    open_length,
    put_content,
    put_hex,
    put_number,
    put_unescaped,
)
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
    JsonName,
    MESSAGE_KIND,
    TEXT_KIND,
    UINT32_KIND,
    UINT64_KIND,
)
from otlp_capture.otlp.kernel.json_numbers cimport (
    bits_of,
    bits_of_double,
    plain_double,
    plain_integer,
)
from otlp_capture.otlp.kernel.json_text cimport (
    MAX_DIGITS,
    end_of_plain,
    end_of_string,
    end_of_word,
    skip_blanks,
)
from otlp_capture.otlp.kernel.utf8 cimport find_bad_utf8

import codecs

from otlp_capture.otlp.faults import MAX_MESSAGE_DEPTH
from otlp_capture.otlp.json_scalars import Rejected
from otlp_capture.otlp.json_text import ARRAYS_PER_ELEMENT, JsonFault, describe_value, parse_text
from otlp_capture.otlp.nesting import describe_nesting

cdef enum:
    MAX_DEPTH = 100
    MAX_LEVELS = 256            # of arrays and objects that are passed over
    UNLIMITED = 0x7FFFFFFF      # what protobuf itself allows, in bytes

assert MAX_DEPTH == MAX_MESSAGE_DEPTH

cdef enum Stop:
    NOT_STOPPED
    HANDED_OVER
    TOO_MANY_ELEMENTS
    NO_JSON

# What is read next: the first thing in an object or array, from its bracket on; what follows on a
# value in one; what follows on the whole document.
cdef enum StepKind:
    FIRST
    IN_OBJECT
    IN_ARRAY
    BEHIND

cdef struct Step:
    const uint8_t* at
    int kind

# A key that is being read, and the place in its array. The chain of them is the path.
cdef struct Place:
    const Place* around
    const uint8_t* key
    size_t key_bytes
    size_t index
    bint is_listed

# What one key of a message has become.
cdef struct Segment:
    uint32_t number
    size_t begin
    size_t end

cdef dict KIND_NAMES = {
    TEXT_KIND: "string",
    BYTES_KIND: "bytes",
    ID_KIND: "id",
    BOOL_KIND: "bool",
    DOUBLE_KIND: "double",
    ENUM_KIND: "enum",
    INT32_KIND: "int32",
    UINT32_KIND: "uint32",
    INT64_KIND: "int64",
    UINT64_KIND: "uint64",
}
cdef dict BEFORE = {FIRST: "", IN_OBJECT: '{"":""', IN_ARRAY: '[""', BEHIND: "{}"}
cdef size_t BOM_BYTES = len(codecs.BOM_UTF8)


def read(
    JsonLayout layout not None, uint32_t message, bytes body not None, bint is_import, readers,
    limits
):
    """Turn a text into a request.

    Args:
        layout: the tables.
        message: the place of the request's table.
        body: the text, from anyone.
        is_import: whether it is read in the import dialect.
        readers: how each kind of scalar is read in that dialect.
        limits: what the text and the request may hold.

    Returns:
        The request; the first value that does not fit; of what there is too much; where the text
        stops being JSON; None where it is handed over.
    """
    if message >= <uint32_t>len(layout.tables):
        raise IndexError(f"there is no message {message}")
    cdef _Reader reader = _Reader(is_import, readers, limits)
    return reader.read(body, layout.messages + message)


def read_line(JsonLayout layout not None, bytes body not None, readers, limits):
    """Turn a text of the import dialect into the requests that stand under its keys.

    Args:
        layout: the tables.
        body: the text, from anyone.
        readers: how each kind of scalar is read.
        limits: what the text, and each of the requests, may hold.

    Returns:
        A list: for each key of a request, unless it is null, its field and the request, or why
        there is none. Else what `read` returns.
    """
    cdef _Reader reader = _Reader(True, readers, limits)
    reader.found = []
    return reader.read(body, &layout.line)


@cython.final
cdef class _Reader:
    """One text that is being read."""

    cdef const uint8_t* end
    cdef Buffer out
    cdef Buffer ordered             # where a message is put in order
    cdef Segment* segments
    cdef size_t segment_count
    cdef size_t segment_room
    cdef object readers
    cdef object rejected            # the first value that does not fit
    cdef object unusual             # a value that a reader has read
    cdef uint64_t objects_left
    cdef uint64_t arrays_left
    cdef uint64_t elements
    cdef uint64_t max_elements
    cdef size_t max_bytes
    cdef int max_values
    cdef int dialect
    cdef bint is_too_large
    cdef bint is_discarding         # the request is refused: what is read is written no more
    cdef int stop
    cdef Step step                  # where the text stops being JSON
    cdef list found                 # the requests of a line

    def __cinit__(self, bint is_import, readers, limits):
        self.dialect = is_import
        self.readers = readers
        self.max_elements = min(limits.max_elements, UNLIMITED)
        self.objects_left = self.max_elements
        self.arrays_left = ARRAYS_PER_ELEMENT * self.max_elements
        self.max_values = min(limits.max_any_value_depth, UNLIMITED)
        self.max_bytes = min(limits.max_bytes, UNLIMITED)

    def __dealloc__(self):
        release(&self.out)
        release(&self.ordered)
        PyMem_Free(self.segments)

    cdef object read(self, bytes body, const JsonMessage* message):
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(body)
        cdef const uint8_t* begin
        cdef Step step
        self.end = at + PyBytes_GET_SIZE(body)
        if self.dialect and body.startswith(codecs.BOM_UTF8):
            at += BOM_BYTES
        if find_bad_utf8(at, self.end) != NULL:
            return None
        reserve(&self.out, (self.end - at) // 2 + 1)
        begin = at
        step = Step(begin, FIRST)
        at = skip_blanks(at)
        if at[0] == c"{":
            at = self.read_object(at, message, NULL, 0, 0)
        else:
            at = self.refuse_kind(at, NULL, "one JSON object")
        if at != NULL and skip_blanks(at) != self.end:
            step = Step(at, BEHIND)
            at = self.no_json()
        if at == NULL:
            self.stop_at(step)
            return self.why_stopped(begin)
        return self.found if message.is_line and not self.rejected else self.outcome()

    cdef object why_stopped(self, const uint8_t* begin):
        if self.stop == TOO_MANY_ELEMENTS:
            return "elements"
        if self.stop == NO_JSON:
            return JsonFault(self.step.at - begin, BEFORE[self.step.kind])
        return None

    cdef object outcome(self):
        """Return the request that was written, or why there is none."""
        if self.rejected is not None:
            return self.rejected
        if self.is_too_large or self.out.size > self.max_bytes:
            return "bytes"
        if self.elements > self.max_elements:
            return "elements"
        return PyBytes_FromStringAndSize(<const char*>self.out.begin, self.out.size)

    cdef int end_request(self, const JsonField* field) except -1:
        """Keep the request that stands in a field of a line, and begin another."""
        self.found.append((<object>field.field, self.outcome()))
        self.out.size = 0
        self.elements = 0
        self.rejected = None
        self.is_too_large = False
        self.is_discarding = False
        return 0

    # Objects and arrays.

    cdef const uint8_t* read_object(
        self, const uint8_t* at, const JsonMessage* message, const Place* around, int depth,
        int values
    ) except? NULL:
        """Read an object, from its brace on, and write the fields of a message."""
        cdef size_t first = self.segment_count
        cdef uint64_t seen = 0
        cdef uint64_t chosen = 0
        cdef uint32_t guess = 0
        cdef uint32_t last = 0
        cdef bint is_ordered = True
        cdef const JsonField* field
        cdef size_t begin
        cdef Place here
        cdef Step step = Step(at, FIRST)
        values += message.is_any_value
        if depth > MAX_DEPTH or values > self.max_values:
            return self.refuse_depth(at, around, depth)
        if not self.count_object():
            return NULL
        here.around = around
        at = skip_blanks(at + 1)
        if at[0] == c"}":
            return at + 1
        while True:
            here.key = at + 1
            at = self.read_key(at, &here.key_bytes)
            if at == NULL:
                return self.stop_at(step)
            field = find_field(message, self.dialect, &here, &guess)
            if field == NULL:
                at = self.pass_value(at)
            elif seen & field.bit:
                return self.hand_over()
            elif at[0] == c"n":
                seen |= field.bit
                at = self.pass_value(at)
            else:
                seen |= field.bit
                if chosen & field.rivals:
                    self.refuse_choice(message, chosen & field.rivals, field, around)
                chosen |= field.bit
                begin = self.out.size
                at = self.read_member(at, field, &here, depth, values)
                if message.is_line:
                    self.end_request(field)
                elif not self.is_discarding and self.out.size > begin:
                    is_ordered &= field.number > last
                    last = field.number
                    self.note_segment(last, begin)
            if at == NULL:
                return self.stop_at(step)
            step = Step(at, IN_OBJECT)
            at = skip_blanks(at)
            if at[0] == c",":
                at = skip_blanks(at + 1)
            elif at[0] == c"}":
                break
            else:
                self.no_json()
                return self.stop_at(step)
        if not is_ordered and not self.is_discarding:
            self.put_in_order(first)
        self.segment_count = first
        return at + 1

    cdef const uint8_t* read_key(self, const uint8_t* at, size_t* size) except? NULL:
        """Read a key, from its quote on, and pass over the colon to the value."""
        cdef bint has_escapes
        cdef const uint8_t* begin = at + 1
        if at[0] != c'"':
            return self.no_json()
        at = end_of_string(begin, self.end, &has_escapes)
        if at == NULL:
            return self.no_json()
        if has_escapes:
            return self.hand_over()
        size[0] = at - begin
        return self.pass_colon(at + 1)

    cdef inline const uint8_t* pass_colon(self, const uint8_t* at) except? NULL:
        at = skip_blanks(at)
        return skip_blanks(at + 1) if at[0] == c":" else self.no_json()

    cdef const uint8_t* read_member(
        self, const uint8_t* at, const JsonField* field, Place* here, int depth, int values
    ) except? NULL:
        """Read what stands behind a key."""
        here.is_listed = False
        if field.is_repeated:
            if at[0] != c"[":
                return self.refuse_kind(at, here, "an array")
            return self.read_array(at, field, here, depth, values)
        if field.kind == MESSAGE_KIND:
            return self.read_inner(at, field, here, depth, values)
        return self.read_scalar(at, field, here)

    cdef const uint8_t* read_inner(
        self, const uint8_t* at, const JsonField* field, const Place* here, int depth, int values
    ) except? NULL:
        """Read an object that is a message inside another."""
        cdef size_t content
        if at[0] != c"{":
            return self.refuse_kind(at, here, "an object")
        self.elements += 1
        content = open_length(&self.out, field)
        at = self.read_object(at, field.message, here, depth + 1, values)
        if at != NULL and not self.is_discarding:
            close_length(&self.out, content)
        return at

    cdef const uint8_t* read_array(
        self, const uint8_t* at, const JsonField* field, Place* here, int depth, int values
    ) except? NULL:
        """Read an array, from its bracket on."""
        cdef size_t content = 0
        cdef Step step = Step(at, FIRST)
        if not self.count_array():
            return NULL
        at = skip_blanks(at + 1)
        if at[0] == c"]":
            return at + 1
        here.is_listed = True
        here.index = 0
        if is_packed(field):
            content = open_length(&self.out, field)
        while True:
            if field.kind == MESSAGE_KIND:
                at = self.read_inner(at, field, here, depth, values)
            else:
                at = self.read_scalar(at, field, here)
            if at == NULL:
                return self.stop_at(step)
            step = Step(at, IN_ARRAY)
            at = skip_blanks(at)
            if at[0] == c"]":
                break
            if at[0] != c",":
                self.no_json()
                return self.stop_at(step)
            at = skip_blanks(at + 1)
            here.index += 1
        if content and not self.is_discarding:
            close_length(&self.out, content)
        return at + 1

    cdef const uint8_t* pass_value(self, const uint8_t* at) except? NULL:
        """Pass over any value, which need not mean anything but must be JSON."""
        cdef uint8_t[MAX_LEVELS] objects    # whether each level is an object
        cdef int depth = 0
        cdef bint is_object = False
        cdef Step step = Step(NULL, FIRST)  # at no level it is the caller who knows
        while True:
            if at[0] != c"{" and at[0] != c"[":
                at = self.pass_scalar(at)
                if at == NULL:
                    return self.stop_at(step)
            else:
                if depth == MAX_LEVELS:
                    return self.hand_over()
                objects[depth] = is_object
                depth += 1
                is_object = at[0] == c"{"
                if not (self.count_object() if is_object else self.count_array()):
                    return NULL
                step = Step(at, FIRST)
                at = skip_blanks(at + 1)
                if at[0] != (c"}" if is_object else c"]"):
                    if is_object:
                        at = self.pass_key(at)
                        if at == NULL:
                            return self.stop_at(step)
                    continue
                at += 1
                depth -= 1
                is_object = objects[depth]
            while True:
                if depth == 0:
                    return at
                step = Step(at, IN_OBJECT if is_object else IN_ARRAY)
                at = skip_blanks(at)
                if at[0] == c",":
                    break
                if at[0] != (c"}" if is_object else c"]"):
                    self.no_json()
                    return self.stop_at(step)
                at += 1
                depth -= 1
                is_object = objects[depth]
            at = skip_blanks(at + 1)
            if is_object:
                at = self.pass_key(at)
                if at == NULL:
                    return self.stop_at(step)

    cdef const uint8_t* pass_scalar(self, const uint8_t* at) except? NULL:
        cdef bint has_escapes
        cdef const uint8_t* begin = at
        if at[0] == c'"':
            at = end_of_string(at + 1, self.end, &has_escapes)
            return self.no_json() if at == NULL else at + 1
        at = end_of_plain(at)
        if at == NULL:
            return self.no_json()
        return self.hand_over() if at - begin > MAX_DIGITS else at

    cdef const uint8_t* pass_key(self, const uint8_t* at) except? NULL:
        cdef bint has_escapes
        if at[0] != c'"':
            return self.no_json()
        at = end_of_string(at + 1, self.end, &has_escapes)
        return self.no_json() if at == NULL else self.pass_colon(at + 1)

    # Scalars.

    cdef const uint8_t* read_scalar(
        self, const uint8_t* at, const JsonField* field, const Place* here
    ) except? NULL:
        """Read a scalar and write it, unless it says nothing."""
        cdef uint64_t bits = 0
        if field.kind <= ID_KIND:
            at = self.read_text(at, field, here)
        else:
            at = self.read_number(at, field, here, &bits)
            if at != NULL:
                put_number(&self.out, field, bits)
        if self.out.size > self.max_bytes:
            self.is_too_large = True
            self.is_discarding = True
        if self.is_discarding:
            self.out.size = 0
        return at

    cdef const uint8_t* read_text(
        self, const uint8_t* at, const JsonField* field, const Place* here
    ) except? NULL:
        """Read and write a string, bytes or an id."""
        cdef bint has_escapes
        cdef const uint8_t* end
        if field.is_repeated:
            self.elements += 1
        if at[0] == c'"' and field.kind != BYTES_KIND:
            end = end_of_string(at + 1, self.end, &has_escapes)
            if end == NULL:
                return self.no_json()
            if field.kind == ID_KIND:
                if put_hex(&self.out, field, at + 1, end):
                    return end + 1
            elif not has_escapes:
                put_content(&self.out, field, at + 1, end - at - 1)
                return end + 1
            elif put_unescaped(&self.out, field, at + 1, end):
                return end + 1
        at = self.ask_reader(at, field, here)
        if at != NULL and self.unusual is not None:
            self.put_value(field, self.unusual)
        return at

    cdef int put_value(self, const JsonField* field, value) except -1:
        """Write a string, bytes or an id that a reader has read."""
        cdef bytes content = value.encode() if field.kind == TEXT_KIND else value
        cdef const uint8_t* begin = <const uint8_t*>PyBytes_AS_STRING(content)
        return put_content(&self.out, field, begin, PyBytes_GET_SIZE(content))

    cdef const uint8_t* read_number(
        self, const uint8_t* at, const JsonField* field, const Place* here, uint64_t* bits
    ) except? NULL:
        """Read a number, a bool or an enum as the bits that protobuf writes."""
        cdef const uint8_t* end
        if field.kind == BOOL_KIND:
            bits[0] = at[0] == c"t"
            end = end_of_word(at, "true" if bits[0] else "false")
        elif field.kind == DOUBLE_KIND:
            end = plain_double(at, bits)
        else:
            end = plain_integer(at, field, bits)
        if end != NULL:
            return end
        at = self.ask_reader(at, field, here)
        if at != NULL and self.unusual is not None:
            if field.kind == DOUBLE_KIND:
                bits[0] = bits_of_double(self.unusual)
            else:
                bits[0] = bits_of(field, self.unusual)
        return at

    cdef const uint8_t* ask_reader(
        self, const uint8_t* at, const JsonField* field, const Place* here
    ) except? NULL:
        """Let the reader of its kind read a value, from the piece of the text that it is."""
        cdef const uint8_t* end = self.pass_value(at)
        self.unusual = None
        if end == NULL or self.rejected is not None:
            return end
        try:
            value = value_between(at, end)
            self.unusual = self.readers[KIND_NAMES[field.kind]](value, <object>field.field)
        except Rejected as rejected:
            self.refuse(rejected, here)
        except ValueError:
            return self.hand_over()
        return end

    # The order of fields.

    cdef int note_segment(self, uint32_t number, size_t begin) except -1:
        cdef size_t room
        cdef Segment* grown
        if self.segment_count == self.segment_room:
            room = 2 * self.segment_room + 64
            grown = <Segment*>PyMem_Realloc(self.segments, room * sizeof(Segment))
            if grown == NULL:
                raise MemoryError
            self.segments = grown
            self.segment_room = room
        self.segments[self.segment_count] = Segment(number, begin, self.out.size)
        self.segment_count += 1
        return 0

    cdef int put_in_order(self, size_t first) except -1:
        """Sort what the segments from *first* on have written by the numbers of their fields."""
        cdef Segment* segments = self.segments + first
        cdef size_t count = self.segment_count - first
        cdef size_t begin = segments[0].begin
        cdef size_t at, free
        cdef Segment segment
        for at in range(1, count):
            segment = segments[at]
            free = at
            while free and segments[free - 1].number > segment.number:
                segments[free] = segments[free - 1]
                free -= 1
            segments[free] = segment
        self.ordered.size = 0
        for at in range(count):
            put(
                &self.ordered,
                self.out.begin + segments[at].begin,
                segments[at].end - segments[at].begin,
            )
        memcpy(self.out.begin + begin, self.ordered.begin, self.ordered.size)
        return 0

    # Refusing.

    cdef inline bint count_object(self) noexcept:
        if self.objects_left == 0:
            self.stop = TOO_MANY_ELEMENTS
            return False
        self.objects_left -= 1
        return True

    cdef inline bint count_array(self) noexcept:
        if self.arrays_left == 0:
            self.stop = TOO_MANY_ELEMENTS
            return False
        self.arrays_left -= 1
        return True

    cdef const uint8_t* hand_over(self) noexcept:
        self.stop = HANDED_OVER
        return NULL

    cdef const uint8_t* no_json(self) noexcept:
        self.stop = NO_JSON
        return NULL

    cdef const uint8_t* stop_at(self, Step step) noexcept:
        """Note where the innermost object or array stands that holds the fault."""
        if self.step.at == NULL:
            self.step = step
        return NULL

    cdef const uint8_t* refuse_depth(
        self, const uint8_t* at, const Place* place, int depth
    ) except? NULL:
        if depth > MAX_DEPTH:
            found = f"messages nested deeper than {MAX_DEPTH} levels"
            self.refuse(Rejected(found, f"at most {MAX_DEPTH} levels"), place)
        else:
            self.refuse(Rejected(*describe_nesting(self.max_values)), place)
        return self.pass_value(at)

    cdef int refuse_choice(
        self, const JsonMessage* message, uint64_t first, const JsonField* second,
        const Place* place
    ) except -1:
        cdef int at = 0
        while not first >> at & 1:
            at += 1
        one = (<object>message.fields[at].field).json_name
        other = (<object>second.field).json_name
        self.refuse(Rejected(f"both {one} and {other}", "one of them"), place)
        return 0

    cdef const uint8_t* refuse_kind(
        self, const uint8_t* at, const Place* place, allowed
    ) except? NULL:
        cdef const uint8_t* end = self.pass_value(at)
        if end == NULL or self.rejected is not None:
            return end
        try:
            self.refuse(Rejected(describe_value(value_between(at, end)), allowed), place)
        except ValueError:
            return self.hand_over()
        return end

    cdef int refuse(self, rejected, const Place* place) except -1:
        """Note what does not fit, unless something before it does not, and write no more."""
        if self.rejected is None:
            self.rejected = rejected
            while place != NULL:
                if place.is_listed:
                    rejected.stand_at(place.index)
                rejected.stand_inside(place.key[: place.key_bytes].decode())
                place = place.around
        self.is_discarding = True
        self.out.size = 0
        return 0


cdef inline const JsonField* find_field(
    const JsonMessage* message, int dialect, const Place* place, uint32_t* guess
) noexcept nogil:
    """Return the field of a key, or NULL. Keys mostly come in the order of the fields."""
    cdef const JsonName* names = message.names[dialect].begin
    cdef uint32_t count = message.names[dialect].count
    cdef uint32_t at = guess[0]
    cdef uint32_t tried
    for tried in range(count):
        if at >= count:
            at = 0
        if names[at].size == place.key_bytes:
            if memcmp(names[at].text, place.key, place.key_bytes) == 0:
                guess[0] = at + 1
                return names[at].field
        at += 1
    return NULL


cdef object value_between(const uint8_t* at, const uint8_t* end):
    """Parse a value; of an object or an array only what it is matters."""
    if at[0] == c"{":
        return {}
    if at[0] == c"[":
        return []
    return parse_text(at[: end - at].decode())
