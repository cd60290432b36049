# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One walk over the bytes of a request that takes out what must not be stored.

The walk looks at the key of every attribute, and asks Python about each key once; what Python says
of it holds for the next request too. Only values that a measure may change are handed to Python.

Lengths change here, so nothing is written while it walks. It notes edits, in the order of the
bytes: this stretch is replaced by that. The length of a message in which something changes is such
an edit, noted before those inside it and filled in when the message ends. What lies between the
edits is then copied as it is.

What the walk cannot judge by itself it hands over: a singular field or a oneof that repeats, and
groups.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from otlp_capture.otlp.kernel.layout cimport (
    CLOSE_GROUP,
    INNER_MESSAGE,
    IS_ANY_VALUE,
    IS_KNOWN,
    Layout,
    MessageEntry,
    NO_FIELD,
    NO_WIRE_TYPE,
    OPEN_GROUP,
    PLAIN_BYTES,
    PLAIN_FIXED32,
    PLAIN_FIXED64,
    PLAIN_VARINT,
    TEXT,
    TIMESTAMP,
    TagEntry,
)
from otlp_capture.otlp.kernel.wire cimport LENGTH, MAX_TAG_BYTES, read_fixed64, read_varint, skip_varint

cdef enum:
    MAX_DEPTH = 100
    MAX_PLACES = 32
    KNOWN_KEYS = 1024
    KNOWN_KEYS_SHIFT = 54           # leaves as many bits as count them
    LONGEST_KNOWN_KEY = 48
    MAX_LENGTH_BYTES = 8

# A verdict says what becomes of the values under a key. From 0 on: they are dropped, and counted
# under this number. Below that Python is to be asked, about every value or about texts alone; what
# is added to the first such verdict is a number that says which measures there are.
cdef enum:
    KEEP = -1
    ASK = -(1 << 30)
    ASK_ABOUT_TEXT = -(1 << 29)
    NO_VERDICT = -2

KEEP_VALUE, ASK_FOR_VALUE, ASK_FOR_TEXT = KEEP, ASK, ASK_ABOUT_TEXT

cdef struct Stretch:
    const uint8_t* begin
    const uint8_t* end

cdef struct KnownKey:
    int place                       # 0: nothing is known here yet
    int verdict
    int key_bytes
    uint8_t[LONGEST_KNOWN_KEY] key

cdef struct Edit:
    Stretch old
    const uint8_t* new              # NULL: what is in `length`
    size_t new_bytes
    uint8_t[MAX_LENGTH_BYTES] length

cdef struct Frame:
    const uint8_t* end
    const MessageEntry* message
    uint64_t seen                   # which of its singular fields have stood in it
    Stretch length                  # where its own length stands
    Py_ssize_t edit                 # that of its length; -1: nothing has changed inside
    int64_t growth                  # by how much its content grows


cdef class Verdicts:
    """What a policy says of keys, kept from request to request.

    Args:
        decide: called with the number of a place, from 1, and a key; returns a verdict.
        texts: the verdict on the text or the body at each place, by the number of the place.
        concerned: the numbers of the places where keys inside a value matter.
        drops_unknown: whether fields that no message knows are left out.
    """

    cdef KnownKey[KNOWN_KEYS] known
    cdef int[MAX_PLACES] of_text
    cdef bint[MAX_PLACES] is_concerned
    cdef bint drops_unknown
    cdef object decide

    def __cinit__(self, decide, texts, concerned, bint drops_unknown):
        memset(self.known, 0, sizeof(self.known))
        for at in range(MAX_PLACES):
            self.of_text[at] = texts.get(at, KEEP)
            self.is_concerned[at] = at in concerned
        self.drops_unknown = drops_unknown
        self.decide = decide

    cdef int of_key(self, int place, Stretch key) except? NO_VERDICT:
        """Return the verdict on a key; found out once, as long as the place of it is not needed."""
        cdef Py_ssize_t key_bytes = key.end - key.begin
        cdef KnownKey* known
        cdef int verdict
        if key_bytes > LONGEST_KNOWN_KEY:
            return self.decide(place, key.begin[:key_bytes].decode())
        known = &self.known[hash_of(key, place) >> KNOWN_KEYS_SHIFT]
        if (
            known.place == place
            and known.key_bytes == key_bytes
            and memcmp(known.key, key.begin, key_bytes) == 0
        ):
            return known.verdict
        verdict = self.decide(place, key.begin[:key_bytes].decode())
        known.place = place
        known.verdict = verdict
        known.key_bytes = <int>key_bytes
        memcpy(known.key, key.begin, key_bytes)
        return verdict


