"""Sessions as they lie in a store: metadata, segments of frames, and the manifest."""

from otlp_capture.sessions.catalogue import LoadError as LoadError
from otlp_capture.sessions.catalogue import SessionAlreadyExists as SessionAlreadyExists
from otlp_capture.sessions.catalogue import SessionNotFound as SessionNotFound
from otlp_capture.sessions.catalogue import SessionTakenOver as SessionTakenOver
from otlp_capture.sessions.catalogue import StoredSession as StoredSession
from otlp_capture.sessions.catalogue import create_session as create_session
from otlp_capture.sessions.catalogue import list_sessions as list_sessions
from otlp_capture.sessions.catalogue import load_session as load_session
from otlp_capture.sessions.catalogue import save_session as save_session
from otlp_capture.sessions.counters import LiveCounts as LiveCounts
from otlp_capture.sessions.counters import counted as counted
from otlp_capture.sessions.counters import uncounted as uncounted
from otlp_capture.sessions.deletion import Freed as Freed
from otlp_capture.sessions.deletion import discard_objects as discard_objects
from otlp_capture.sessions.deletion import discard_session as discard_session
from otlp_capture.sessions.document import SessionDocument as SessionDocument
from otlp_capture.sessions.frame_header import frame_headers as frame_headers
from otlp_capture.sessions.frame_header import has_facts as has_facts
from otlp_capture.sessions.frame_header import header_bytes as header_bytes
from otlp_capture.sessions.frame_reading import index_frames as index_frames
from otlp_capture.sessions.frame_reading import open_frame as open_frame
from otlp_capture.sessions.frame_reading import read_frames as read_frames
from otlp_capture.sessions.frame_writing import adopt_member as adopt_member
from otlp_capture.sessions.frame_writing import encode_frame as encode_frame
from otlp_capture.sessions.frame_writing import encode_frame_stored as encode_frame_stored
from otlp_capture.sessions.frames import MAX_HEADER_BYTES as MAX_HEADER_BYTES
from otlp_capture.sessions.frames import STORED_LIMITS as STORED_LIMITS
from otlp_capture.sessions.frames import Arrival as Arrival
from otlp_capture.sessions.frames import Frame as Frame
from otlp_capture.sessions.frames import Headers as Headers
from otlp_capture.sessions.frames import SegmentCorrupted as SegmentCorrupted
from otlp_capture.sessions.index import FrameRef as FrameRef
from otlp_capture.sessions.index import SessionIndex as SessionIndex
from otlp_capture.sessions.index import in_order as in_order
from otlp_capture.sessions.index import index_session as index_session
from otlp_capture.sessions.index import save_manifest as save_manifest
from otlp_capture.sessions.keys import SESSIONS as SESSIONS
from otlp_capture.sessions.keys import InvalidSessionId as InvalidSessionId
from otlp_capture.sessions.keys import SegmentName as SegmentName
from otlp_capture.sessions.keys import check_session_id as check_session_id
from otlp_capture.sessions.keys import key_in_session as key_in_session
from otlp_capture.sessions.keys import key_of_spool_name as key_of_spool_name
from otlp_capture.sessions.keys import manifest_key as manifest_key
from otlp_capture.sessions.keys import manifest_prefix as manifest_prefix
from otlp_capture.sessions.keys import metadata_key as metadata_key
from otlp_capture.sessions.keys import parse_segment_key as parse_segment_key
from otlp_capture.sessions.keys import raw_prefix as raw_prefix
from otlp_capture.sessions.keys import replay_key as replay_key
from otlp_capture.sessions.keys import replays_prefix as replays_prefix
from otlp_capture.sessions.keys import session_prefix as session_prefix
from otlp_capture.sessions.keys import spool_name as spool_name
from otlp_capture.sessions.manifest import FrameTable as FrameTable
from otlp_capture.sessions.manifest import ManifestCorrupted as ManifestCorrupted
from otlp_capture.sessions.manifest import SegmentIndex as SegmentIndex
from otlp_capture.sessions.manifest import by_hour as by_hour
from otlp_capture.sessions.manifest import decode_manifest as decode_manifest
from otlp_capture.sessions.manifest import encode_manifest as encode_manifest
from otlp_capture.sessions.manifest import index_segment as index_segment
from otlp_capture.sessions.metadata import CaptureSessionMetadata as CaptureSessionMetadata
from otlp_capture.sessions.metadata import CaptureSwitches as CaptureSwitches
from otlp_capture.sessions.metadata import EndReason as EndReason
from otlp_capture.sessions.metadata import Hold as Hold
from otlp_capture.sessions.metadata import MetadataCorrupted as MetadataCorrupted
from otlp_capture.sessions.metadata import RecordCounts as RecordCounts
from otlp_capture.sessions.metadata import SessionStatus as SessionStatus
from otlp_capture.sessions.metadata import decode_metadata as decode_metadata
from otlp_capture.sessions.metadata import encode_metadata as encode_metadata
from otlp_capture.sessions.metadata import metadata_document as metadata_document
from otlp_capture.sessions.ownership import ORPHANED_NS as ORPHANED_NS
from otlp_capture.sessions.ownership import idle_ns as idle_ns
from otlp_capture.sessions.reader import ReadError as ReadError
from otlp_capture.sessions.reader import RequestReader as RequestReader
from otlp_capture.sessions.reader import StoredRequest as StoredRequest
from otlp_capture.sessions.recount import recount_session as recount_session
from otlp_capture.sessions.segments import KeptFrame as KeptFrame
from otlp_capture.sessions.segments import NewFrame as NewFrame
from otlp_capture.sessions.segments import OpenSegment as OpenSegment
from otlp_capture.sessions.segments import SegmentTally as SegmentTally
from otlp_capture.sessions.writer import DEFAULT_LINGER_S as DEFAULT_LINGER_S
from otlp_capture.sessions.writer import DEFAULT_SEGMENT_BYTES as DEFAULT_SEGMENT_BYTES
from otlp_capture.sessions.writer import FrameWriter as FrameWriter
from otlp_capture.sessions.writer import ObjectWriter as ObjectWriter

