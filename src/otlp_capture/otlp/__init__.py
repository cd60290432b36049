"""The wire: everything that knows protobuf, OTLP/JSON and `google.rpc.Status`.

A request is protobuf bytes. `decode` makes one of what a client sent, `scan` reads its facts,
`shift_timestamps` moves it in time, `remap_ids` gives it other ids, `select_services` and
`select_traces` leave some of it out, `redact` takes out what must not be stored, `encode` writes
it, and `canonical_records` prepares it for comparison.
`shift_timestamps` moves it in time, `remap_ids` gives it other ids, `select_services` leaves some
of it out, `redact` takes out what must not be stored, `apply_edits` changes it as is declared,
`encode` writes it, and `canonical_records` prepares it for comparison.
"""

from otlp_capture.otlp.codec import decode as decode
from otlp_capture.otlp.codec import encode as encode
from otlp_capture.otlp.describe import describe as describe
from otlp_capture.otlp.describe import describer as describer
from otlp_capture.otlp.describe import first_difference as first_difference
from otlp_capture.otlp.edit import DropAttribute as DropAttribute
from otlp_capture.otlp.edit import Edit as Edit
from otlp_capture.otlp.edit import RenameAttribute as RenameAttribute
from otlp_capture.otlp.edit import SetAttribute as SetAttribute
from otlp_capture.otlp.edit import SetText as SetText
from otlp_capture.otlp.edit import apply_edits as apply_edits
from otlp_capture.otlp.errors import FramingError as FramingError
from otlp_capture.otlp.errors import InvalidRequest as InvalidRequest
from otlp_capture.otlp.errors import InvalidResponse as InvalidResponse
from otlp_capture.otlp.errors import RequestTooLarge as RequestTooLarge
from otlp_capture.otlp.errors import TimestampOutOfRange as TimestampOutOfRange
from otlp_capture.otlp.export_lines import decode_export_line as decode_export_line
from otlp_capture.otlp.facts import RequestFacts as RequestFacts
from otlp_capture.otlp.framing import read_framed as read_framed
from otlp_capture.otlp.json_losses import loses_fields_in_json as loses_fields_in_json
from otlp_capture.otlp.limits import DEFAULT_LIMITS as DEFAULT_LIMITS
from otlp_capture.otlp.limits import Limits as Limits
from otlp_capture.otlp.measures import Action as RedactionAction
from otlp_capture.otlp.measures import Measure as Measure
from otlp_capture.otlp.measures import Policy as RedactionPolicy
from otlp_capture.otlp.measures import Redacted as Redacted
from otlp_capture.otlp.measures import ValueKind as ValueKind
from otlp_capture.otlp.measures import joined as joined_measures
from otlp_capture.otlp.places import ATTRIBUTE_PLACES as ATTRIBUTE_PLACES
from otlp_capture.otlp.places import PLACES as PLACES
from otlp_capture.otlp.places import TEXT_PLACES as TEXT_PLACES
from otlp_capture.otlp.places import Place as Place
from otlp_capture.otlp.records import CanonicalRecord as CanonicalRecord
from otlp_capture.otlp.records import CanonicalRequest as CanonicalRequest
from otlp_capture.otlp.records import canonical_records as canonical_records
from otlp_capture.otlp.redact import redact as redact
from otlp_capture.otlp.remap import IdMapping as IdMapping
from otlp_capture.otlp.remap import remap_ids as remap_ids
from otlp_capture.otlp.responses import PartialSuccess as PartialSuccess
from otlp_capture.otlp.responses import RpcStatus as RpcStatus
from otlp_capture.otlp.responses import decode_response as decode_response
from otlp_capture.otlp.responses import decode_status as decode_status
from otlp_capture.otlp.responses import encode_response as encode_response
from otlp_capture.otlp.responses import encode_retry_status as encode_retry_status
from otlp_capture.otlp.responses import encode_status as encode_status
from otlp_capture.otlp.retry_info import retry_delay_s as retry_delay_s
from otlp_capture.otlp.scan import count_records as count_records
from otlp_capture.otlp.scan import scan as scan
from otlp_capture.otlp.select import select_services as select_services
from otlp_capture.otlp.select_traces import select_traces as select_traces
from otlp_capture.otlp.shift import shift_timestamps as shift_timestamps
from otlp_capture.otlp.signals import SIGNALS as SIGNALS
from otlp_capture.otlp.signals import Dialect as Dialect
from otlp_capture.otlp.signals import Encoding as Encoding
from otlp_capture.otlp.signals import Signal as Signal
from otlp_capture.otlp.signals import is_signal as is_signal
from otlp_capture.otlp.span_links import SpanLinks as SpanLinks
from otlp_capture.otlp.span_links import span_links as span_links
from otlp_capture.otlp.ties import Ties as Ties
from otlp_capture.otlp.ties import ties_of as ties_of
from otlp_capture.otlp.trace_choice import TRACE_PLACES as TRACE_PLACES
from otlp_capture.otlp.trace_choice import ChosenRecords as ChosenRecords
from otlp_capture.otlp.trace_choice import TraceChoice as TraceChoice
from otlp_capture.otlp.trace_choice import trace_place as trace_place

__all__ = [
    "ATTRIBUTE_PLACES",
    "DEFAULT_LIMITS",
    "PLACES",
    "SIGNALS",
    "TEXT_PLACES",
    "TRACE_PLACES",
    "CanonicalRecord",
    "CanonicalRequest",
    "ChosenRecords",
    "Dialect",
    "DropAttribute",
    "Edit",
    "Encoding",
    "FramingError",
    "IdMapping",
    "InvalidRequest",
    "InvalidResponse",
    "Limits",
    "Measure",
    "PartialSuccess",
    "Place",
    "Redacted",
    "RedactionAction",
    "RedactionPolicy",
    "RenameAttribute",
    "RequestFacts",
    "RequestTooLarge",
    "RpcStatus",
    "SetAttribute",
    "SetText",
    "Signal",
    "SpanLinks",
    "Ties",
    "TimestampOutOfRange",
    "TraceChoice",
    "ValueKind",
    "apply_edits",
    "canonical_records",
    "count_records",
    "decode",
    "decode_export_line",
    "decode_response",
    "decode_status",
    "describe",
    "describer",
    "encode",
    "encode_response",
    "encode_retry_status",
    "encode_status",
    "first_difference",
    "is_signal",
    "joined_measures",
    "loses_fields_in_json",
    "read_framed",
    "redact",
    "remap_ids",
    "retry_delay_s",
    "scan",
    "select_services",
    "select_traces",
    "shift_timestamps",
    "span_links",
    "ties_of",
    "trace_place",
]