cdef inline uint64_t hash_of(Stretch key, int place) noexcept nogil:
    cdef uint64_t found = <uint64_t>(key.end - key.begin) << 8 | <uint64_t>place
    cdef uint64_t tail = 0
    cdef const uint8_t* at = key.begin
    while key.end - at >= 8:
        found = (found ^ read_fixed64(at)) * 0x9E3779B97F4A7C15ULL
        found ^= found >> 29
        at += 8
    while at < key.end:
        tail = tail << 8 | at[0]
        at += 1
    found = (found ^ tail) * 0xBF58476D1CE4E5B9ULL
    found ^= found >> 32
    return found * 0x94D049BB133111EBULL


cdef class Edits:
    """The edits of one request, in the order of its bytes."""

    cdef Edit* all
    cdef size_t count
    cdef size_t room
    cdef list held                  # the bytes that edits point into

    def __cinit__(self):
        self.all = NULL
        self.count = self.room = 0
        self.held = []

    def __dealloc__(self):
        free(self.all)

    cdef Edit* add(self, const uint8_t* begin, const uint8_t* end) except NULL:
        cdef Edit* grown
        if self.count == self.room:
            grown = <Edit*>realloc(self.all, (self.room * 2 or 64) * sizeof(Edit))
            if grown == NULL:
                raise MemoryError
            self.all = grown
            self.room = self.room * 2 or 64
        cdef Edit* new = self.all + self.count
        self.count += 1
        new.old = Stretch(begin, end)
        new.new = NULL
        new.new_bytes = 0
        return new

    cdef int open(self, Frame* bottom, Frame* now) except -1:
        """Note that something changes in a message, and with it in all those around it."""
        cdef Frame* frame = now
        while frame > bottom and frame.edit < 0:
            frame -= 1
        while frame < now:
            frame += 1
            frame.edit = self.count
            self.add(frame.length.begin, frame.length.end)
        return 0

    cdef int leave_out(
        self, Frame* bottom, Frame* now, const uint8_t* begin, const uint8_t* end
    ) except -1:
        cdef Edit* last
        self.open(bottom, now)
        now.growth -= end - begin
        if self.count:
            last = self.all + self.count - 1
            if last.new_bytes == 0 and last.old.end == begin and last.old.begin < last.old.end:
                if now.edit != <Py_ssize_t>self.count - 1:
                    last.old.end = end
                    return 0
        self.add(begin, end)
        return 0

    cdef int put(
        self, Frame* bottom, Frame* now, Stretch length, const uint8_t* end, bytes content
    ) except -1:
        """Replace a value and the length before it."""
        cdef Edit* edit
        cdef Py_ssize_t size = PyBytes_GET_SIZE(content)
        self.held.append(content)
        self.open(bottom, now)
        edit = self.add(length.begin, length.end)
        edit.new_bytes = write_length(edit.length, size)
        now.growth += <int64_t>edit.new_bytes - (length.end - length.begin)
        edit = self.add(length.end, end)
        edit.new = <const uint8_t*>PyBytes_AS_STRING(content)
        edit.new_bytes = size
        now.growth += size - (end - length.end)
        return 0

    cdef bytes apply(self, bytes body, int64_t growth):
        """Copy *body* with all the edits made."""
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(body)
        cdef const uint8_t* end = at + PyBytes_GET_SIZE(body)
        cdef bytes edited = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(body) + growth)
        cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(edited)
        cdef size_t place
        cdef Edit* edit
        for place in range(self.count):
            edit = self.all + place
            memcpy(out, at, edit.old.begin - at)
            out += edit.old.begin - at
            if edit.new == NULL:
                memcpy(out, edit.length, edit.new_bytes)
            else:
                memcpy(out, edit.new, edit.new_bytes)
            out += edit.new_bytes
            at = edit.old.end
        memcpy(out, at, end - at)
        assert out + (end - at) == <uint8_t*>PyBytes_AS_STRING(edited) + PyBytes_GET_SIZE(edited)
        return edited


