"""Framed files, manifests and metadata: read or refused."""

import io
from datetime import UTC, datetime
from typing import Any, Final

from fuzz.mutations import mutate_bytes
from fuzz.seeds import drawn_requests
from fuzz.target import Target
from otlp_capture import otlp
from otlp_capture.deflate import deflate, header, inflate, trailer
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, Frame, FrameTable, SegmentIndex
from otlp_capture.sessions.manifest import decode_manifest, encode_manifest
from otlp_capture.sessions.metadata import decode_metadata, encode_metadata

_KEY: Final = "key"
_MAX_FRAME_BYTES: Final = 4_096
_SEEDS: Final = 40


def _seeds() -> list[bytes]:
    framed = [len(each).to_bytes(4, "big") + each for _, each in drawn_requests()[:_SEEDS]]
    frames = FrameTable([Frame(0, 90, 20, 1, 5, 0, 3, 4), Frame(90, 80, 10, 1, 6, 1, 3, 2**63)])
    segment = SegmentIndex("sessions/s/raw/x", "logs", 170, "crc32:00000000", ("cart",), frames)
    part = encode_manifest([segment])
    return [*framed, b"".join(framed), part, _content(part), encode_metadata(_metadata())]


def _content(part: bytes) -> bytes:
    return inflate(part, max_bytes=1 << 20).unwrap().raw


def _metadata() -> CaptureSessionMetadata:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return CaptureSessionMetadata(
        session_id="s",
        start_time=time,
        end_time=time,
        status="completed",
        s3_prefix="sessions/s",
        created_by="fuzz",
        labels={"a": "b"},
        unknown={"theirs": [1, 2.5]},
    )


def _check(data: bytes) -> None:
    read = list(otlp.read_framed(io.BytesIO(data), _MAX_FRAME_BYTES))
    assert all(isinstance(each, Success) for each in read[:-1]), "it goes on behind a damage"
    intact = [each.unwrap() for each in read if isinstance(each, Success)]
    written = b"".join(len(each).to_bytes(4, "big") + each for each in intact)
    assert data.startswith(written)
    assert (written == data) == (len(intact) == len(read)), "a tail is passed over"
    _refused(decode_manifest(_KEY, data))
    _check_manifest(header() + deflate(data) + trailer(data))
    _check_metadata(data)


def _check_manifest(part: bytes) -> None:
    decoded = decode_manifest(_KEY, part)
    if not _refused(decoded):
        again = decode_manifest(_KEY, encode_manifest(decoded.unwrap()))
        assert again.unwrap() == tuple(sorted(decoded.unwrap(), key=lambda each: each.key))


def _check_metadata(document: bytes) -> None:
    decoded = decode_metadata(_KEY, document)
    if not _refused(decoded):
        assert decode_metadata(_KEY, encode_metadata(decoded.unwrap())) == decoded


def _refused(outcome: Outcome[Any, Any]) -> bool:
    if isinstance(outcome, Failure):
        assert outcome.failure().message
    return isinstance(outcome, Failure)


TARGET: Final = Target(_seeds, mutate_bytes, _check)