__all__ = [
    "DEFAULT_LINGER_S",
    "DEFAULT_SEGMENT_BYTES",
    "MAX_HEADER_BYTES",
    "ORPHANED_NS",
    "SESSIONS",
    "STORED_LIMITS",
    "Arrival",
    "CaptureSessionMetadata",
    "CaptureSwitches",
    "EndReason",
    "Frame",
    "FrameRef",
    "FrameTable",
    "FrameWriter",
    "Freed",
    "Headers",
    "Hold",
    "InvalidSessionId",
    "KeptFrame",
    "LiveCounts",
    "LoadError",
    "ManifestCorrupted",
    "MetadataCorrupted",
    "NewFrame",
    "ObjectWriter",
    "OpenSegment",
    "ReadError",
    "RecordCounts",
    "RequestReader",
    "SegmentCorrupted",
    "SegmentIndex",
    "SegmentName",
    "SegmentTally",
    "SessionAlreadyExists",
    "SessionDocument",
    "SessionIndex",
    "SessionNotFound",
    "SessionStatus",
    "SessionTakenOver",
    "StoredRequest",
    "StoredSession",
    "adopt_member",
    "by_hour",
    "check_session_id",
    "counted",
    "create_session",
    "decode_manifest",
    "decode_metadata",
    "discard_objects",
    "discard_session",
    "encode_frame",
    "encode_frame_stored",
    "encode_manifest",
    "encode_metadata",
    "frame_headers",
    "has_facts",
    "header_bytes",
    "idle_ns",
    "in_order",
    "index_frames",
    "index_segment",
    "index_session",
    "key_in_session",
    "key_of_spool_name",
    "list_sessions",
    "load_session",
    "manifest_key",
    "manifest_prefix",
    "metadata_document",
    "metadata_key",
    "open_frame",
    "parse_segment_key",
    "raw_prefix",
    "read_frames",
    "recount_session",
    "replay_key",
    "replays_prefix",
    "save_manifest",
    "save_session",
    "session_prefix",
    "spool_name",
    "uncounted",
]