cdef inline size_t write_length(uint8_t* out, uint64_t length) noexcept nogil:
    cdef size_t size = 0
    while length >= 0x80:
        out[size] = <uint8_t>(length | 0x80)
        length >>= 7
        size += 1
    out[size] = <uint8_t>length
    return size + 1


cdef struct Attribute:
    Stretch key
    Stretch value_length
    Stretch value                   # the AnyValue; NULL: there is none
    bint is_plain                   # a key and a value of one known scalar, or none; no more
    bint holds_values               # the value is a list, with keys or without


cdef inline Attribute look_at(
    Layout layout, const MessageEntry* message, const uint8_t* at, const uint8_t* end
) noexcept nogil:
    """Read an attribute as clients write it; `is_plain` is false where it is written otherwise."""
    cdef Attribute found
    cdef uint64_t length
    memset(&found, 0, sizeof(found))
    found.key = Stretch(at, at)
    if at == end or at[0] != layout.key_tag:
        return found
    at = read_varint(at + 1, end, MAX_TAG_BYTES, &length)
    if at == NULL or length > <uint64_t>(end - at):
        return found
    found.key = Stretch(at, at + length)
    at += length
    if at == end:
        found.is_plain = True
        return found
    if at[0] != layout.value_tag:
        return found
    found.value_length.begin = at + 1
    at = read_varint(at + 1, end, MAX_TAG_BYTES, &length)
    if at == NULL or length != <uint64_t>(end - at):
        return found
    found.value_length.end = at
    found.value = Stretch(at, end)
    found.is_plain = is_scalar(message.by_tag[layout.value_tag].message, at, end)
    return found


cdef inline bint is_scalar(
    const MessageEntry* any_value, const uint8_t* at, const uint8_t* end
) noexcept nogil:
    """Whether an AnyValue is one known number, text or bytes, or nothing at all."""
    cdef const TagEntry* entry
    cdef uint64_t length
    if at == end:
        return True
    if at[0] >= 0x80:
        return False
    entry = any_value.by_tag + at[0]
    at += 1
    if not entry.traits & IS_KNOWN:
        return False
    if entry.handling == TEXT or entry.handling == PLAIN_BYTES:
        at = read_varint(at, end, MAX_TAG_BYTES, &length)
        return at != NULL and length == <uint64_t>(end - at)
    if entry.handling == PLAIN_VARINT:
        return skip_varint(at, end) == end
    return entry.handling == PLAIN_FIXED64 and end - at == 8


cdef int find_key(
    Layout layout,
    const MessageEntry* message,
    const uint8_t* at,
    const uint8_t* end,
    Attribute* found,
) noexcept nogil:
    """Find the key of an attribute, and what its value holds, however it is written.

    Returns 0 where that cannot be told from the bytes.
    """
    cdef const MessageEntry* now = message
    cdef const uint8_t* outer_end = end
    cdef const TagEntry* entry
    cdef uint64_t tag, length
    while True:
        if at == end:
            if now == message:
                return 1
            now = message
            end = outer_end
            continue
        at = read_varint(at, end, MAX_TAG_BYTES, &tag)
        if at == NULL or tag >> 32:
            return 0
        entry = now.by_tag + tag if tag < now.limit else layout.unknown + (tag & 7)
        if entry.handling >= PLAIN_BYTES:
            at = read_varint(at, end, MAX_TAG_BYTES, &length)
            if at == NULL or length > <uint64_t>(end - at):
                return 0
            if now == message and tag == layout.key_tag:
                found.key = Stretch(at, at + length)
            elif now == message and tag == layout.value_tag:
                now = entry.message
                end = at + length
                continue
            elif entry.handling == INNER_MESSAGE:
                found.holds_values = True
            at += length
        elif entry.handling == PLAIN_VARINT:
            at = skip_varint(at, end)
            if at == NULL:
                return 0
        elif entry.handling == PLAIN_FIXED64 or entry.handling == TIMESTAMP:
            if end - at < 8:
                return 0
            at += 8
        elif entry.handling == PLAIN_FIXED32:
            if end - at < 4:
                return 0
            at += 4
        else:
            return 0


