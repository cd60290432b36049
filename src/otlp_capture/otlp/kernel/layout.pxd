"""What a walk does at each tag of each message, in tables."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum Handling:
    NO_FIELD            # the field number 0
    NO_WIRE_TYPE        # the wire types 6 and 7
    OPEN_GROUP
    CLOSE_GROUP
    PLAIN_VARINT
    PLAIN_FIXED32
    PLAIN_FIXED64
    TIMESTAMP
    PLAIN_BYTES         # the first that has a length
    ID
    TEXT
    INNER_MESSAGE
    PACKED_VARINTS
    PACKED_FIXED32
    PACKED_FIXED64

cdef enum Trait:
    IS_COUNTED = 1 << 0         # each value is an element
    IS_RECORD = 1 << 1          # each value is a span, a data point or a log record
    IS_RECORD_TIME = 1 << 2     # when a record happened
    IS_FALLBACK_TIME = 1 << 3   # when it happened, where that is not set
    IS_CONTAINER = 1 << 4       # ResourceSpans, ResourceMetrics or ResourceLogs
    IS_RESOURCE = 1 << 5
    IS_ANY_VALUE = 1 << 6
    HOLDS_TIMES = 1 << 7        # its message has timestamps somewhere inside
    HOLDS_IDS = 1 << 8          # likewise ids
    HOLDS_SCOPES = 1 << 9       # ScopeSpans, ScopeMetrics or ScopeLogs
    IS_KNOWN = 1 << 10          # its message knows the field
    IS_TRACE_ID = 1 << 11       # the id of the trace that a span or a log record belongs to
    IS_SPAN_ID = 1 << 12        # a span's own id
    IS_PARENT_ID = 1 << 13      # that of its parent

cdef struct TagEntry:
    uint64_t single             # the bit of a field, or of a oneof, that may stand once; 0 if not
    MessageEntry* message       # of an INNER_MESSAGE
    uint16_t traits
    uint8_t handling
    uint8_t place               # which place of a redaction it is, from 1; 0: it is none

cdef struct MessageEntry:
    TagEntry* by_tag
    uint32_t limit              # the first tag beyond by_tag; over every tag of one byte

cdef class Layout:
    cdef readonly tuple tables
    cdef TagEntry* entries
    cdef MessageEntry* messages
    cdef TagEntry[8] unknown            # by wire type
    cdef MessageEntry in_group          # where every field is unknown
    cdef uint32_t attributes_tag        # of Resource
    cdef uint32_t key_tag               # of KeyValue
    cdef uint32_t value_tag             # of KeyValue
    cdef uint32_t string_tag            # of AnyValue

    cdef _describe(self, TagEntry* by_tag, table, field, traits, singles, messages, places)
    cdef _find_service_tags(self)