cdef inline bint is_text(Layout layout, const Attribute* plain) noexcept nogil:
    return plain.value.begin < plain.value.end and plain.value.begin[0] == layout.string_tag


cdef inline bint is_bytes(const Attribute* plain) noexcept nogil:
    """Whether a plain value that is no text has a length before it."""
    return plain.value.begin < plain.value.end and plain.value.begin[0] & 7 == LENGTH


cdef inline Stretch text_in(const Attribute* plain) noexcept nogil:
    cdef uint64_t length
    return Stretch(
        read_varint(plain.value.begin + 1, plain.value.end, MAX_TAG_BYTES, &length),
        plain.value.end,
    )


cdef ask_about_text(asked, int verdict, const uint8_t* begin, const uint8_t* end):
    """Return the bytes of what becomes of a text; None where it stays, False where it goes."""
    cdef int number = verdict - (ASK_ABOUT_TEXT if verdict >= ASK_ABOUT_TEXT else ASK)
    answer = asked.text(number, begin[: end - begin].decode())
    return answer.encode() if isinstance(answer, str) else answer


cdef bytes with_text(
    Layout layout, const Attribute* plain, const uint8_t* begin, bytes text
):
    """Return an attribute, or a value without a key, with another text in it."""
    cdef uint8_t[2 * MAX_LENGTH_BYTES + 1] head
    cdef uint8_t[MAX_LENGTH_BYTES] length
    cdef size_t size = 0
    cdef size_t length_bytes = write_length(length, PyBytes_GET_SIZE(text))
    cdef bytes before = b""
    if plain.value_length.begin != NULL:
        before = begin[: plain.value_length.begin - begin]
        size = write_length(head, 1 + length_bytes + PyBytes_GET_SIZE(text))
    head[size] = <uint8_t>layout.string_tag
    memcpy(head + size + 1, length, length_bytes)
    return before + head[: size + 1 + length_bytes] + text


cdef int count_one(list counts, int number) except -1:
    while len(counts) <= number:
        counts.append(0)
    counts[number] += 1
    return 0


def redact(
    Layout layout not None,
    Py_ssize_t message,
    bytes body not None,
    Verdicts verdicts not None,
    asked,
):
    """Take out of a request what must not be stored.

    Args:
        layout: the tables.
        message: the place of the request's table in the layout.
        body: the request; a scan has passed it.
        verdicts: what is to become of which key.
        asked: `attribute(place, content)` and `body(place, content)` return the new bytes of what
            they are given, `text(number, text)` a new text; each None where it stays, and False
            where it is to be left out.

    Returns:
        (the request, the same object where nothing was to be changed; how many values were dropped,
        by number; how many unknown fields), or None where the walk hands over.
    """
    if not 0 <= message < len(layout.tables):
        raise IndexError(f"there is no message {message} in the layout")
    cdef Frame[MAX_DEPTH + 1] stack
    cdef Frame* now = stack
    cdef Frame* around
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(body)
    cdef const uint8_t* end = at + PyBytes_GET_SIZE(body)
    cdef const uint8_t* muted_until = NULL      # what is inside was dealt with as a whole
    cdef const uint8_t* begin                   # of a field
    cdef const uint8_t* length_at
    cdef const uint8_t* start                   # of its value
    cdef const TagEntry* entry
    cdef uint64_t tag, length
    cdef uint64_t unknown = 0
    cdef int verdict
    cdef Attribute attribute
    cdef Stretch text
    cdef Edits edits = Edits()
    cdef Edit* edit
    cdef list dropped = []
    cdef object answer

    now.end = end
    now.message = layout.messages + message
    now.seen = 0
    now.length = Stretch(at, at)
    now.edit = 0                                # the request has no length of its own
    now.growth = 0
    while True:
        if at == now.end:
            if now == stack:
                break
            if now.edit >= 0:
                edit = edits.all + now.edit
                edit.new_bytes = write_length(
                    edit.length, now.end - now.length.end + now.growth
                )
                around = now - 1
                around.growth += now.growth
                around.growth += <int64_t>edit.new_bytes - (now.length.end - now.length.begin)
            now -= 1
            end = now.end
            continue

        begin = at
        at = read_varint(at, end, MAX_TAG_BYTES, &tag)
        if at == NULL or tag >> 32:
            return None
        entry = now.message.by_tag + tag if tag < now.message.limit else layout.unknown + (tag & 7)
        if now.seen & entry.single:
            return None
        now.seen |= entry.single
        length_at = start = at
        if entry.handling >= PLAIN_BYTES:
            at = read_varint(at, end, MAX_TAG_BYTES, &length)
            if at == NULL or length > <uint64_t>(end - at):
                return None
            start = at
            at += length
        elif entry.handling == PLAIN_VARINT:
            at = skip_varint(at, end)
            if at == NULL:
                return None
        elif entry.handling == PLAIN_FIXED64 or entry.handling == TIMESTAMP:
            if end - at < 8:
                return None
            at += 8
        elif entry.handling == PLAIN_FIXED32:
            if end - at < 4:
                return None
            at += 4
        else:
            return None

        if not entry.traits & IS_KNOWN:
            if verdicts.drops_unknown and begin >= muted_until:
                edits.leave_out(stack, now, begin, at)
                unknown += 1
            continue
        if entry.place and begin >= muted_until:
            if entry.handling == TEXT:
                verdict = verdicts.of_text[entry.place] if at > start else KEEP
                if verdict >= 0:
                    count_one(dropped, verdict)
                    edits.leave_out(stack, now, begin, at)
                elif verdict != KEEP:
                    answer = ask_about_text(asked, verdict, start, at)
                    if answer is False:
                        edits.leave_out(stack, now, begin, at)
                    elif answer is not None:
                        edits.put(stack, now, Stretch(length_at, start), at, answer)
                continue
            if entry.traits & IS_ANY_VALUE:
                memset(&attribute, 0, sizeof(attribute))
                attribute.value = Stretch(start, at)
                attribute.is_plain = is_scalar(entry.message, start, at)
                attribute.holds_values = not attribute.is_plain
                verdict = verdicts.of_text[entry.place]
            else:
                attribute = look_at(layout, entry.message, start, at)
                if not attribute.is_plain:
                    if not find_key(layout, entry.message, start, at, &attribute):
                        return None
                verdict = verdicts.of_key(entry.place, attribute.key)
            if verdict == KEEP and attribute.holds_values and verdicts.is_concerned[entry.place]:
                verdict = ASK
            if verdict >= 0:
                count_one(dropped, verdict)
                edits.leave_out(stack, now, begin, at)
                muted_until = at
            elif verdict != KEEP:
                muted_until = at
                answer = None
                if attribute.is_plain and is_text(layout, &attribute):
                    text = text_in(&attribute)
                    answer = ask_about_text(asked, verdict, text.begin, text.end)
                    if answer is not None and answer is not False:
                        answer = with_text(layout, &attribute, start, answer)
                elif verdict < ASK_ABOUT_TEXT or not attribute.is_plain or is_bytes(&attribute):
                    if entry.traits & IS_ANY_VALUE:
                        answer = asked.body(<int>entry.place, start[: at - start])
                    else:
                        answer = asked.attribute(<int>entry.place, start[: at - start])
                if answer is False:
                    edits.leave_out(stack, now, begin, at)
                elif answer is not None:
                    edits.put(stack, now, Stretch(length_at, start), at, <bytes?>answer)
            if attribute.is_plain:
                continue
        if entry.handling == INNER_MESSAGE:
            if now == stack + MAX_DEPTH:
                return None
            now += 1
            now.end = end = at
            now.message = entry.message
            now.seen = 0
            now.length = Stretch(length_at, start)
            now.edit = -1
            now.growth = 0
            at = start

    if edits.count == 0:
        return body, dropped, unknown
    return edits.apply(body, stack[0].growth), dropped, unknown
